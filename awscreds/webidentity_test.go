package awscreds_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/tokensource"
)

func TestWebIdentitySendsTheRequest(t *testing.T) {
	t.Parallel()
	e := &endpoint{}
	var got *http.Request
	e.set(func(r *http.Request, _ url.Values) (int, http.Header, string) {
		got = r
		return 200, nil, answerXML(7, 15*time.Minute)
	})
	cfg := webConfig(e)
	source := &tokens{value: jwt(`{"sub":"x"}`)}
	cfg.Source, cfg.Duration, cfg.Policy, cfg.RoleSessionName = source, 15*time.Minute, `{"Version":"2012-10-17"}`, "me@here"
	credentials := mustRetrieve(t, newWeb(t, cfg))
	want := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN}, "RoleSessionName": {"me@here"},
		"DurationSeconds": {"900"}, "Policy": {`{"Version":"2012-10-17"}`}, "WebIdentityToken": {source.value},
	}
	if diff := cmp.Diff(want, e.form()); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	if got.Method != "POST" || got.URL.String() != "https://auth.example.com/sts" || got.Header.Get("Authorization") != "" {
		t.Errorf("%s %s, %v: the token belongs into the body only", got.Method, got.URL, got.Header)
	}
	if diff := cmp.Diff([]string{"sts"}, source.audiences); diff != "" {
		t.Errorf("audiences (-want +got):\n%s", diff)
	}
	if credentials.AccessKeyID != accessKeyID(7) || credentials.SecretAccessKey != "secret-7" || credentials.SessionToken != "session-7" ||
		!credentials.CanExpire || credentials.AccountID != "123456789012" || credentials.Source == "" {
		t.Errorf("credentials %+v", credentials)
	}
}

func TestWebIdentityDefaultSessionName(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{
		jwt(`{"sub":"document-service"}`):                   "document-service",
		jwt(`{"sub":"system:serviceaccount:docs:writer"}`):  "system-serviceaccount-docs-writer",
		jwt(`{"sub":"repo:acme/docs:ref:refs/heads/main"}`): "repo-acme-docs-ref-refs-heads-main",
		jwt(`{"sub":"ü` + strings.Repeat("x", 100) + `"}`):  "--" + strings.Repeat("x", 62),
		jwt(`{"sub":"a"}`):       "countersign",
		jwt(`{"sub":7}`):         "countersign",
		jwt(`{}`):                "countersign",
		"opaque":                 "countersign",
		"a.%%.c":                 "countersign",
		jwt(`{"sub":"a b\n\""}`): "a-b--",
	} {
		e := &endpoint{}
		cfg := webConfig(e)
		cfg.Source = &tokens{value: token}
		mustRetrieve(t, newWeb(t, cfg))
		form := e.form()
		if got := form.Get("RoleSessionName"); got != want {
			t.Errorf("session %q, want %q", got, want)
		}
		if form.Has("DurationSeconds") || form.Has("Policy") {
			t.Errorf("parameters that nobody set: %v", form)
		}
	}
}

func TestConfigThatCanNotWork(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*awscreds.WebIdentityConfig){
		"no sts":                func(c *awscreds.WebIdentityConfig) { c.STS = "" },
		"plain http":            func(c *awscreds.WebIdentityConfig) { c.STS = "http://auth.example.com/sts" },
		"plain http, private":   func(c *awscreds.WebIdentityConfig) { c.STS = "http://10.0.0.1/sts" },
		"loopback lookalike":    func(c *awscreds.WebIdentityConfig) { c.STS = "http://127.0.0.1.example.com/" },
		"password in the url":   func(c *awscreds.WebIdentityConfig) { c.STS = "https://a:b@auth.example.com/" },
		"query":                 func(c *awscreds.WebIdentityConfig) { c.STS = "https://auth.example.com/?Action=x" },
		"empty query":           func(c *awscreds.WebIdentityConfig) { c.STS = "https://auth.example.com/?" },
		"fragment":              func(c *awscreds.WebIdentityConfig) { c.STS = "https://auth.example.com/#x" },
		"no role":               func(c *awscreds.WebIdentityConfig) { c.RoleARN = "" },
		"bare role":             func(c *awscreds.WebIdentityConfig) { c.RoleARN = "document-writer" },
		"role with a break":     func(c *awscreds.WebIdentityConfig) { c.RoleARN = roleARN + "\n" },
		"no source":             func(c *awscreds.WebIdentityConfig) { c.Source = nil },
		"session name of one":   func(c *awscreds.WebIdentityConfig) { c.RoleSessionName = "a" },
		"session name of words": func(c *awscreds.WebIdentityConfig) { c.RoleSessionName = "a b" },
		"session name too long": func(c *awscreds.WebIdentityConfig) { c.RoleSessionName = strings.Repeat("a", 65) },
		"session, line break":   func(c *awscreds.WebIdentityConfig) { c.RoleSessionName = "ab\n" },
		"too short":             func(c *awscreds.WebIdentityConfig) { c.Duration = 14 * time.Minute },
		"too long":              func(c *awscreds.WebIdentityConfig) { c.Duration = 13 * time.Hour },
		"negative":              func(c *awscreds.WebIdentityConfig) { c.Duration = -time.Hour },
		"not in seconds":        func(c *awscreds.WebIdentityConfig) { c.Duration = time.Hour + time.Millisecond },
		"policy too long":       func(c *awscreds.WebIdentityConfig) { c.Policy = strings.Repeat("x", 2049) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			cfg := webConfig(e)
			change(&cfg)
			_, err := newWeb(t, cfg).Retrieve(t.Context())
			wantCode(t, err, countersign.Invalid)
			if e.calls.Load() != 0 {
				t.Error("it asked nevertheless")
			}
		})
	}
}

