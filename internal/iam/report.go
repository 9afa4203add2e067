package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
)

// Bounds of a report.
const (
	maxReport       = 256 << 10 // bytes
	maxReportEvents = 500
	maxReportAge    = 8 * 24 * time.Hour // receivers spool through outages
	maxReportAhead  = 5 * time.Minute
	maxCount        = 1_000_000_000
)

// report is POST /system/audit/events: 202 when the decisions of a receiver are
// stored. Each is marked with the service that reported it, and a batch that comes
// again is not stored again.
//
// Source: DESIGN §5 (receivers report); RFC 9110 §15.3.3.
func (a *API) report(w http.ResponseWriter, r *http.Request) error {
	const action = "report"
	caller, err := a.machine(r, action, scopeAuditWrite)
	if err != nil {
		return err
	}
	in, events, err := a.readReport(r, caller)
	if err != nil {
		return a.refuseCaller(r, action, authn.Caller{Principal: caller}, err)
	}
	key, err := newBatchKey(caller.Service.UID, in)
	if err != nil {
		return err
	}
	// All of a batch or nothing is stored, durably, before we say so: a receiver that
	// got no answer sends it again and nothing is lost or doubled.
	err = a.batches.once(r.Context(), key, func(ctx context.Context) error {
		return a.audit.Transact(ctx, func(context.Context, store.Tx) ([]audit.Event, error) { return events, nil })
	})
	if err != nil {
		return err
	}
	return answer{status: http.StatusAccepted, body: iamclient.ReportAccepted{Accepted: len(events)}}.write(w)
}

func (a *API) readReport(r *http.Request, caller *countersign.Principal) (iamclient.Report, []audit.Event, error) {
	in, err := parseReport(r)
	if err != nil {
		return in, nil, err
	}
	events, err := reportedEvents(in, caller.Service.Name, a.now())
	return in, events, err
}

func parseReport(r *http.Request) (iamclient.Report, error) {
	var in iamclient.Report
	if _, err := query(r); err != nil {
		return in, err
	}
	if err := web.ReadJSON(r, maxReport, &in); err != nil {
		return in, err
	}
	if !word(in.BatchID) {
		return in, invalid(countersign.ReasonParameterInvalid, "batch_id is 1 to 64 letters, digits, - and _")
	}
	if len(in.Events) == 0 || len(in.Events) > maxReportEvents {
		return in, invalid(countersign.ReasonParameterInvalid, "a batch has 1 to 500 events")
	}
	return in, nil
}

// reportedEvents turns what a receiver says into audit events. Who reported it is
// what we have proven ourselves, never what the document says.
func reportedEvents(in iamclient.Report, reportedBy string, now time.Time) ([]audit.Event, error) {
	events := make([]audit.Event, 0, len(in.Events))
	for i, e := range in.Events {
		if field := wrongField(e, now); field != "" {
			return nil, invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("events[%d]: %s is missing or out of bounds", i, field))
		}
		event := audit.Event{
			ID: e.ID, Time: e.Time.UTC(), Action: "call", Decision: audit.Decision(e.Decision), Reason: e.Reason,
			Service: harmless(e.Service), ServiceUID: e.ServiceUID, UserIssuer: harmless(e.UserIssuer), User: harmless(e.User),
			Target: harmless(e.Target), Method: harmless(e.Method), Route: harmless(e.Route), Rule: harmless(e.Rule),
			ReportedBy: reportedBy, Count: 1,
		}
		if e.Count != nil {
			event.Count = *e.Count
		}
		if event.ID == "" {
			event.ID = countersign.NewRequestID(now)
		}
		events = append(events, event)
	}
	return events, nil
}

// wrongField names the first field of e that is not as it must be; "" = all are. What
// the receiver's own callers can choose (a method, a subject) is never a reason to
// refuse: one strange call must not cost the receiver its whole batch.
func wrongField(e iamclient.ReportedEvent, now time.Time) string {
	if e.Decision != string(audit.Allowed) && e.Decision != string(audit.Denied) {
		return "decision"
	}
	if e.Time.Before(now.Add(-maxReportAge)) || e.Time.After(now.Add(maxReportAhead)) {
		return "time"
	}
	if e.Count != nil && (*e.Count < 1 || *e.Count > maxCount) {
		return "count"
	}
	if (e.User == "") != (e.UserIssuer == "") { // a user is always the pair (RULES A1)
		return "user"
	}
	if e.ServiceUID != "" && e.Service == "" {
		return "service_uid"
	}
	switch {
	case e.ID != "" && !word(e.ID):
		return "id"
	case !word(e.Reason):
		return "reason"
	case e.ServiceUID != "" && !word(e.ServiceUID):
		return "service_uid"
	}
	return ""
}

// harmless returns text without what a terminal or a log reader could take for a
// command. Package audit cuts it to its bound.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// word reports whether text is 1 to 64 letters, digits, "-" and "_".
func word(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// printable reports whether text is at most so many bytes of UTF-8 that no terminal
// or log reader takes for a command. "" is.
func printable(text string, most int) bool {
	if len(text) > most || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// newBatchKey names a batch: whose it is, its id, and a hash of what it says.
func newBatchKey(serviceUID string, in iamclient.Report) (batchKey, error) {
	content, err := json.Marshal(in)
	if err != nil {
		return batchKey{}, fmt.Errorf("encode batch: %w", err)
	}
	return hashBatch(serviceUID, in.BatchID, content), nil
}
