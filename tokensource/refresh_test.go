package tokensource_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func TestClientCredentialsRefreshesInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		time.Sleep(600 * time.Second) // 67 % of 900 s
		mustToken(t, source, "a")
		if n := e.calls.Load(); n != 1 {
			t.Fatalf("%d requests before the refresh is due", n)
		}
		time.Sleep(170 * time.Second) // 86 %
		hold := make(chan struct{})
		e.set(func(*http.Request) (int, http.Header, string) {
			<-hold
			return 200, nil, tokenBody("fresh", 900)
		})
		for range 3 { // nobody who can have a valid token waits, and one request is enough
			if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
				t.Error("not the token that is still valid")
			}
		}
		synctest.Wait()
		if n := e.calls.Load(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		close(hold)
		synctest.Wait()
		if got := mustToken(t, source, "a").Value.Reveal(); got != "fresh" {
			t.Errorf("token %q after the refresh", got)
		}
	})
}

func TestClientCredentialsRefreshJitters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := make(map[time.Duration]bool)
		for range 5 {
			e := &endpoint{}
			source := newSource(e)
			start := time.Now()
			for e.calls.Load() < 2 {
				mustToken(t, source, "a")
				time.Sleep(time.Second)
				synctest.Wait()
			}
			after := time.Since(start)
			if after < 900*3/4*time.Second || after > 900*87/100*time.Second {
				t.Errorf("refreshed after %v of 15 min", after)
			}
			at[after] = true
			_ = source.Close()
		}
		if len(at) < 2 {
			t.Error("five sources refreshed at the same second")
		}
	})
}

func TestClientCredentialsLastGoodTokenThroughAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		e.set(func(*http.Request) (int, http.Header, string) { return 0, nil, "" })
		for time.Now().Before(first.ExpiresAt) {
			if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
				t.Fatal("not the last good token")
			}
			time.Sleep(5 * time.Second)
		}
		if n := e.calls.Load(); n < 4 || n > 12 {
			t.Errorf("%d requests in 180 s of outage: not an exponential backoff", n)
		}
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Upstream)
		e.set(nil)
		time.Sleep(2 * time.Minute)
		mustToken(t, source, "a")
	})
}

func TestClientCredentialsBackoffAnswersAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		status   int
		word     string
		header   http.Header
		want     countersign.Code
		min, max time.Duration // of the first backoff
	}{
		{"server down", 503, "", nil, countersign.Unavailable, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"retry after", 503, "", http.Header{"Retry-After": {"40"}}, countersign.Unavailable, 40 * time.Second, 40 * time.Second},
		{"throttled", 429, "", http.Header{"Retry-After": {"7"}}, countersign.Throttled, 7 * time.Second, 7 * time.Second},
		{"throttled for a year", 429, "", http.Header{"Retry-After": {"31536000"}}, countersign.Throttled, 5 * time.Minute, 5 * time.Minute},
		{"retry after makes no sense", 503, "", http.Header{"Retry-After": {"-3"}}, countersign.Unavailable, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"client refused", 401, "invalid_client", nil, countersign.BadClient, 24 * time.Second, 36 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{}
				e.set(func(*http.Request) (int, http.Header, string) {
					return test.status, test.header, `{"error":"` + test.word + `"}`
				})
				source := newSource(e)
				defer source.Close()
				_, err := source.Token(t.Context(), "a")
				wantCode(t, err, test.want)
				_, err = source.Token(t.Context(), "a")
				wantCode(t, err, test.want)
				var detail *countersign.Error
				if !errors.As(err, &detail) || detail.RetryAfter < test.min || detail.RetryAfter > test.max {
					t.Fatalf("in backoff: %#v, want RetryAfter %v to %v", err, test.min, test.max)
				}
				time.Sleep(detail.RetryAfter - time.Millisecond)
				_, _ = source.Token(t.Context(), "a")
				if n := e.calls.Load(); n != 1 {
					t.Errorf("%d requests before the backoff ended", n)
				}
				time.Sleep(time.Millisecond)
				_, _ = source.Token(t.Context(), "a")
				if n := e.calls.Load(); n != 2 {
					t.Errorf("%d requests after the backoff ended, want 2", n)
				}
			})
		})
	}
}

func TestClientCredentialsRefusedClientIsNoLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		e.fail(401, "invalid_client")
		source := newSource(e)
		defer source.Close()
		for range 3600 {
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.BadClient)
			time.Sleep(time.Second)
		}
		if n := e.calls.Load(); n > 20 {
			t.Errorf("a refused client asked %d times in an hour", n)
		}
	})
}

func TestClientCredentialsInvalidateDropsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		source := newSource(e)
		defer source.Close()
		first := mustToken(t, source, "a")
		other := mustToken(t, source, "b")
		source.Invalidate("a", other)               // not a's token
		source.Invalidate("a", tokensource.Token{}) // no token
		source.Invalidate("c", first)               // nobody asked for c
		if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
			t.Fatal("somebody else's refusal dropped the token")
		}
		for range 10 {
			source.Invalidate("a", first)
		}
		second := mustToken(t, source, "a")
		if second.Value.Equal(first.Value) {
			t.Fatal("the refused token came again")
		}
		source.Invalidate("a", first) // late news of the old one
		source.Invalidate("a", second)
		if got := mustToken(t, source, "a"); !got.Value.Equal(second.Value) {
			t.Error("a second refusal within the minute made another request")
		}
		time.Sleep(time.Minute)
		source.Invalidate("a", second)
		if got := mustToken(t, source, "a"); got.Value.Equal(second.Value) {
			t.Error("a refusal a minute later had no effect")
		}
		if n := e.calls.Load(); n != 4 {
			t.Errorf("%d requests, want 4", n)
		}
	})
}

// A receiver that refuses a token while the token endpoint is down must not take away
// what may still be good.
func TestClientCredentialsInvalidateDuringAnOutage(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	source := newSource(e)
	defer source.Close()
	first := mustToken(t, source, "a")
	e.fail(503, "")
	source.Invalidate("a", first)
	for range 2 { // from the failed request, and in the backoff
		if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
			t.Error("not the last good token")
		}
	}
	e2 := &endpoint{}
	refused := newSource(e2)
	defer refused.Close()
	first = mustToken(t, refused, "a")
	e2.fail(401, "invalid_client")
	refused.Invalidate("a", first)
	_, err := refused.Token(t.Context(), "a")
	wantCode(t, err, countersign.BadClient)
}