// TestRuleC5NoTokenOnARedirect: a 307 would carry the token to wherever it points.
func TestRuleC5NoTokenOnARedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(thief.URL, status))
		for name, client := range map[string]*http.Client{"guarded": nil, "own": server.Client()} {
			cfg := webConfig(nil)
			cfg.STS, cfg.HTTPClient = server.URL, client
			_, err := newWeb(t, cfg).Retrieve(t.Context())
			wantCode(t, err, countersign.Upstream)
			if leaked.Load() != 0 {
				t.Errorf("%s client, %d: the token followed a redirect", name, status)
			}
		}
		server.Close()
	}
}

// A token that the STS refuses is told to the source, and a fresh one is tried once.
func TestWebIdentityRefusedTokenOnceMore(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"InvalidIdentityToken", "ExpiredTokenException"} {
		e := &endpoint{}
		e.set(func(_ *http.Request, form url.Values) (int, http.Header, string) {
			if form.Get("WebIdentityToken") != "fresh" {
				return 400, nil, errorXML(code, "no")
			}
			return 200, nil, answerXML(2, time.Hour)
		})
		cfg := webConfig(e)
		source := &tokens{value: "stale", next: "fresh"}
		cfg.Source = source
		if got := mustRetrieve(t, newWeb(t, cfg)); got.AccessKeyID != accessKeyID(2) {
			t.Errorf("%s: %+v", code, got)
		}
		if diff := cmp.Diff([]string{"stale"}, source.refused); diff != "" {
			t.Errorf("refused tokens (-want +got):\n%s", diff)
		}
	}
}

func TestWebIdentityRefusedTokenIsNoLoop(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source tokensource.Source
		code   string
		want   int64
	}{
		"a source that can't do better": {&tokens{value: "stale"}, "InvalidIdentityToken", 1},
		"a fresh one is refused too":    {&tokens{value: "stale", next: "fresh"}, "InvalidIdentityToken", 2},
		"not the token's fault":         {&tokens{value: "stale", next: "fresh"}, "AccessDenied", 1},
		"a source that is told nothing": {tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
			return tokensource.Token{Value: countersign.NewSecret("stale")}, nil
		}), "InvalidIdentityToken", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.fail(400, test.code)
			cfg := webConfig(e)
			cfg.Source = test.source
			p := newWeb(t, cfg)
			for range 3 {
				if _, err := p.Retrieve(t.Context()); err == nil {
					t.Error("credentials for a refused token")
				}
			}
			if n := e.calls.Load(); n != test.want {
				t.Errorf("%d requests, want %d", n, test.want)
			}
		})
	}
}

func TestWebIdentitySourceFails(t *testing.T) {
	t.Parallel()
	for want, cause := range map[countersign.Code]error{
		countersign.BadClient:   countersign.NewError(countersign.BadClient, "", "no such client"),
		countersign.Unavailable: errors.New("a disk on fire"),
	} {
		e := &endpoint{}
		cfg := webConfig(e)
		cfg.Source = &tokens{err: cause}
		_, err := newWeb(t, cfg).Retrieve(t.Context())
		wantCode(t, err, want)
		if !errors.Is(err, cause) || e.calls.Load() != 0 {
			t.Errorf("%v after %d requests", err, e.calls.Load())
		}
		if n := strings.Count(err.Error(), cause.Error()); n != 1 {
			t.Errorf("the cause is told %d times: %v", n, err)
		}
	}
}

func TestWebIdentityTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := webConfig(nil)
		cfg.HTTPClient = &http.Client{Transport: hanging{}}
		p := awscreds.NewWebIdentity(cfg)
		defer p.Close()
		start := time.Now()
		_, err := p.Retrieve(t.Context())
		wantCode(t, err, countersign.Upstream)
		if waited := time.Since(start); waited != 25*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// An STS that never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
