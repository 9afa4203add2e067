package verify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// world is what a verdict depends on beside the token; the test changes it.
type world struct {
	*clock
	keys     map[string]any
	keysDown bool
	revoked  map[string]bool
	feedDown bool
}

func (w *world) Key(ctx context.Context, kid, algorithm string) (any, error) {
	if w.keysDown {
		return nil, countersign.NewError(countersign.Upstream, countersign.ReasonKeysUnavailable, "")
	}
	return must(verify.StaticKeys(w.keys)).Key(ctx, kid, algorithm)
}

func (w *world) Revoked(_ context.Context, t *verify.Token) (bool, error) {
	if w.feedDown {
		return false, errors.New("feed is down")
	}
	return w.revoked[t.ID], nil
}

func (w *world) verifier(t testing.TB, maxCached int) *verify.Verifier {
	return newVerifier(t, verify.Config{
		Audience: audience, MaxCached: maxCached, Now: w.Now, Revocations: w,
		Issuers: []verify.Issuer{{URL: issuerURL, Keys: w}},
	})
}

// TestRuleC6CachedAndFreshVerdictsNeverDiffer, and vulnerability 34: whatever happens
// between two looks at a token, the verifier that remembers says what the one says
// that does not.
func TestRuleC6CachedAndFreshVerdictsNeverDiffer(t *testing.T) {
	t.Parallel()
	var tokens []string
	for i := range 6 {
		tokens = append(tokens, mint(header(), serviceClaims().with(object{
			"jti": fmt.Sprint("id-", i), "exp": now.Unix() + int64(i)*100, "nbf": now.Unix() + int64(i%3)*100,
		})))
	}
	tokens = append(tokens, mint(header().with(object{"kid": nil}), serviceClaims()),
		mint(header(), serviceClaims().with(object{"aud": "other"})), "x.y.z", tokens[0]+"A")

	rapid.Check(t, func(rt *rapid.T) {
		w := &world{clock: newClock(), keys: map[string]any{"k1": &ecKey.PublicKey}, revoked: make(map[string]bool)}
		cached, fresh := w.verifier(t, rapid.IntRange(1, 5).Draw(rt, "max")), w.verifier(t, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"time":       func(rt *rapid.T) { w.advance(time.Duration(rapid.IntRange(-100, 200).Draw(rt, "s")) * time.Second) },
			"revoke":     func(rt *rapid.T) { w.revoked[fmt.Sprint("id-", rapid.IntRange(0, 5).Draw(rt, "id"))] = true },
			"revive":     func(*rapid.T) { clear(w.revoked) },
			"feed":       func(rt *rapid.T) { w.feedDown = rapid.Bool().Draw(rt, "down") },
			"keys":       func(rt *rapid.T) { w.keysDown = rapid.Bool().Draw(rt, "down") },
			"remove key": func(*rapid.T) { w.keys = map[string]any{} },
			"good key":   func(*rapid.T) { w.keys = map[string]any{"k1": &ecKey.PublicKey} },
			"equal key":  func(*rapid.T) { k := ecKey.PublicKey; w.keys = map[string]any{"k1": &k} },
			"other key":  func(*rapid.T) { w.keys = map[string]any{"k1": &ecKey2.PublicKey} },
			"two keys":   func(*rapid.T) { w.keys = map[string]any{"k1": &ecKey.PublicKey, "k2": &ecKey2.PublicKey} },
			"": func(rt *rapid.T) {
				for range 2 {
					token := rapid.SampledFrom(tokens).Draw(rt, "token")
					got, gotErr := cached.Verify(t.Context(), token)
					want, wantErr := fresh.Verify(t.Context(), token)
					if countersign.CodeOf(gotErr) != countersign.CodeOf(wantErr) || countersign.ReasonOf(gotErr) != countersign.ReasonOf(wantErr) {
						rt.Fatalf("cached: %v, fresh: %v", gotErr, wantErr)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						rt.Fatalf("token (-fresh +cached):\n%s", diff)
					}
				}
			},
		})
	})
}

func TestCachedTokenIsTheSameToken(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	token := mint(header(), serviceClaims())
	first, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := v.Verify(t.Context(), token); err != nil || again != first {
		t.Errorf("seen again: %p, %v, want %p", again, err, first)
	}
}

// TestSeenBeforeDoesNotAllocate is not parallel: allocations are counted.
func TestSeenBeforeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates where the program does not")
	}
	v := newVerifier(t, config())
	token := mint(header(), serviceClaims())
	allocations := testing.AllocsPerRun(100, func() { _, _ = v.Verify(t.Context(), token) })
	if allocations != 0 {
		t.Errorf("%v allocations for a token that was seen before, want 0", allocations)
	}
}

// TestRevocationIsAskedAtEveryHit: it may come at any time, and its failure refuses.
func TestRevocationIsAskedAtEveryHit(t *testing.T) {
	t.Parallel()
	w := &world{clock: newClock(), keys: map[string]any{"k1": &ecKey.PublicKey}, revoked: make(map[string]bool)}
	v := w.verifier(t, 0)
	token := mint(header(), serviceClaims().with(object{"jti": "id-1"}))
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	w.feedDown = true
	_, err := v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonRevocationUnknown)
	w.feedDown = false
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("feed is back: %v", err)
	}
	w.revoked["id-1"] = true
	for range 2 {
		_, err = v.Verify(t.Context(), token)
		wantReason(t, err, countersign.ReasonTokenRevoked)
	}
}

// TestRefusedTokensAreNotRemembered: a token that was too early is good in time.
func TestRefusedTokensAreNotRemembered(t *testing.T) {
	t.Parallel()
	w := &world{clock: newClock(), keys: map[string]any{}, revoked: make(map[string]bool)}
	v := w.verifier(t, 0)
	token := mint(header(), serviceClaims().with(object{"nbf": now.Unix() + 100}))
	_, err := v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonKeyUnknown)
	w.keys = map[string]any{"k1": &ecKey.PublicKey}
	_, err = v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonTokenNotYetValid)
	w.advance(2 * time.Minute)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	w.advance(time.Hour)
	_, err = v.Verify(t.Context(), token)
	wantReason(t, err, countersign.ReasonTokenExpired)
}

// badSource is a KeySource that breaks its contract.
type badSource struct {
	key any
	err error
}

func (b badSource) Key(context.Context, string, string) (any, error) { return b.key, b.err }

func TestKeySourceThatBreaksItsContract(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		source badSource
		want   countersign.Reason
	}{
		"plain error":         {badSource{err: errors.New("disk")}, countersign.ReasonKeysUnavailable},
		"other code":          {badSource{err: countersign.NotFound}, countersign.ReasonKeysUnavailable},
		"no key":              {badSource{}, countersign.ReasonAlgNotAllowed},
		"another type":        {badSource{key: edKey.Public()}, countersign.ReasonAlgNotAllowed},
		"a secret as the key": {badSource{key: []byte("secret")}, countersign.ReasonAlgNotAllowed},
	} {
		cfg := config()
		cfg.Issuers[0].Keys = test.source
		_, err := newVerifier(t, cfg).Verify(t.Context(), mint(header(), serviceClaims()))
		t.Log(name)
		wantReason(t, err, test.want)
	}
}
