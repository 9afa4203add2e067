package iam_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestAuditEventsOverTheWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	for _, name := range []string{"a", "b", "c"} {
		r.create(t, name)
		r.Clock.Advance(time.Minute)
	}
	targets := func(q iamclient.AuditQuery) string {
		t.Helper()
		page, err := r.client.AuditEvents(ctx, q)
		must(t, err)
		var names []string
		for _, e := range page.Events {
			names = append(names, e.Target)
		}
		return strings.Join(names, " ")
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name  string
		query iamclient.AuditQuery
		want  string
	}{
		{"by action", iamclient.AuditQuery{Action: "service.create"}, "a b c"},
		{"by target", iamclient.AuditQuery{Target: "b"}, "b"},
		{"by decision", iamclient.AuditQuery{Decision: "refused"}, ""},
		{"by reason", iamclient.AuditQuery{Reason: "ok", Action: "service.create"}, "a b c"},
		{"since", iamclient.AuditQuery{Action: "service.create", Since: start.Add(30 * time.Second)}, "b c"},
		{"until", iamclient.AuditQuery{Action: "service.create", Until: start.Add(30 * time.Second)}, "a"},
		{"the first", iamclient.AuditQuery{Action: "service.create", Limit: 1}, "a"},
		{"the newest", iamclient.AuditQuery{Action: "service.create", Limit: 2, Newest: true}, "b c"},
	} {
		if got := targets(test.query); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	page, err := r.client.AuditEvents(ctx, iamclient.AuditQuery{Action: "service.create", Limit: 1})
	must(t, err)
	if got := targets(iamclient.AuditQuery{Action: "service.create", After: page.After}); got != "b c" {
		t.Errorf("after the first: %q", got)
	}
	if _, err := r.client.AuditEvents(ctx, iamclient.AuditQuery{After: "forged"}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a forged cursor: %v", err)
	}
}

func TestAuditQueryWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	page, err := r.client.AuditEvents(t.Context(), iamclient.AuditQuery{})
	must(t, err)
	type outcome struct {
		page iamclient.AuditPage
		err  error
	}
	answered := make(chan outcome, 1)
	go func() {
		page, err := r.client.AuditEvents(t.Context(), iamclient.AuditQuery{After: page.After, Target: "b", Wait: 25 * time.Second})
		answered <- outcome{page, err}
	}()
	r.create(t, "a") // does not match
	r.create(t, "b")
	select {
	case got := <-answered:
		if got.err != nil || len(got.page.Events) != 1 || got.page.Events[0].Target != "b" {
			t.Errorf("got %+v, %v", got.page, got.err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the event did not wake the query")
	}
}

func TestCloseEndsWaitingQueries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	page, err := r.client.AuditEvents(t.Context(), iamclient.AuditQuery{})
	must(t, err)
	r.api.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := r.client.AuditEvents(ctx, iamclient.AuditQuery{After: page.After, Wait: 25 * time.Second})
	if err != nil || len(got.Events) != 0 || got.Events == nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestVerifyAuditIsAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	report, err := r.client.VerifyAudit(t.Context())
	if err != nil || !report.OK || report.Events == 0 || report.Findings == nil {
		t.Errorf("report %+v, %v", report, err)
	}
	events := r.Events(t, audit.Query{Action: "audit.verify"})
	if len(events) != 1 || !strings.HasPrefix(events[0].Actor, "local:") || !strings.Contains(events[0].Detail, "ok=true") {
		t.Errorf("events %+v", events)
	}
}

// TestNoSecretIsWrittenAnywhere: only the two answers that show a secret hold it.
func TestNoSecretIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	made := r.create(t, "a")
	rotated, err := r.client.RotateSecret(ctx, "a", iamclient.AnyRevision, time.Hour)
	must(t, err)
	bearer := r.token(t, "a", "iam-service", "audit:write")
	_, err = r.client.RevokeToken(ctx, countersign.NewSecret(bearer))
	must(t, err)
	canaries := []string{made.ClientSecret.Reveal(), rotated.ClientSecret.Reveal(), bearer}
	var replies []string
	// In every field where somebody could put one by mistake.
	for _, secret := range canaries {
		for _, a := range []ask{
			{method: "GET", path: "/admin/services/" + secret, local: true},
			{method: "GET", path: "/admin/services?after=" + secret, local: true},
			{method: "GET", path: "/admin/services?" + secret, local: true},
			{method: "POST", path: "/admin/services", body: `{"name":"` + secret + `"}`, local: true},
			{method: "POST", path: "/admin/services", body: `{"name":"x","scopes":["` + secret + ` "]}`, local: true},
			{method: "POST", path: "/admin/services/a/disable", header: map[string]string{"If-Match": secret}, local: true},
			{method: "DELETE", path: "/admin/services/" + secret, header: map[string]string{"If-Match": "*"}, local: true},
			{method: "POST", path: "/admin/revocations", body: `{"token":"` + secret + `x"}`, local: true},
			{method: "POST", path: "/admin/revocations", body: `{"service":"` + secret + `"}`, local: true},
			{method: "GET", path: "/admin/services", bearer: secret},
			{method: "POST", path: "/system/audit/events", bearer: secret, body: `{}`},
		} {
			replies = append(replies, r.ask(t, a).body)
		}
	}
	// The name of an unknown field is told to whoever sent it, and to nobody else.
	for _, secret := range canaries {
		r.ask(t, ask{method: "POST", path: "/admin/services", body: `{"` + secret + `":1}`, local: true})
	}
	list := r.ask(t, ask{method: "GET", path: "/admin/services", local: true})
	one := r.ask(t, ask{method: "GET", path: "/admin/services/a", local: true})
	log := r.ask(t, ask{method: "GET", path: "/admin/audit/events?limit=1000", local: true})
	for _, secret := range canaries {
		if slices.ContainsFunc(replies, func(body string) bool { return strings.Contains(body, secret) }) {
			t.Errorf("an answer repeats %.8s…", secret)
		}
		for where, text := range map[string]string{"log": r.log.String(), "list": list.body, "get": one.body, "audit": log.body} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %.8s…", where, secret)
			}
		}
	}
}
