package iam

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
)

const (
	// maxWait is how long a query may wait for a first event.
	maxWait = 25 * time.Second
	// maxEvents is the longest page of events.
	maxEvents = 1000
)

// decisions is the closed list of what an event can say.
var decisions = []audit.Decision{audit.Issued, audit.Refused, audit.Allowed, audit.Denied, audit.Changed}

// auditRequest is a query and how long it may wait.
type auditRequest struct {
	audit.Query
	wait time.Duration
}

func parseAuditQuery(r *http.Request) (auditRequest, error) {
	values, err := query(r, "since", "until", "service", "user", "target", "action", "reason", "decision",
		"id", "after", "limit", "newest", "wait")
	if err != nil {
		return auditRequest{}, err
	}
	var in auditRequest
	if in.Since, err = parseTime(values, "since"); err != nil {
		return in, err
	}
	if in.Until, err = parseTime(values, "until"); err != nil {
		return in, err
	}
	if in.Limit, err = limit(values, 100, maxEvents); err != nil {
		return in, err
	}
	if in.wait, err = parseWait(values); err != nil {
		return in, err
	}
	return in, selectEvents(values, &in.Query)
}

// selectEvents reads the parameters that are compared with fields of events.
func selectEvents(values url.Values, q *audit.Query) error {
	q.After = values.Get("after") // package audit parses it
	for name, field := range map[string]*string{
		"service": &q.Service, "user": &q.User, "target": &q.Target, "action": &q.Action,
		"reason": &q.Reason, "id": &q.ID,
	} {
		value := values.Get(name)
		if values.Has(name) && value == "" || !printable(value, audit.MaxField) {
			return invalid(countersign.ReasonParameterInvalid, name+" is empty, too long or not printable")
		}
		*field = value
	}
	if values.Has("decision") {
		q.Decision = audit.Decision(values.Get("decision"))
		if !slices.Contains(decisions, q.Decision) {
			return invalid(countersign.ReasonParameterInvalid, "decision is issued, refused, allowed, denied or changed")
		}
	}
	if values.Has("newest") {
		if values.Get("newest") != "true" && values.Get("newest") != "false" {
			return invalid(countersign.ReasonParameterInvalid, "newest is true or false")
		}
		q.Newest = values.Get("newest") == "true"
	}
	return nil
}

// queryAudit is GET /admin/audit/events: matching events, oldest first, and the cursor
// behind them. With wait it answers as soon as there is one, or empty.
//
// Source: DESIGN §10.
func (a *API) queryAudit(r *http.Request, _ admin.Actor, in auditRequest) (answer, error) {
	ctx, cancel := context.WithTimeout(r.Context(), in.wait)
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	for round := 0; ; round++ {
		result, err := a.audit.Query(r.Context(), in.Query)
		if err != nil {
			return answer{}, err
		}
		if len(result.Events) > 0 || in.wait == 0 || ctx.Err() != nil {
			result.Events = append([]audit.Event{}, result.Events...) // never null
			return answer{status: http.StatusOK, body: result}, nil
		}
		// What was looked at did not match: go on behind it.
		in.After, in.Newest = result.After, false
		if round > 0 {
			pause(ctx) // there are many events, and none of them matches
		}
		a.audit.Wait(ctx, in.After, in.wait)
	}
}

// pause keeps a waiting query from looking at a busy log in a tight loop.
func pause(ctx context.Context) {
	timer := time.NewTimer(maxWait / 250)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
