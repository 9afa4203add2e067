package verify_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// feedKey signs pages and nothing else.
var feedKey = ed25519.NewKeyFromSeed([]byte("the key that signs revocations.."))

// feed is an issuer with a revocation feed and a receiver that follows it. Its follower
// goes on only as far as a test lets it: every request waits for serve or pass, and
// every pause for the next of them.
type feed struct {
	*idp
	*clock
	t       testing.TB
	v       *verify.Verifier
	asked   chan url.Values
	answers chan http.HandlerFunc
	taken   chan error
	slept   chan time.Duration
	pauses  []time.Duration // that were seen by serve and attempt
	// feedKeys answers for the feed's keys.
	feedKeys atomic.Pointer[http.HandlerFunc]
	longing  time.Duration // what a Verify waits when the clock has jumped
}

// newFeed returns a feed whose first page has not come yet.
func newFeed(t testing.TB, changes ...func(*feed, *verify.Config)) *feed {
	t.Helper()
	f := &feed{
		idp: newIDP(t), clock: newClock(), t: t,
		asked: make(chan url.Values), answers: make(chan http.HandlerFunc),
		taken: make(chan error), slept: make(chan time.Duration),
	}
	f.publish(jwk("k1", &ecKey.PublicKey), jwk("token-ed", edKey.Public()))
	f.discover(f.document(f.metadata()))
	f.publishFeedKeys(jwk("feed-1", feedKey.Public()))
	f.handle("GET /feed-keys", func(w http.ResponseWriter, r *http.Request) { (*f.feedKeys.Load())(w, r) })
	f.handle("GET /feed", func(w http.ResponseWriter, r *http.Request) {
		select {
		case f.asked <- r.URL.Query():
		case <-r.Context().Done():
			return
		}
		select {
		case answer := <-f.answers:
			answer(w, r)
		case <-r.Context().Done():
		}
	})
	cfg := verify.Config{
		Audience: audience, Now: f.Now,
		Issuers: []verify.Issuer{{URL: f.URL}, {URL: foreignURL, Subject: verify.User, Keys: keys()}},
	}
	patience := 10 * time.Second
	for _, change := range changes {
		if change == nil {
			patience = 0
			continue
		}
		change(f, &cfg)
	}
	f.v = newVerifier(t, cfg)
	f.v.SetFeedHooks(verify.FeedHooks{Patience: patience, Longing: f.longing, Sleep: func(ctx context.Context, d time.Duration) {
		select {
		case f.slept <- d:
		case <-ctx.Done():
		}
	}, Taken: func(err error) {
		select {
		case f.taken <- err:
		case <-f.v.Done():
		}
	}})
	return f
}

// publishFeedKeys sets the keys of the feed.
func (f *feed) publishFeedKeys(keys ...jose.JSONWebKey) {
	answer := f.document(jose.JSONWebKeySet{Keys: keys})
	f.feedKeys.Store(&answer)
}

// impatient has Verify not wait for the first page.
var impatient func(*feed, *verify.Config)

func (f *feed) metadata() object {
	return object{
		"issuer": f.URL, "jwks_uri": f.URL + "/jwks",
		"revocations_endpoint": f.URL + "/feed", "revocations_jwks_uri": f.URL + "/feed-keys",
	}
}

// followed returns a feed whose follower has taken an empty first page, with number 10.
func followed(t testing.TB, changes ...func(*feed, *verify.Config)) *feed {
	t.Helper()
	f := newFeed(t, changes...)
	f.first(f.page(0, 10))
	return f
}

// first verifies a token, which starts the follower, and serves its first page.
func (f *feed) first(page object) {
	f.t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(f.t.Context(), f.token(nil))
		done <- err
	}()
	if err := f.send(page); err != nil {
		f.t.Fatalf("the first page: %v", err)
	}
	if err := <-done; err != nil {
		f.t.Fatalf("after the first page: %v", err)
	}
}

