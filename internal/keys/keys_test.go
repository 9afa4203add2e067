package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

const deployment = "deployment-1"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newConfig(tb testing.TB) (keys.Config, *fixture.Clock) {
	tb.Helper()
	c := fixture.NewClock(start)
	return keys.Config{Store: fixture.NewStore(tb), Master: fixture.NewMaster(tb), DeploymentID: deployment, Now: c.Now}, c
}

func open(tb testing.TB, cfg keys.Config) *keys.Ring {
	tb.Helper()
	r, err := keys.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return r
}

func signer(tb testing.TB, r *keys.Ring, p keys.Purpose) *keys.Signer {
	tb.Helper()
	s, err := r.Signer(p)
	if err != nil {
		tb.Fatalf("Signer(%s): %v", p, err)
	}
	return s
}

func verifySignature(tb testing.TB, public any, algorithm string, input, signature []byte) bool {
	tb.Helper()
	digest := sha256.Sum256(input)
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if algorithm != "ES256" || len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case *rsa.PublicKey:
		return algorithm == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		return algorithm == "EdDSA" && ed25519.Verify(key, input, signature)
	}
	tb.Fatalf("public key is a %T", public)
	return false
}

func TestOpenMakesTwoKeysPerPurpose(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	token, audit := signer(t, ring, keys.Token), signer(t, ring, keys.Audit)
	if token.Algorithm != "ES256" || audit.Algorithm != "EdDSA" || token.KID == audit.KID {
		t.Errorf("token %s, audit %s", token.Algorithm, audit.Algorithm)
	}
	created := ring.Created()
	if len(created) != first {
		t.Fatalf("Created: %d keys, want %d", len(created), first)
	}
	const month = 30 * 24 * time.Hour
	for i, k := range created {
		from := start.Add(time.Duration(i%2) * month) // the one in use, and its successor
		if len(k.Sealed) != 0 || (len(k.Public) == 0) != (k.Purpose == string(keys.Sealing) || k.Purpose == string(keys.Cursor)) || !k.PublishAt.Equal(start) || !k.UseFrom.Equal(from) || !k.UseUntil.Equal(from.Add(month)) ||
			k.KeepUntil.IsZero() != (k.Purpose == string(keys.Audit)) {
			t.Errorf("created %+v", k)
		}
	}

	second := open(t, cfg)
	if n := len(second.Created()); n != 0 {
		t.Errorf("the second Open made %d keys", n)
	}
	if got := signer(t, second, keys.Token).KID; got != token.KID {
		t.Errorf("token key after reopening = %s, want %s", got, token.KID)
	}
	bodyA, etagA := ring.JWKS()
	bodyB, etagB := second.JWKS()
	if etagA != etagB || !bytes.Equal(bodyA, bodyB) {
		t.Error("the JWK set changed by reopening")
	}
}

func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cfg, _ := newConfig(t)
			cfg.Algorithm = algorithm
			ring := open(t, cfg)
			s := signer(t, ring, keys.Token)
			public, published, ok := ring.PublicKey(s.KID)
			if !ok || s.Algorithm != algorithm || published != algorithm {
				t.Fatalf("PublicKey = %v, %q; signer %q", ok, published, s.Algorithm)
			}
			// Often enough for numbers with leading zero bytes.
			for i := range 600 {
				if algorithm == "RS256" && i > 3 {
					break
				}
				input := []byte{byte(i), byte(i >> 8)}
				signature, err := s.Sign(input)
				if err != nil || !verifySignature(t, public, algorithm, input, signature) {
					t.Fatalf("signature %d does not verify: %v", i, err)
				}
				if verifySignature(t, public, algorithm, append(input, 0), signature) {
					t.Fatal("signature verifies over other bytes")
				}
			}
		})
	}
}

func TestKeyIDIsTheThumbprint(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	public, _, _ := ring.PublicKey(signer(t, ring, keys.Token).KID)
	jwk := jose.JSONWebKey{Key: public}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if want := base64.RawURLEncoding.EncodeToString(sum); want != signer(t, ring, keys.Token).KID {
		t.Errorf("kid = %s, want %s", signer(t, ring, keys.Token).KID, want)
	}
}

