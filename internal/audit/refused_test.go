package audit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
)

func refusal(service, addr string) audit.Event {
	return audit.Event{Action: "token", Decision: audit.Refused, Reason: "secret_wrong", Service: service, ClientAddr: addr}
}

// RULES E5: unauthenticated denials are aggregated with counts; ids that nobody
// verified are logged only if they fit the grammar, else hashed.
func TestRuleE5RefusalsAreAggregated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 50 {
					w.log.RecordRefused(t.Context(), refusal("document-service", "192.0.2.1"))
				}
			})
		}
		w.log.RecordRefused(t.Context(), refusal("document-service", "192.0.2.2"))
		w.log.RecordRefused(t.Context(), refusal("parse-service", "192.0.2.1"))
		wg.Wait()
		events := w.all(audit.Query{Action: "token"})
		var sum int64
		kinds := map[string]bool{}
		for _, e := range events {
			sum += e.Count
			kinds[e.Service+e.ClientAddr] = true
			if e.ID == "" || e.Decision != audit.Refused {
				t.Errorf("%+v", e)
			}
		}
		if sum != 64*50+2 || len(kinds) != 3 || len(events) > 20 {
			t.Errorf("%d decisions of %d kinds in %d events", sum, len(kinds), len(events))
		}
		w.clean()
	})
}

// A flood of different refusals takes bounded room, and every one is counted.
func TestRuleE5RefusalsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const n = 20_000
		for i := range n {
			w.log.RecordRefused(t.Context(), refusal(fmt.Sprint("s", i), "192.0.2.1"))
		}
		events := w.all(audit.Query{Limit: 1000})
		var sum int64
		others := 0
		for _, e := range events {
			sum += e.Count
			if e.Action == audit.ActionRefusals {
				others++
				if e.Decision != audit.Refused || e.Reason != string(countersign.ReasonSeveral) {
					t.Errorf("event %+v", e)
				}
			}
		}
		if sum != n || others == 0 || len(events) > n/4 {
			t.Errorf("%d decisions in %d events, %d of them others", sum, len(events), others)
		}
	})
}

func TestRuleE5AndVulnerability30UnverifiedClientIDsAreHashed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	canary := "csk_CanarySecretThatSomebodyPutIntoTheWrongField"
	tests := map[string]string{
		"document-service":      "document-service",
		"0":                     "0",
		"":                      "",
		strings.Repeat("a", 63): strings.Repeat("a", 63),
		strings.Repeat("a", 64): "sha256:ffe054fe7ae0cb6d",
		"-a":                    "sha256:",
		"Document":              "sha256:",
		"a b":                   "sha256:",
		"a\n":                   "sha256:",
		"é":                     "sha256:",
		canary:                  "sha256:",
	}
	i := 0
	want := map[string]string{}
	for claimed, kept := range tests {
		e := refusal(claimed, "192.0.2.1")
		e.ID = fmt.Sprint("id", i)
		want[e.ID] = kept
		w.log.RecordRefused(t.Context(), e)
		i++
	}
	for _, e := range w.all(audit.Query{}) {
		kept := want[e.ID]
		ok := e.Service == kept
		if kept == "sha256:" {
			ok = strings.HasPrefix(e.Service, kept) && len(e.Service) == len(kept)+16
		}
		if !ok || strings.Contains(string(audit.Encode(e)), canary) {
			t.Errorf("kept %q, want %q", e.Service, kept)
		}
		delete(want, e.ID)
	}
	if len(want) > 0 {
		t.Errorf("not stored: %v", want)
	}
}

func TestRefusalShowsUpSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.log.RecordRefused(t.Context(), refusal("a", "192.0.2.1"))
	eventually(t, "the refusal is stored", func() bool { return w.log.Tail() == 1 })
}

// A commit does not cut the second short: refusals go on being merged.
func TestRefusalsDoNotRideOnCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 5 {
			w.log.RecordRefused(t.Context(), refusal("a", "192.0.2.1"))
			w.commit(1)
		}
		events := w.all(audit.Query{Action: "token", Reason: "secret_wrong"})
		if len(events) > 2 {
			t.Errorf("%d events", len(events))
		}
	})
}

// While nothing can be stored, refusals neither wait nor grow without bound, and
// their number comes through.
func TestRefusalsOutliveAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.disk.set(fails, nil, nil)
	for range 1000 {
		w.log.RecordRefused(t.Context(), refusal("a", "192.0.2.1"))
	}
	_, err := w.log.Query(t.Context(), audit.Query{})
	if err == nil {
		t.Error("Query without the disk")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range audit.MaxQueueEvents {
		w.log.Record(ended, event(fmt.Sprint(i)))
	}
	for range 1000 {
		w.log.RecordRefused(ended, refusal("a", "192.0.2.1"))
	}
	_, _ = w.log.Query(t.Context(), audit.Query{})
	if w.log.Queued() > audit.MaxQueueEvents+2*audit.MaxBatchEvents {
		t.Errorf("%d queued", w.log.Queued())
	}
	w.disk.set(nil, nil, nil)
	var sum int64
	for range 2 { // what found no room the first time comes the second time
		if _, err := w.log.Query(t.Context(), audit.Query{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range w.all(audit.Query{Reason: "secret_wrong", Limit: 1000}) {
		sum += e.Count
	}
	if sum != 2000 {
		t.Errorf("%d refusals", sum)
	}
}