// token is a service token of the issuer with changes.
func (f *feed) token(changes object) string {
	claims := serviceClaims().with(object{"iss": f.URL, "exp": now.Unix() + 36*3600}).with(changes)
	return mint(header(), claims)
}

// page is a good page of epoch e1.
func (f *feed) page(since, seq int64, entries ...object) object {
	if entries == nil {
		entries = []object{}
	}
	return object{
		"iss": f.URL, "iat": f.Now().Unix(), "epoch": "e1", "since": since, "seq": seq,
		"fresh_at": f.Now().UnixMilli(), "entries": entries,
	}
}

func feedHeader() object { return object{"alg": "EdDSA", "typ": "revocations+jwt", "kid": "feed-1"} }

// send serves a page that is signed as it should be.
func (f *feed) send(page object) error {
	f.t.Helper()
	return f.sendText(mintRaw(feedHeader(), must(json.Marshal(page)), feedKey))
}

// sendText serves a text as a page.
func (f *feed) sendText(text string) error {
	f.t.Helper()
	_, err := f.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/revocations+jwt")
		_, _ = w.Write([]byte(text))
	})
	return err
}

// serve answers the next request, and returns what the follower made of it and what it
// had asked for.
func (f *feed) serve(answer http.HandlerFunc) (url.Values, error) {
	f.t.Helper()
	for {
		select {
		case d := <-f.slept:
			f.pauses = append(f.pauses, d)
		case query := <-f.asked:
			f.answers <- answer
			return query, <-f.taken
		case err := <-f.taken:
			f.t.Fatalf("an attempt without a request: %v", err)
		case <-f.t.Context().Done():
			f.t.Fatal("the test has ended")
		}
	}
}

// attempt lets the follower try once, where it makes no request of the feed.
func (f *feed) attempt() error {
	f.t.Helper()
	for {
		select {
		case d := <-f.slept:
			f.pauses = append(f.pauses, d)
		case err := <-f.taken:
			return err
		case <-f.asked:
			f.t.Fatal("a request of the feed")
		}
	}
}

// wantGood checks that a token is taken.
func (f *feed) wantGood(token string) {
	f.t.Helper()
	if _, err := f.v.Verify(f.t.Context(), token); err != nil {
		f.t.Errorf("refused: %v", err)
	}
}

// want checks that a token is refused.
func (f *feed) want(token string, reason countersign.Reason) {
	f.t.Helper()
	_, err := f.v.Verify(f.t.Context(), token)
	wantReason(f.t, err, reason)
}

// revokeSubject is a RevocationChecker of one subject.
type revokeSubject string

func (s revokeSubject) Revoked(_ context.Context, t *verify.Token) (bool, error) {
	return t.Subject == string(s), nil
}

// payloadOf returns the payload of a token.
func payloadOf(token string) string {
	return string(must(base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])))
}

// answerWith answers with a good page.
func (f *feed) answerWith(page object) http.HandlerFunc {
	text := mintRaw(feedHeader(), must(json.Marshal(page)), feedKey)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/revocations+jwt")
		_, _ = w.Write([]byte(text))
	}
}

// serveHeld holds the next request for 20 seconds of the clock.
func (f *feed) serveHeld(page object) error {
	answer := f.answerWith(page)
	_, err := f.serve(func(w http.ResponseWriter, r *http.Request) {
		f.advance(20 * time.Second)
		answer(w, r)
	})
	return err
}

// renamed has a media type of its own.
type renamed struct {
	http.ResponseWriter
	mediaType string
}

func (r renamed) Write(p []byte) (int, error) {
	r.Header().Set("Content-Type", r.mediaType)
	return r.ResponseWriter.Write(p)
}

// serveHurried answers the next request, and lets no pause end: who verifies must do that.
func (f *feed) serveHurried(answer http.HandlerFunc) (url.Values, error) {
	f.t.Helper()
	query := <-f.asked
	f.answers <- answer
	return query, <-f.taken
}
