package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// remote is a receiver whose one issuer is a real HTTP server.
type remote struct {
	*idp
	*clock
	v *verify.Verifier
	t *testing.T
}

func newRemote(t *testing.T, changes ...func(*verify.Issuer)) *remote {
	t.Helper()
	r := &remote{idp: newIDP(t), clock: newClock(), t: t}
	r.publish(jwk("k1", &ecKey.PublicKey))
	i := verify.Issuer{URL: r.URL}
	for _, change := range changes {
		change(&i)
	}
	r.v = newVerifier(t, verify.Config{Audience: audience, Issuers: []verify.Issuer{i}, Now: r.Now})
	return r
}

// token is one of key and kid that is valid for a day and a half.
func (r *remote) token(kid string, key any) string {
	claims := serviceClaims().with(object{"iss": r.URL, "exp": now.Unix() + 36*3600})
	return mintRaw(header().with(object{"kid": kid}), must(json.Marshal(claims)), key)
}

func (r *remote) verify(kid string, key any) error {
	_, err := r.v.Verify(r.t.Context(), r.token(kid, key))
	return err
}

func (r *remote) wantFetches(want int) {
	r.t.Helper()
	if got := r.fetches(); got != want {
		r.t.Errorf("%d fetches, want %d", got, want)
	}
}

// eventually waits for what a background refresh does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestKeysAreDiscoveredOnFirstUse(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	r.wantFetches(0)
	for range 3 {
		if err := r.verify("k1", ecKey); err != nil {
			t.Fatal(err)
		}
	}
	r.wantFetches(1)
	if r.discoveries() != 1 {
		t.Errorf("%d discoveries", r.discoveries())
	}
}

// TestUnknownKeyIDsAreBounded: a flood of them costs the issuer a fetch in 10 seconds.
func TestUnknownKeyIDsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	if err := r.verify("k1", ecKey); err != nil {
		t.Fatal(err)
	}
	payload := strings.Split(r.token("x", ecKey), ".")
	var wg sync.WaitGroup
	for worker := range 10 {
		wg.Go(func() {
			for i := range 100 {
				kid := fmt.Sprintf("unknown-%d-%d", worker, i)
				forged := encode(must(json.Marshal(header().with(object{"kid": kid})))) + "." + payload[1] + "." + payload[2]
				_, err := r.v.Verify(t.Context(), forged)
				wantReason(t, err, countersign.ReasonKeyUnknown)
			}
		})
	}
	wg.Wait()
	r.wantFetches(1) // the keys came just now
	r.advance(11 * time.Second)
	for range 100 {
		wantReason(t, r.verify("k9", ecKey), countersign.ReasonKeyUnknown)
	}
	r.wantFetches(2)
}

func TestNewKeyIsFoundByItsID(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	if err := r.verify("k1", ecKey); err != nil {
		t.Fatal(err)
	}
	r.publish(jwk("k1", &ecKey.PublicKey), jwk("k2", &ecKey2.PublicKey))
	wantReason(t, r.verify("k2", ecKey2), countersign.ReasonKeyUnknown) // asked a moment ago
	r.advance(10 * time.Second)
	if err := r.verify("k2", ecKey2); err != nil {
		t.Error(err)
	}
	r.wantFetches(2)
}

// TestRuleC1FreshAnswerWithoutAKeyRemovesIt, also for a token that was verified before.
func TestRuleC1FreshAnswerWithoutAKeyRemovesIt(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	token := r.token("k1", ecKey)
	if _, err := r.v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r.publish(jwk("k2", &ecKey2.PublicKey))
	r.advance(5 * time.Minute)
	_, err := r.v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonKeyUnknown)
	// The id with another key behind it is no good either.
	r.publish(jwk("k1", &ecKey2.PublicKey))
	r.advance(5 * time.Minute)
	_, err = r.v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonSignatureInvalid)
}

func TestRefreshInTheBackground(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	if err := r.verify("k1", ecKey); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		<-release
		r.document(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk("k2", &ecKey2.PublicKey)}})(w, req)
	})
	r.advance(4*time.Minute + 30*time.Second)
	for range 5 { // nobody waits
		if err := r.verify("k1", ecKey); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	eventually(t, "the new keys", func() bool { return r.verify("k2", ecKey2) == nil })
	r.wantFetches(2)
}

func TestRuleC1OutageKeepsTheLastGoodKeysForADay(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*remote){
		"500":             func(r *remote) { r.status(500) },
		"503":             func(r *remote) { r.status(503) },
		"connection shut": func(r *remote) { r.answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }) },
		"body cut": func(r *remote) {
			r.answer(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, `{"keys":[`)
			})
		},
		"discovery 502": func(r *remote) {
			r.status(500)
			r.discover(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemote(t)
			token := r.token("k1", ecKey)
			if _, err := r.v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			fail(r)
			for range 23 {
				r.advance(time.Hour)
				if _, err := r.v.Verify(t.Context(), token); err != nil {
					t.Fatal(err)
				}
				wantReason(t, r.verify("k9", ecKey), countersign.ReasonKeysUnavailable)
			}
			r.advance(time.Hour)
			_, err := r.v.Verify(t.Context(), token)
			wantReason(t, err, countersign.ReasonKeysUnavailable)

			r.discover(nil)
			r.publish(jwk("k1", &ecKey.PublicKey))
			r.advance(10 * time.Second)
			if _, err := r.v.Verify(t.Context(), token); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		})
	}
}

