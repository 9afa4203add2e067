package verify_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/verify"
)

// TestOlderServerIsNotFollowed: one whose metadata names no feed, until it does; then it
// never counts as an older one again.
func TestOlderServerIsNotFollowed(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	older := f.metadata().with(object{"revocations_endpoint": nil, "revocations_jwks_uri": nil})
	f.discover(f.document(older))
	token := f.token(nil)
	done := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(t.Context(), token)
		done <- err
	}()
	if err := f.attempt(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if d := <-f.slept; d < time.Hour {
		t.Errorf("an older server is asked again after %v", d)
	}
	if f.discoveries() != 1 {
		t.Errorf("%d discoveries, want one for the keys and the feed", f.discoveries())
	}
	f.advance(23 * time.Hour) // it is never stale
	f.wantGood(token)
	f.discover(f.document(f.metadata()))
	if err := f.attempt(); err != nil { // the keys were fetched with what was known before
		t.Error(err)
	}
}

func TestServerThatLearnsTheFeed(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.discover(f.document(f.metadata().with(object{"revocations_endpoint": nil})))
	token := f.token(object{"jti": "x"})
	done := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(t.Context(), token)
		done <- err
	}()
	if err := f.attempt(); err != nil || <-done != nil {
		t.Fatal(err)
	}
	f.advance(2 * time.Hour)
	f.discover(f.document(f.metadata()))
	if err := f.sendText(""); err == nil { // the feed is named and has no page yet
		t.Error("nothing was taken for a page")
	}
	f.wantGood(token)
	f.advance(10*time.Minute + time.Second)
	f.want(token, unknown)
	if err := f.send(f.page(0, 5, object{"seq": 1, "jti": "x"})); err != nil {
		t.Fatal(err)
	}
	f.want(token, revoked)
	// Leaving it out again ends nothing.
	f.advance(2 * time.Hour)
	f.discover(f.document(f.metadata().with(object{"revocations_endpoint": nil})))
	if _, err := f.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }); err == nil {
		t.Error("404 was taken")
	}
	f.want(token, unknown)
	if err := f.send(f.page(5, 6)); err != nil { // an old server had answered, in an upgrade
		t.Error(err)
	}
	f.want(token, revoked)
	f.wantGood(f.token(nil))
}

// TestFeedThatBreaksBeforeItsFirstPage: who has learned of a feed does not forget it.
func TestFeedThatBreaksBeforeItsFirstPage(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	without := f.metadata().with(object{"revocations_endpoint": nil})
	f.discover(f.document(without))
	done := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(t.Context(), f.token(nil))
		done <- err
	}()
	if err := f.attempt(); err != nil || <-done != nil {
		t.Fatal(err)
	}
	for _, metadata := range []object{f.metadata().with(object{"revocations_jwks_uri": "/feed-keys"}), without} {
		f.advance(2 * time.Hour)
		f.discover(f.document(metadata))
		if err := f.attempt(); err == nil {
			t.Error("a feed that can't be used was taken for none")
		}
	}
	f.want(f.token(nil), unknown)
}

// TestRuleC2FeedOfAnotherOrigin is not asked, and does not count as missing.
func TestRuleC2FeedOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("it was asked")
	}))
	t.Cleanup(elsewhere.Close)
	for name, change := range map[string]object{
		"feed elsewhere":      {"revocations_endpoint": elsewhere.URL + "/feed"},
		"keys elsewhere":      {"revocations_jwks_uri": elsewhere.URL + "/feed-keys"},
		"feed relative":       {"revocations_endpoint": "/feed"},
		"feed of localhost":   {"revocations_endpoint": "http://localhost/feed"},
		"plain http":          {"revocations_endpoint": "http://auth.example.com/feed"},
		"feed empty":          {"revocations_endpoint": ""},
		"no keys":             {"revocations_jwks_uri": nil},
		"keys of tokens":      {"revocations_jwks_uri": "tokens"},
		"keys with user info": {"revocations_jwks_uri": "http://a:b@127.0.0.1/feed-keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFeed(t, impatient)
			if change["revocations_jwks_uri"] == "tokens" {
				change = object{"revocations_jwks_uri": f.URL + "/jwks"}
			}
			f.discover(f.document(f.metadata().with(change)))
			f.want(f.token(nil), unknown)
			if err := f.attempt(); err == nil {
				t.Error("taken")
			}
			f.want(f.token(nil), unknown)
			f.wantGood(mint(header(), userClaims()))
		})
	}
}

