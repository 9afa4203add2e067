package iam_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
)

// reportBody is a batch of n denials at the rig's time.
func (r *rig) reportBody(id string, n int) string {
	events := make([]string, 0, n)
	for i := range n {
		events = append(events, fmt.Sprintf(
			`{"id":"request-%d","time":%q,"decision":"denied","reason":"service_not_allowed","service":"backend-actor","service_uid":"0123",`+
				`"user_issuer":"https://idp","user":"u","target":"parse-service","method":"POST","route":"POST /v1/parse/","rule":"allowed_services","count":1}`,
			i, r.Clock.Now().Format(time.RFC3339)))
	}
	return `{"batch_id":"` + id + `","events":[` + strings.Join(events, ",") + `]}`
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "parse-service")
	bearer := r.token(t, "parse-service", "iam-service", "audit:write")
	body := r.reportBody("batch-1", 2)
	for round := range 3 { // a receiver that got no answer sends it again
		got := r.ask(t, ask{method: "POST", path: "/system/audit/events", body: body, bearer: bearer})
		if got.status != 202 || strings.TrimSpace(got.body) != `{"accepted":2}` {
			t.Fatalf("round %d: %d %s", round, got.status, got.body)
		}
	}
	events := r.Events(t, audit.Query{Action: "call"})
	if len(events) != 2 {
		t.Fatalf("%d events are stored, want 2", len(events))
	}
	want := audit.Event{
		ID: "request-0", Time: r.Clock.Now(), Action: "call", Decision: audit.Denied, Reason: "service_not_allowed",
		Service: "backend-actor", ServiceUID: "0123", UserIssuer: "https://idp", User: "u", Target: "parse-service",
		Method: "POST", Route: "POST /v1/parse/", Rule: "allowed_services", ReportedBy: "parse-service", Count: 1,
	}
	if events[0] != want {
		t.Errorf("got %+v, want %+v", events[0], want)
	}
	if report, err := r.client.VerifyAudit(t.Context()); err != nil || !report.OK {
		t.Errorf("the chain: %+v, %v", report, err)
	}
}

func TestReportAtTheSameTimeIsStoredOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "parse-service")
	bearer := r.token(t, "parse-service", "iam-service", "audit:write")
	body := r.reportBody("batch-1", 10)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if got := r.ask(t, ask{method: "POST", path: "/system/audit/events", body: body, bearer: bearer}); got.status != 202 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	group.Wait()
	if events := r.Events(t, audit.Query{Action: "call"}); len(events) != 10 {
		t.Errorf("%d events are stored, want 10", len(events))
	}
}

func TestReportIsAllOrNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "parse-service")
	bearer := r.token(t, "parse-service", "iam-service", "audit:write")
	post := func(body string) reply {
		t.Helper()
		return r.ask(t, ask{method: "POST", path: "/system/audit/events", body: body, bearer: bearer})
	}
	good := r.reportBody("batch-1", 2)
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	late, _ := json.Marshal(r.Clock.Now().Add(6 * time.Minute))
	early, _ := json.Marshal(r.Clock.Now().Add(-9 * 24 * time.Hour))
	now, _ := json.Marshal(r.Clock.Now())
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"empty":            {`{}`, 400},
		"no events":        {`{"batch_id":"a","events":[]}`, 400},
		"no id":            {replace(`"batch-1"`, `""`), 400},
		"id with a space":  {replace(`"batch-1"`, `"a b"`), 400},
		"id too long":      {replace(`"batch-1"`, `"`+strings.Repeat("a", 65)+`"`), 400},
		"501 events":       {r.reportBody("a", 501), 400},
		"too large":        {r.reportBody("a", 2000), 413},
		"spoofed reporter": {replace(`"decision"`, `"reported_by":"iam-service","decision"`), 400},
		"other action":     {replace(`"decision"`, `"action":"service.create","decision"`), 400},
		"actor":            {replace(`"decision"`, `"actor":"local:0","decision"`), 400},
		"other decision":   {replace(`"denied"`, `"changed"`), 400},
		"count 0":          {replace(`"count":1`, `"count":0`), 400},
		"count too large":  {replace(`"count":1`, `"count":1000000001`), 400},
		"count of a half":  {replace(`"count":1`, `"count":1.5`), 400},
		"in the future":    {strings.Replace(good, string(now), string(late), 1), 400},
		"long ago":         {strings.Replace(good, string(now), string(early), 1), 400},
		"user alone":       {replace(`"user_issuer":"https://idp",`, ``), 400},
	} {
		got := post(test.body)
		if got.status != test.status || got.problem.Code == "" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if events := r.Events(t, audit.Query{Action: "call"}); len(events) != 0 {
		t.Errorf("refused reports left %d events", len(events))
	}
	if got := post(good); got.status != 202 {
		t.Errorf("the good one: %d %s", got.status, got.body)
	}
	if got := post(r.reportBody("batch-1", 3)); got.status != 409 {
		t.Errorf("other events under the same id: %d", got.status)
	}
}

func TestReportIsForReceivers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "parse-service")
	body := r.reportBody("batch-1", 1)
	for name, test := range map[string]struct {
		ask    ask
		status int
		reason countersign.Reason
	}{
		"nobody":              {ask{}, 401, countersign.ReasonTokenMissing},
		"garbage":             {ask{bearer: "garbage"}, 401, countersign.ReasonTokenMalformed},
		"another audience":    {ask{bearer: r.token(t, "parse-service", "parse-service", "audit:write")}, 401, countersign.ReasonAudMismatch},
		"no scope":            {ask{bearer: r.token(t, "parse-service", "iam-service", "")}, 403, countersign.ReasonScopeMissing},
		"a similar scope":     {ask{bearer: r.token(t, "parse-service", "iam-service", "audit:write2 xaudit:write")}, 403, countersign.ReasonScopeMissing},
		"local administrator": {ask{local: true}, 403, countersign.ReasonServiceRequired},
	} {
		test.ask.method, test.ask.path, test.ask.body = "POST", "/system/audit/events", body
		got := r.ask(t, test.ask)
		if got.status != test.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		events := r.Events(t, audit.Query{Action: "report", Reason: string(test.reason)})
		if len(events) == 0 {
			t.Errorf("%s: no event with reason %s: %+v", name, test.reason, r.Events(t, audit.Query{Action: "report"}))
		}
	}
	if events := r.Events(t, audit.Query{Action: "call"}); len(events) != 0 {
		t.Errorf("%d events are stored", len(events))
	}
}
