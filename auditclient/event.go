package auditclient

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// ReasonReportsDropped is the reason of an event that counts reports which found no room.
const ReasonReportsDropped countersign.Reason = "reports_dropped"

const (
	maxBatchEvents = 500
	maxBatchBytes  = 256 << 10
	// maxField bounds every string of an event, in bytes; maxWord those that name
	// something of ours.
	maxField = 512
	maxWord  = 64
	maxCount = 1_000_000_000
)

// event is one decision, or the same decision counted, as Countersign takes it.
type event struct {
	ID         string             `json:"id"`
	Time       time.Time          `json:"time"`
	Decision   string             `json:"decision"`
	Reason     countersign.Reason `json:"reason"`
	Service    string             `json:"service,omitempty"`
	ServiceUID string             `json:"service_uid,omitempty"`
	UserIssuer string             `json:"user_issuer,omitempty"`
	User       string             `json:"user,omitempty"`
	Target     string             `json:"target,omitempty"`
	Method     string             `json:"method,omitempty"`
	Route      string             `json:"route,omitempty"`
	Rule       string             `json:"rule,omitempty"`
	Count      int64              `json:"count"`
}

// newEvent makes an event that Countersign takes whatever the decision holds: one that
// it refuses would cost all the others of its batch. id "" = a fresh one.
func newEvent(key countKey, at time.Time, id string, n int64) event {
	if !isWord(id) {
		id = countersign.NewRequestID(at)
	}
	decision, reason := "denied", countersign.ReasonInternal
	if key.allowed {
		decision, reason = "allowed", countersign.ReasonOK
	}
	if isWord(string(key.reason)) {
		reason = key.reason
	}
	if !isWord(key.serviceUID) || key.service == "" {
		key.serviceUID = ""
	}
	if key.user == "" || key.userIssuer == "" { // a user is always the pair
		key.user, key.userIssuer = "", ""
	}
	n = min(n, maxCount)
	return event{
		ID: id, Time: at.UTC(), Decision: decision, Reason: reason,
		Service: cut(key.service), ServiceUID: key.serviceUID,
		UserIssuer: cut(key.userIssuer), User: cut(key.user), Target: cut(key.target),
		Method: cut(key.method), Route: cut(key.route), Rule: cut(key.ruleName), Count: n,
	}
}

// isWord reports whether text is 1 to 64 letters, digits, "-" and "_".
func isWord(text string) bool {
	for _, c := range []byte(text) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return text != "" && len(text) <= maxWord
}

// cut bounds a string and makes it valid UTF-8.
func cut(text string) string {
	if len(text) > maxField {
		end := maxField
		for end > maxField-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// batch is events as they are sent: encoded once, so that a batch that is sent again
// is the same batch.
type batch struct {
	body            []byte
	events          int
	denied, allowed int64 // the decisions that the events stand for
}

// newBatch encodes as many of the events as a batch takes, at least one.
func newBatch(events []event, now time.Time) (*batch, error) {
	b := &batch{body: []byte(`{"batch_id":"` + countersign.NewRequestID(now) + `","events":[`)}
	for _, e := range events {
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		if b.events > 0 {
			if len(b.body)+len(text)+len(",]}") > maxBatchBytes {
				break
			}
			b.body = append(b.body, ',')
		}
		b.body = append(b.body, text...)
		b.events++
		if e.Decision == "allowed" {
			b.allowed += e.Count
		} else {
			b.denied += e.Count
		}
	}
	b.body = append(b.body, "]}"...)
	return b, nil
}
