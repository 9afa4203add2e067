package auditclient_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
)

// Strangers who are refused in masses push nothing out, and what is dropped is counted.
func TestFloods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: -1}
		c := newClient(t, s, nil)
		for i := range 50_000 {
			c.Record(t.Context(), countersign.Decision{ID: fmt.Sprint("stranger-", i), Reason: countersign.ReasonTokenMissing, Method: "GET"})
		}
		for i := range 20_000 {
			c.Record(t.Context(), denial(i))
		}
		for i := range 30_000 {
			d := allowed("POST")
			d.Route = fmt.Sprint("route-", i)
			c.Record(t.Context(), d)
		}
		s.set(0)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Record(t.Context(), denial(1_000_000)) // what was dropped is told with the next delivery that has room
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts := make(map[string]int64)
		for _, r := range s.all() {
			counts[r.Decision+" "+r.Reason] += r.Count
		}
		want := map[string]int64{
			"denied token_missing": 50_000, "denied service_not_allowed": 5_001, "denied reports_dropped": 15_000,
			"allowed ok": 9_999, "allowed reports_dropped": 20_001,
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("decisions (-want +got):\n%s", diff)
		}
	})
}

func TestOutageInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: -1}
		c := newClient(t, s, nil)
		var want []string
		for i := range 600 { // ten minutes
			c.Record(t.Context(), denial(i))
			want = append(want, fmt.Sprint("id-", i))
			time.Sleep(time.Second)
		}
		if n := s.posts(); n < 8 || n > 20 {
			t.Errorf("%d posts in ten minutes of outage: not an exponential backoff", n)
		}
		first := s.bodies[0]
		s.set(0)
		time.Sleep(75 * time.Second)
		if diff := cmp.Diff(want, ids(s.all())); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		for _, body := range s.bodies[1 : len(s.bodies)-2] {
			if string(body) != string(first) {
				t.Error("a batch changed between attempts")
				break
			}
		}
	})
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: 500}
		c := newClient(t, s, nil)
		c.Record(t.Context(), denial(1))
		c.Record(t.Context(), allowed("POST"))
		if err := c.Flush(t.Context()); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("Flush: %v", err)
		}
		if err := c.Close(t.Context()); countersign.CodeOf(err) != countersign.Unavailable || !strings.Contains(err.Error(), "2 reports") {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status      int
		header      http.Header
		retries     bool
		within      time.Duration
		invalidated int64
	}{
		{status: 503, retries: true, within: 2 * time.Second},
		{status: 503, header: http.Header{"Retry-After": {"100"}}, retries: true, within: 101 * time.Second},
		{status: 429, header: http.Header{"Retry-After": {"100000"}}, retries: true, within: 301 * time.Second},
		{status: 429, header: http.Header{"Retry-After": {"soon"}}, retries: true, within: 2 * time.Second},
		{status: 401, retries: true, within: 2 * time.Second, invalidated: 1},
		{status: 403, retries: true, within: 2 * time.Second},
		{status: 404, retries: true, within: 2 * time.Second},
		{status: 307, header: http.Header{"Location": {"https://elsewhere.example.com"}}, retries: true, within: 2 * time.Second},
		{status: 400}, {status: 409}, {status: 413}, {status: 415}, {status: 422},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.header), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, source := &server{status: test.status, header: test.header}, &tokens{}
				c := newClient(t, s, func(cfg *auditclient.Config) { cfg.Source = source })
				c.Record(t.Context(), denial(1))
				time.Sleep(1500 * time.Millisecond)
				if n := s.posts(); n != 1 || source.invalidated.Load() != test.invalidated {
					t.Fatalf("%d posts, %d drops of the token", n, source.invalidated.Load())
				}
				s.set(0)
				time.Sleep(test.within - 1500*time.Millisecond + time.Second)
				synctest.Wait()
				if !test.retries {
					// Dropped, and counted with the next report.
					c.Record(t.Context(), denial(2))
					time.Sleep(2 * time.Second)
					got := s.all()
					if len(got) != 2 || got[0].ID != "id-2" || got[1].Reason != string(auditclient.ReasonReportsDropped) || got[1].Count != 1 {
						t.Errorf("reports %+v", got)
					}
					return
				}
				if diff := cmp.Diff([]string{"id-1"}, ids(s.all())); diff != "" {
					t.Errorf("reports (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A server that rejects everything is not told for ever that it rejected something.
func TestRejectionsDontLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{status: 400}
		c := newClient(t, s, nil)
		for i := range 5 {
			c.Record(t.Context(), denial(i))
			time.Sleep(time.Minute)
		}
		if n := s.posts(); n > 10 {
			t.Errorf("%d posts for 5 denials", n)
		}
	})
}

func TestNoTokenNoPost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		source := &tokens{err: countersign.NewError(countersign.BadClient, "", "")}
		c := newClient(t, s, func(cfg *auditclient.Config) { cfg.Source = source })
		c.Record(t.Context(), denial(1))
		if err := c.Flush(t.Context()); countersign.CodeOf(err) != countersign.BadClient || s.posts() != 0 {
			t.Errorf("Flush: %v, %d posts", err, s.posts())
		}
	})
}

func TestGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c := newClient(t, s, nil)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		c.Record(t.Context(), denial(1))
		if err := c.Flush(ended); err == nil {
			t.Error("Flush with an ended context succeeded")
		}
		time.Sleep(5 * time.Second)
		if len(s.all()) != 1 {
			t.Error("what Flush gave up was not sent later")
		}
	})
}