// TestRuleC2FeedAddressFilter: what is dialled is judged as for keys.
func TestRuleC2FeedAddressFilter(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"loopback": "https://127.0.0.1:1/feed", "metadata": "https://169.254.169.254/feed", "private": "https://10.0.0.1/feed",
	} {
		taken := make(chan error)
		v := newVerifier(t, verify.Config{Audience: audience, Now: func() time.Time { return now }, Issuers: []verify.Issuer{{
			// An issuer that is written as a loopback may have its feed there; that the
			// address behind a name is one is seen when it is dialled.
			URL: "http://127.0.0.1", Keys: keys(), RevocationsURL: url, RevocationsJWKSURL: "https://auth.example.com/keys",
		}}})
		v.SetFeedHooks(verify.FeedHooks{Taken: func(err error) {
			select {
			case taken <- err:
			case <-v.Done():
			}
		}})
		_, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"iss": "http://127.0.0.1"})))
		wantReason(t, err, unknown)
		err = <-taken
		if filtered := errors.Is(err, egress.ErrAddress); filtered != (name != "loopback") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFeedThatIsConfigured: with keys that are given, and on another host.
func TestFeedThatIsConfigured(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://auth.example.com"
	for name, source := range map[string]verify.Issuer{"keys": {Keys: keys()}, "a JWKS URL": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFeed(t, func(f *feed, cfg *verify.Config) {
				own := &cfg.Issuers[0]
				own.URL, own.Keys, own.AllowPrivateAddresses = elsewhere, source.Keys, true
				own.RevocationsURL, own.RevocationsJWKSURL = f.URL+"/feed?tenant=a", f.URL+"/feed-keys"
				if own.Keys == nil {
					own.JWKSURL = f.URL + "/jwks"
				}
			})
			iss := object{"iss": elsewhere}
			done := make(chan error, 1)
			go func() {
				_, err := f.v.Verify(t.Context(), f.token(iss))
				done <- err
			}()
			query, err := f.serve(f.answerWith(f.page(0, 10).with(iss)))
			if err != nil || query.Get("tenant") != "a" || query.Get("since") != "0" || query.Has("epoch") {
				t.Errorf("asked for %v: %v", query, err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err := f.send(f.page(10, 11, object{"seq": 11, "jti": "x"}).with(iss)); err != nil {
				t.Fatal(err)
			}
			f.want(f.token(object{"iss": elsewhere, "jti": "x"}), revoked)
			if err := f.send(f.page(11, 12)); err == nil {
				t.Error("a page of the host that serves it was taken")
			}
			if f.discoveries() != 0 {
				t.Error("the metadata was asked for")
			}
		})
	}
}

// TestWhoIsFollowed: countersign issuers by discovery, and where it is configured; one
// follower for issuers with one URL.
func TestWhoIsFollowed(t *testing.T) {
	t.Parallel()
	feedURLs := verify.Issuer{URL: issuerURL, RevocationsURL: issuerURL + "/feed", RevocationsJWKSURL: issuerURL + "/keys"}
	static := feedURLs
	static.Keys = keys()
	for name, test := range map[string]struct {
		issuers []verify.Issuer
		want    int
	}{
		"discovery":       {[]verify.Issuer{{URL: issuerURL}}, 1},
		"by their role":   {[]verify.Issuer{{URL: issuerURL, Audiences: []string{"a"}}, {URL: issuerURL, Audiences: []string{"b"}, Subject: verify.User, Profile: verify.Countersign}}, 1},
		"two issuers":     {[]verify.Issuer{{URL: issuerURL}, {URL: issuerURL + "/b"}}, 2},
		"both configured": {[]verify.Issuer{feedURLs}, 1},
		"with keys":       {[]verify.Issuer{static}, 1},
		"keys alone":      {[]verify.Issuer{{URL: issuerURL, Keys: keys()}}, 0},
		"JWKS URL alone":  {[]verify.Issuer{{URL: issuerURL, JWKSURL: issuerURL + "/jwks"}}, 0},
		"ignored":         {[]verify.Issuer{{URL: issuerURL, IgnoreRevocations: true}}, 0},
		"foreign":         {[]verify.Issuer{{URL: foreignURL, Subject: verify.User}}, 0},
		"cognito":         {[]verify.Issuer{{URL: foreignURL, Subject: verify.User, Profile: verify.Cognito, TokenUse: "id"}}, 0},
	} {
		v := newVerifier(t, verify.Config{Audience: audience, Issuers: test.issuers})
		if got := v.FeedFollowers(); got != test.want {
			t.Errorf("%s: %d followers, want %d", name, got, test.want)
		}
	}
}

