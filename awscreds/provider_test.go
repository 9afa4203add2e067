package awscreds_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
)

// inBubble runs a test of a provider on the clock of synctest.
func inBubble(t *testing.T, run func(t *testing.T, e *endpoint, p *awscreds.Provider)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		p := awscreds.NewWebIdentity(webConfig(e))
		defer p.Close()
		run(t, e, p)
	})
}

func TestProviderManyCallersOneLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { mustRetrieve(t, p) })
		}
		callers.Wait()
		if n := e.calls.Load(); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestProviderRefreshesInTheBackground(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		first := mustRetrieve(t, p)
		time.Sleep(time.Hour - 91*time.Second)
		mustRetrieve(t, p)
		synctest.Wait()
		if n := e.calls.Load(); n != 1 {
			t.Fatalf("%d requests before the refresh is due", n)
		}
		time.Sleep(32 * time.Second) // 59 s before the end: due whatever the jitter
		hold := make(chan struct{})
		e.set(func(*http.Request, url.Values) (int, http.Header, string) {
			<-hold
			return 200, nil, answerXML(2, time.Hour)
		})
		for range 3 { // nobody who can have valid credentials waits, and one login is enough
			if got := mustRetrieve(t, p); got != first {
				t.Error("not the credentials that are still valid")
			}
		}
		synctest.Wait()
		if n := e.calls.Load(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		close(hold)
		synctest.Wait()
		if got := mustRetrieve(t, p); got.AccessKeyID != accessKeyID(2) {
			t.Errorf("%s after the refresh", got.AccessKeyID)
		}
	})
}

func TestProviderRefreshJitters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := make(map[time.Duration]bool)
		for range 5 {
			e := &endpoint{}
			p := awscreds.NewWebIdentity(webConfig(e))
			end := mustRetrieve(t, p).Expires
			time.Sleep(time.Until(end) - 95*time.Second)
			for e.calls.Load() < 2 {
				mustRetrieve(t, p)
				time.Sleep(time.Second)
				synctest.Wait()
			}
			before := time.Until(end)
			if before < 58*time.Second || before > 91*time.Second {
				t.Errorf("refreshed %v before the end", before)
			}
			at[before] = true
			_ = p.Close()
		}
		if len(at) < 2 {
			t.Error("five providers refreshed at the same second")
		}
	})
}

// Credentials that live for less than the margin must not be asked for without end.
func TestProviderShortLivedCredentialsAreNoLoop(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		e.set(func(*http.Request, url.Values) (int, http.Header, string) {
			return 200, nil, answerXML(e.calls.Load(), 20*time.Second)
		})
		for range 600 {
			mustRetrieve(t, p)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if n := e.calls.Load(); n < 4 || n > 8 {
			t.Errorf("%d logins in a minute for credentials of 20 s", n)
		}
	})
}

func TestProviderLastGoodCredentialsThroughAnOutage(t *testing.T) {
	for name, code := range map[string]string{"down": "", "idp unreachable": "IDPCommunicationError", "refused": "AccessDenied"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
				first := mustRetrieve(t, p)
				time.Sleep(time.Hour - 5*time.Minute)
				if code == "" {
					e.set(func(*http.Request, url.Values) (int, http.Header, string) { return 0, nil, "" })
				} else {
					e.fail(400, code)
				}
				for time.Now().Before(first.Expires) {
					if got := mustRetrieve(t, p); got != first {
						t.Fatal("not the last good credentials")
					}
					time.Sleep(time.Second)
				}
				if n := e.calls.Load(); n < 2 || n > 9 {
					t.Errorf("%d requests in the last minute and a half: not an exponential backoff", n)
				}
				if _, err := p.Retrieve(t.Context()); err == nil {
					t.Error("expired credentials were given out")
				}
				e.set(nil)
				time.Sleep(5 * time.Minute)
				mustRetrieve(t, p)
			})
		})
	}
}

func TestProviderBackoffAnswersAtOnce(t *testing.T) {
	tests := []struct {
		name     string
		status   int
		code     string
		header   http.Header
		want     countersign.Code
		min, max time.Duration // of the first backoff
	}{
		{"down", 0, "", nil, countersign.Upstream, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"retry after", 503, "ServiceUnavailable", http.Header{"Retry-After": {"40"}}, countersign.Unavailable, 40 * time.Second, 40 * time.Second},
		{"throttled", 400, "Throttling", http.Header{"Retry-After": {"7"}}, countersign.Throttled, 7 * time.Second, 7 * time.Second},
		{"throttled for a year", 429, "", http.Header{"Retry-After": {"31536000"}}, countersign.Throttled, 5 * time.Minute, 5 * time.Minute},
		{"denied", 403, "AccessDenied", nil, countersign.Denied, 24 * time.Second, 36 * time.Second},
		{"denied, retry after", 403, "AccessDenied", http.Header{"Retry-After": {"1"}}, countersign.Denied, 24 * time.Second, 36 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
				e.set(func(*http.Request, url.Values) (int, http.Header, string) {
					return test.status, test.header, errorXML(test.code, "no")
				})
				_, err := p.Retrieve(t.Context())
				wantCode(t, err, test.want)
				_, err = p.Retrieve(t.Context())
				wantCode(t, err, test.want)
				var detail *countersign.Error
				if !errors.As(err, &detail) || detail.RetryAfter < test.min || detail.RetryAfter > test.max {
					t.Fatalf("in backoff: %#v, want RetryAfter %v to %v", err, test.min, test.max)
				}
				time.Sleep(detail.RetryAfter - time.Millisecond)
				_, _ = p.Retrieve(t.Context())
				if n := e.calls.Load(); n != 1 {
					t.Errorf("%d requests before the backoff ended", n)
				}
				time.Sleep(time.Millisecond)
				_, _ = p.Retrieve(t.Context())
				if n := e.calls.Load(); n != 2 {
					t.Errorf("%d requests after the backoff ended, want 2", n)
				}
			})
		})
	}
}