func TestJWKSHoldsPublicTokenKeysOnly(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			cfg, _ := newConfig(t)
			cfg.Algorithm = algorithm
			ring := open(t, cfg)
			body, etag := ring.JWKS()
			if len(etag) < 10 || etag[0] != '"' || etag[len(etag)-1] != '"' {
				t.Errorf("etag = %s", etag)
			}
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(body, &set); err != nil {
				t.Fatal(err)
			}
			used := set.Key(signer(t, ring, keys.Token).KID)
			if len(set.Keys) != 2 || len(used) != 1 {
				t.Fatalf("%d keys in the set, want that in use and the next", len(set.Keys))
			}
			k := used[0]
			if !k.IsPublic() || !k.Valid() || k.Use != "sig" || k.Algorithm != algorithm || k.KeyID != signer(t, ring, keys.Token).KID {
				t.Errorf("JWK: public %v, use %q, alg %q, kid %q", k.IsPublic(), k.Use, k.Algorithm, k.KeyID)
			}
			var raw struct{ Keys []map[string]any }
			if err := json.Unmarshal(body, &raw); err != nil {
				t.Fatal(err)
			}
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if _, there := raw.Keys[0][private]; there {
					t.Errorf("the JWK has %q", private)
				}
			}
		})
	}
}

func TestRuleB7PurposesAreSeparate(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	if _, _, ok := ring.PublicKey(signer(t, ring, keys.Audit).KID); ok {
		t.Error("the audit key is published for tokens")
	}
	tokenKey := signer(t, ring, keys.Token)
	signature, err := tokenKey.Sign([]byte("head"))
	if err != nil {
		t.Fatal(err)
	}
	if ring.VerifyHead(tokenKey.KID, []byte("head"), signature) {
		t.Error("a token key signs audit heads")
	}
	if _, err := ring.Signer("other"); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("Signer of an unknown purpose: %v", err)
	}
	// A row that is moved to another purpose does not open.
	rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
	if err != nil {
		t.Fatal(err)
	}
	moved := rows[0]
	moved.Purpose = string(keys.Audit)
	if _, err := keys.Open(t.Context(), withRows(cfg, map[keys.Purpose][]store.SigningKey{keys.Audit: {moved}})); !errors.Is(err, countersign.Invalid) {
		t.Errorf("Open with a moved row: %v", err)
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	t.Parallel()
	good, _ := newConfig(t)
	tests := []struct {
		name string
		edit func(c *keys.Config)
	}{
		{"no store", func(c *keys.Config) { c.Store = nil }},
		{"no master key", func(c *keys.Config) { c.Master = nil }},
		{"zero master key", func(c *keys.Config) { c.Master = &keys.Master{} }},
		{"no deployment", func(c *keys.Config) { c.DeploymentID = "" }},
		{"algorithm none", func(c *keys.Config) { c.Algorithm = "none" }},
		{"algorithm HS256", func(c *keys.Config) { c.Algorithm = "HS256" }},
		{"algorithm in small letters", func(c *keys.Config) { c.Algorithm = "es256" }},
		{"negative lifetime", func(c *keys.Config) { c.TokenLifetime = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tt.edit(&cfg)
			if _, err := keys.Open(t.Context(), cfg); !errors.Is(err, countersign.Invalid) {
				t.Errorf("Open = %v, want Invalid", err)
			}
		})
	}
}

func TestOpenWithoutStore(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	if err := cfg.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(t.Context(), cfg); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("Open on a closed store = %v, want Unavailable", err)
	}
}

func TestHeads(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	kid, signature, err := ring.SignHead([]byte("head 1"))
	if err != nil || !ring.VerifyHead(kid, []byte("head 1"), signature) {
		t.Fatalf("SignHead: %v", err)
	}
	flipped := bytes.Clone(signature)
	flipped[3] ^= 1
	for name, ok := range map[string]bool{
		"other message":   ring.VerifyHead(kid, []byte("head 2"), signature),
		"other key id":    ring.VerifyHead("x", []byte("head 1"), signature),
		"no key id":       ring.VerifyHead("", []byte("head 1"), signature),
		"flipped":         ring.VerifyHead(kid, []byte("head 1"), flipped),
		"cut":             ring.VerifyHead(kid, []byte("head 1"), signature[:63]),
		"no signature":    ring.VerifyHead(kid, []byte("head 1"), nil),
		"foreign signers": open(t, func() keys.Config { o, _ := newConfig(t); return o }()).VerifyHead(kid, []byte("head 1"), signature),
	} {
		if ok {
			t.Errorf("%s: verifies", name)
		}
	}
	// Audit keys are kept for ever.
	c.Set(start.AddDate(50, 0, 0))
	if !open(t, cfg).VerifyHead(kid, []byte("head 1"), signature) {
		t.Error("an old head does not verify any more")
	}
}