func TestIgnoredFeedIsNotAsked(t *testing.T) {
	t.Parallel()
	f := newFeed(t, func(_ *feed, cfg *verify.Config) { cfg.Issuers[0].IgnoreRevocations = true })
	f.wantGood(f.token(nil)) // a request would wait for serve
	f.advance(24 * time.Hour)
	f.wantGood(f.token(nil))
}

func TestFeedConfigThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*verify.Config, *verify.Issuer){
		"negative staleness":   func(cfg *verify.Config, _ *verify.Issuer) { cfg.MaxStaleness = -1 },
		"no keys":              func(_ *verify.Config, i *verify.Issuer) { i.RevocationsJWKSURL = "" },
		"keys alone":           func(_ *verify.Config, i *verify.Issuer) { i.RevocationsURL = "" },
		"plain http":           func(_ *verify.Config, i *verify.Issuer) { i.RevocationsURL = "http://auth.example.com/feed" },
		"keys plain http":      func(_ *verify.Config, i *verify.Issuer) { i.RevocationsJWKSURL = "http://auth.example.com/keys" },
		"relative":             func(_ *verify.Config, i *verify.Issuer) { i.RevocationsURL = "/feed" },
		"loopback":             func(_ *verify.Config, i *verify.Issuer) { i.RevocationsURL = "https://127.0.0.1/feed" },
		"keys on the loopback": func(_ *verify.Config, i *verify.Issuer) { i.RevocationsJWKSURL = "http://localhost/keys" },
		"ignored and named":    func(_ *verify.Config, i *verify.Issuer) { i.IgnoreRevocations = true },
		"the keys of tokens":   func(_ *verify.Config, i *verify.Issuer) { i.JWKSURL = i.RevocationsJWKSURL },
		"a foreign issuer":     func(_ *verify.Config, i *verify.Issuer) { i.Subject = verify.User },
	} {
		i := verify.Issuer{URL: issuerURL, RevocationsURL: issuerURL + "/feed", RevocationsJWKSURL: issuerURL + "/keys"}
		cfg := verify.Config{Audience: audience}
		change(&cfg, &i)
		cfg.Issuers = []verify.Issuer{i}
		if _, err := verify.New(cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

// TestCloseEndsTheFollower, while the server holds its request; TestMain looks for what
// is left.
func TestCloseEndsTheFollower(t *testing.T) {
	t.Parallel()
	f := followed(t)
	held := make(chan struct{})
	go func() {
		for {
			select {
			case <-f.slept:
			case <-f.asked: // and no answer
				close(held)
				return
			}
		}
	}()
	<-held
	if err := f.v.Close(); err != nil {
		t.Error(err)
	}
	f.wantGood(f.token(nil))
	f.advance(11 * time.Minute)
	f.want(f.token(nil), unknown)
	if err := f.v.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseBeforeTheFirstToken: nothing starts afterwards, and nobody waits.
func TestCloseBeforeTheFirstToken(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	if err := f.v.Close(); err != nil {
		t.Error(err)
	}
	f.wantGood(mint(header(), userClaims()))
	f.want(f.token(nil), countersign.ReasonKeysUnavailable)
}

// TestRevocationReachesAllWhoVerify runs with real pauses, and many who verify at once.
func TestRevocationReachesAllWhoVerify(t *testing.T) {
	t.Parallel()
	idp := newIDP(t)
	f := &feed{idp: idp, clock: newClock(), t: t}
	f.publish(jwk("k1", &ecKey.PublicKey))
	f.discover(f.document(f.metadata()))
	f.handle("GET /feed-keys", f.document(object{"keys": []any{jwk("feed-1", feedKey.Public())}}))
	news := make(chan struct{})
	first, second := f.answerWith(f.page(0, 10)), f.answerWith(f.page(10, 11, object{"seq": 11, "jti": "x"}))
	f.handle("GET /feed", func(w http.ResponseWriter, r *http.Request) {
		answer := first
		if r.URL.Query().Get("since") != "0" {
			select {
			case <-news:
				answer = second
			case <-r.Context().Done():
				return
			}
		}
		answer(w, r)
	})
	v := newVerifier(t, verify.Config{Audience: audience, Now: f.Now, Issuers: []verify.Issuer{{URL: idp.URL}}})
	token := f.token(object{"jti": "x"})
	var wg sync.WaitGroup
	verified := make(chan struct{}, 8)
	for range cap(verified) {
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
			verified <- struct{}{}
			for {
				if _, err := v.Verify(t.Context(), token); err != nil {
					wantReason(t, err, revoked)
					return
				}
			}
		})
	}
	for range cap(verified) {
		<-verified
	}
	close(news)
	wg.Wait()
}