// A clock that is wrong by hours: an error, and no storm of logins.
func TestProviderCredentialsThatHaveExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		e.set(func(*http.Request, url.Values) (int, http.Header, string) {
			return 200, nil, answerXML(1, -time.Second)
		})
		for range 600 {
			_, err := p.Retrieve(t.Context())
			wantCode(t, err, countersign.Upstream)
			time.Sleep(time.Second)
		}
		if n := e.calls.Load(); n > 20 {
			t.Errorf("%d logins in ten minutes", n)
		}
	})
}

// The STS's clock is ahead: what was asked for bounds how long credentials are believed.
func TestProviderLifeIsAtMostWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		cfg := webConfig(e)
		cfg.Duration = 15 * time.Minute
		p := awscreds.NewWebIdentity(cfg)
		defer p.Close()
		if got := time.Until(mustRetrieve(t, p).Expires); got != 15*time.Minute {
			t.Errorf("believed for %v", got)
		}
	})
}

// An aws.CredentialsCache is around every provider that an SDK is configured with.
func TestProviderBehindTheCacheOfTheSDK(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		cache := aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 10 * time.Minute })
		first := mustRetrieve(t, cache)
		if left := time.Until(first.Expires); left <= 0 || left > 10*time.Second {
			t.Errorf("the cache keeps them for %v", left)
		}
		time.Sleep(time.Hour - 59*time.Second)
		hold := make(chan struct{})
		e.set(func(*http.Request, url.Values) (int, http.Header, string) {
			<-hold
			return 200, nil, answerXML(2, time.Hour)
		})
		if got := mustRetrieve(t, cache); got.AccessKeyID != first.AccessKeyID { // and does not wait
			t.Errorf("%s, want the credentials that are still valid", got.AccessKeyID)
		}
		close(hold)
		synctest.Wait()
		time.Sleep(6 * time.Second)
		if got := mustRetrieve(t, cache); got.AccessKeyID != accessKeyID(2) {
			t.Errorf("%s, want the fresh credentials", got.AccessKeyID)
		}
		time.Sleep(time.Hour - 8*time.Second)
		if got := mustRetrieve(t, cache); got.Expired() || !got.CanExpire {
			t.Error("expired credentials out of the cache")
		}
	})
}

func TestProviderCallerGivesUpOthersDont(t *testing.T) {
	inBubble(t, func(t *testing.T, e *endpoint, p *awscreds.Provider) {
		hold := make(chan struct{})
		e.set(func(*http.Request, url.Values) (int, http.Header, string) {
			<-hold
			return 200, nil, answerXML(1, time.Hour)
		})
		impatient, cancel := context.WithCancel(t.Context())
		outcome := make(chan error, 2)
		go func() { _, err := p.Retrieve(impatient); outcome <- err }()
		synctest.Wait()
		go func() { _, err := p.Retrieve(t.Context()); outcome <- err }()
		synctest.Wait()
		cancel()
		if err := <-outcome; !errors.Is(err, context.Canceled) {
			t.Errorf("who gave up got %v", err)
		}
		close(hold)
		if err := <-outcome; err != nil {
			t.Errorf("who stayed got %v", err)
		}
	})
}

func TestProviderClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(nil)
		cfg.HTTPClient = &http.Client{Transport: hanging{}}
		p := awscreds.NewWebIdentity(cfg)
		outcome := make(chan error, 1)
		go func() { _, err := p.Retrieve(t.Context()); outcome <- err }()
		synctest.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wantCode(t, <-outcome, countersign.Upstream)
		_, err := p.Retrieve(t.Context())
		wantCode(t, err, countersign.Unavailable)
		_ = p.Close()
	})
}

// BenchmarkRetrieveHit: what every signed request pays.
func BenchmarkRetrieveHit(b *testing.B) {
	p := awscreds.NewWebIdentity(webConfig(&endpoint{}))
	defer p.Close()
	if _, err := p.Retrieve(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Retrieve(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func TestProviderRefreshBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		cfg := webConfig(e)
		cfg.RefreshBefore = 18 * time.Minute
		p := awscreds.NewWebIdentity(cfg)
		defer p.Close()
		mustRetrieve(t, p)
		for _, step := range []struct {
			at    time.Duration
			calls int64
		}{{32 * time.Minute, 1}, {43 * time.Minute, 2}} {
			time.Sleep(step.at - time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			mustRetrieve(t, p)
			synctest.Wait()
			if n := e.calls.Load(); n != step.calls {
				t.Errorf("%d requests after %v, want %d", n, step.at, step.calls)
			}
		}
	})
}
