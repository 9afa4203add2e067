package auditclient_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
)

func TestReportsDenialsOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		c.Record(t.Context(), denial(1))
		c.Record(t.Context(), denial(2))
		nobody := countersign.Decision{ID: "id-3", Reason: countersign.ReasonTokenMissing, Target: "parse-service", Method: "GET", Rule: "Authenticate"}
		c.Record(t.Context(), nobody)
		start := time.Now()
		synctest.Wait()
		if n := s.posts(); n != 0 {
			t.Errorf("%d posts at once", n)
		}
		time.Sleep(1100 * time.Millisecond)
		want := []report{
			{ID: "id-1", Decision: "denied", Reason: "service_not_allowed", Service: "backend-actor", ServiceUID: "uid-1", UserIssuer: "https://idp.example.com", User: "alice",
				Target: "parse-service", Method: "POST", Route: "POST /v1/parse/", Rule: "AllowedServices(document-service)", Count: 1},
			{},
			{ID: "id-3", Decision: "denied", Reason: "token_missing", Target: "parse-service", Method: "GET", Rule: "Authenticate", Count: 1},
		}
		want[1] = want[0]
		want[1].ID = "id-2"
		got := s.all()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(report{}, "Time")); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		for _, r := range got {
			if !r.Time.Equal(start) || r.Time.Location() != time.UTC {
				t.Errorf("dated %v, want %v", r.Time, start)
			}
		}
		if n := s.posts(); n != 1 {
			t.Errorf("%d posts, want one batch", n)
		}
		if want := "POST https://auth.example.com/base/api/iam/v1/system/audit/events Bearer token-for-iam-service application/json"; s.auth[0] != want {
			t.Errorf("request %q", s.auth[0])
		}
	})
}

func TestCountsAllowedPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		for range 1000 {
			c.Record(t.Context(), allowed("POST"))
		}
		c.Record(t.Context(), allowed("GET"))
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := s.posts(); n != 0 {
			t.Errorf("%d posts before the minute is over", n)
		}
		time.Sleep(2 * time.Second)
		counts := make(map[string]int64)
		for _, r := range s.all() {
			counts[r.Decision+" "+r.Method] += r.Count
		}
		if diff := cmp.Diff(map[string]int64{"allowed POST": 1000, "allowed GET": 1}, counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		before := s.posts()
		time.Sleep(time.Hour)
		if n := s.posts() - before; n != 0 {
			t.Errorf("%d posts with nothing to say", n)
		}
		// A denial does not take half a minute's counts along.
		c.Record(t.Context(), allowed("POST"))
		c.Record(t.Context(), denial(1))
		time.Sleep(2 * time.Second)
		if r := s.all(); len(r) != 3 || r[2].ID != "id-1" {
			t.Errorf("reports %+v", r)
		}
	})
}

func TestFlushAndCloseSendEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		c.Record(t.Context(), allowed("POST"))
		c.Record(t.Context(), denial(1))
		if err := c.Flush(t.Context()); err != nil || len(s.all()) != 2 {
			t.Errorf("Flush: %v, %d reports", err, len(s.all()))
		}
		c.Record(t.Context(), allowed("POST"))
		c.Record(t.Context(), denial(2))
		if err := c.Close(t.Context()); err != nil || len(s.all()) != 4 {
			t.Errorf("Close: %v, %d reports", err, len(s.all()))
		}
		c.Record(t.Context(), denial(3))
		if err := c.Flush(t.Context()); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("Flush after Close: %v", err)
		}
		if err := c.Close(t.Context()); err != nil || len(s.all()) != 4 {
			t.Errorf("second Close: %v, %d reports", err, len(s.all()))
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		for i := range 1200 {
			c.Record(t.Context(), denial(i))
		}
		huge := denial(1200)
		huge.Route, huge.Rule = strings.Repeat("\x01", 2000), strings.Repeat("ü", 2000)
		huge.Caller = &countersign.Principal{User: countersign.User{Issuer: strings.Repeat("\xff", 2000), Subject: "x"}}
		for range 300 {
			c.Record(t.Context(), huge)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, body := range s.bodies {
			var b wireBatch
			if err := json.Unmarshal(body, &b); err != nil || len(b.Events) > 500 || len(b.Events) == 0 || len(body) > 256<<10 {
				t.Errorf("a batch of %d events in %d bytes, %v", len(b.Events), len(body), err)
			}
			for _, e := range b.Events {
				if len(e.Route) > 512 || len(e.Rule) > 512 || strings.ContainsRune(e.Rule, '\uFFFD') {
					t.Error("a field is not cut at a character")
				}
			}
		}
		if got := s.all(); len(got) != 1500 || got[0].ID != "id-0" || got[1199].ID != "id-1199" {
			t.Errorf("%d reports", len(got))
		}
	})
}

func TestRecordFromManyGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				for j := range 20 {
					c.Record(t.Context(), denial(100*i+j))
					c.Record(t.Context(), allowed("POST"))
				}
				_ = c.Flush(t.Context())
			})
		}
		callers.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		var denied, allowed int64
		for _, r := range s.all() {
			if r.Decision == "denied" {
				denied += r.Count
			} else {
				allowed += r.Count
			}
		}
		if denied != 1000 || allowed != 1000 {
			t.Errorf("%d denied, %d allowed", denied, allowed)
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*auditclient.Config){
		"no url":        func(c *auditclient.Config) { c.URL = "" },
		"relative url":  func(c *auditclient.Config) { c.URL = "/x" },
		"plain http":    func(c *auditclient.Config) { c.URL = "http://auth.example.com" },
		"password":      func(c *auditclient.Config) { c.URL = "https://u:p@auth.example.com" },
		"query":         func(c *auditclient.Config) { c.URL = "https://auth.example.com?x=y" },
		"no source":     func(c *auditclient.Config) { c.Source = nil },
		"scheme":        func(c *auditclient.Config) { c.URL = "ftp://auth.example.com" },
		"two hosts":     func(c *auditclient.Config) { c.URL = "http://127.0.0.1@auth.example.com" },
		"control bytes": func(c *auditclient.Config) { c.URL = "https://auth.example.com/\n" },
	} {
		cfg := auditclient.Config{URL: "https://auth.example.com", Source: &tokens{}}
		change(&cfg)
		if _, err := auditclient.New(cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRuleC5ReportsFollowNoRedirect: the token stays with the host that was given.
func TestRuleC5ReportsFollowNoRedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer thief.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	for name, client := range map[string]*http.Client{"guarded": nil, "own": redirecting.Client()} {
		c, err := auditclient.New(auditclient.Config{
			URL: redirecting.URL, Source: &tokens{}, HTTPClient: client, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Record(t.Context(), denial(1))
		if err := c.Flush(t.Context()); err == nil || leaked.Load() != 0 {
			t.Errorf("%s client: %v, %d requests elsewhere", name, err, leaked.Load())
		}
		_ = c.Close(t.Context())
	}
}