// TestRuleC1OtherAnswersEndTheKeys: only the network and 5xx keep them.
func TestRuleC1OtherAnswersEndTheKeys(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	private := must(json.Marshal(jose.JSONWebKey{Key: ecKey, KeyID: "k1"}))
	symmetric := must(json.Marshal(jose.JSONWebKey{Key: []byte("secret"), KeyID: "k2"}))
	public := string(must(json.Marshal(jwk("k1", &ecKey.PublicKey))))
	for name, answer := range map[string]http.HandlerFunc{
		"404": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"401": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(302)
		},
		"not JSON":      text("<html>"),
		"no keys":       text("{}"),
		"keys object":   text(`{"keys":{}}`),
		"key no object": text(`{"keys":[1]}`),
		"doubled keys":  text(`{"keys":[],"keys":[` + public + `]}`),
		"doubled kid":   text(`{"keys":[` + public + `,` + public + `]}`),
		"private key":   text(`{"keys":[` + string(private) + `]}`),
		"symmetric key": text(`{"keys":[` + public + `,` + string(symmetric) + `]}`),
		"101 keys":      text(`{"keys":[` + strings.Repeat(`{"kty":"x"},`, 100) + public + `]}`),
		"huge":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), 300<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemote(t)
			token := r.token("k1", ecKey)
			if _, err := r.v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			r.answer(answer)
			r.advance(5 * time.Minute)
			for range 3 {
				_, err := r.v.Verify(t.Context(), token)
				wantReason(t, err, countersign.ReasonKeysUnavailable)
			}
			r.status(503) // an outage afterwards does not bring them back
			r.advance(10 * time.Second)
			_, err := r.v.Verify(t.Context(), token)
			wantReason(t, err, countersign.ReasonKeysUnavailable)
			r.publish(jwk("k1", &ecKey.PublicKey))
			r.advance(10 * time.Second)
			if _, err := r.v.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRemovedKeyIsNotServedAfterAPause: an old set is asked for again before it is
// used, also when the last thing that was known of the issuer is an outage.
func TestRemovedKeyIsNotServedAfterAPause(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	token := r.token("k1", ecKey)
	if _, err := r.v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r.status(503)
	r.advance(5 * time.Minute)
	if _, err := r.v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	r.publish(jwk("k2", &ecKey2.PublicKey))
	r.advance(10 * time.Hour)
	_, err := r.v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonKeyUnknown)
}

func TestIssuerThatIsDownAtFirst(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	r.status(503)
	for range 50 {
		wantReason(t, r.verify("k1", ecKey), countersign.ReasonKeysUnavailable)
	}
	r.wantFetches(1)
	r.publish(jwk("k1", &ecKey.PublicKey))
	r.advance(time.Second)
	if err := r.verify("k1", ecKey); err != nil {
		t.Error(err)
	}
}

func TestCacheControlIsHonouredWithinBounds(t *testing.T) {
	t.Parallel()
	for header, fresh := range map[string]time.Duration{
		"":                        5 * time.Minute,
		"max-age=600":             10 * time.Minute,
		"public, Max-Age=600":     10 * time.Minute,
		"max-age=0":               time.Minute,
		"no-store":                time.Minute,
		"max-age=600, no-cache":   time.Minute,
		"max-age=31536000":        time.Hour,
		"max-age=-5":              5 * time.Minute,
		"max-age=99999999999999":  5 * time.Minute,
		"max-age=ten, s-maxage=1": 5 * time.Minute,
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			r := newRemote(t)
			r.answer(func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Cache-Control", header)
				r.document(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk("k1", &ecKey.PublicKey)}})(w, req)
			})
			if err := r.verify("k1", ecKey); err != nil {
				t.Fatal(err)
			}
			r.advance(fresh*4/5 - time.Second)
			if err := r.verify("k1", ecKey); err != nil {
				t.Fatal(err)
			}
			r.wantFetches(1)
			r.advance(fresh/5 + time.Second) // too old: this one waits
			if err := r.verify("k1", ecKey); err != nil {
				t.Fatal(err)
			}
			r.wantFetches(2)
		})
	}
}

func TestSlowIssuer(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	release := make(chan struct{})
	var once sync.Once
	asked := make(chan struct{})
	r.answer(func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() { close(asked) })
		<-release
		r.document(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk("k1", &ecKey.PublicKey)}})(w, req)
	})
	// Each caller waits as long as its own context lets it, and one fetch serves all.
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := r.v.Verify(ctx, r.token("k1", ecKey))
			wantReason(t, err, countersign.ReasonKeysUnavailable)
		})
	}
	<-asked
	cancel()
	wg.Wait()
	for range 10 {
		wg.Go(func() {
			if err := r.verify("k1", ecKey); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	wg.Wait()
	r.wantFetches(1)
}

func TestCloseEndsAFetchThatHangs(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	asked, release := make(chan struct{}), make(chan struct{})
	r.answer(func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	t.Cleanup(func() { close(release) })
	var wg sync.WaitGroup
	wg.Go(func() { wantReason(t, r.verify("k1", ecKey), countersign.ReasonKeysUnavailable) })
	<-asked
	if err := r.v.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	r.advance(time.Hour)
	wantReason(t, r.verify("k1", ecKey), countersign.ReasonKeysUnavailable)
	r.wantFetches(1)
}
