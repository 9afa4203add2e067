package token_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/verify"
)

// said is what both foreign libraries must read in a token.
func said(id string, c token.Claims) map[string]any {
	m := map[string]any{
		"iss": issuer, "sub": c.Service, "aud": c.Audience, "client_id": c.Service,
		"service_id": c.Service, "service_uid": c.ServiceUID, "jti": id,
	}
	if c.Scope != "" {
		m["scope"] = c.Scope
	}
	if c.Tenant != "" {
		m["tenant"] = c.Tenant
	}
	return m
}

func readGolangJWT(ring *keys.Ring, text string) (map[string]any, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "RS256", "EdDSA"}), jwt.WithIssuer(issuer), jwt.WithIssuedAt(),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now), jwt.WithJSONNumber(),
	).ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key, _, _ := ring.PublicKey(kid)
		return key, nil
	})
	return claims, err
}

func readGoJose(ring *keys.Ring, text string) (map[string]any, error) {
	var set jose.JSONWebKeySet
	body, _ := ring.JWKS()
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	parsed, err := josejwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err != nil {
		return nil, err
	}
	claims := map[string]any{}
	return claims, parsed.Claims(set, &claims)
}

// ringKeys gives package verify our own keys, as package authn does.
type ringKeys struct{ ring *keys.Ring }

func (k ringKeys) Key(_ context.Context, kid, algorithm string) (any, error) {
	key, its, ok := k.ring.PublicKey(kid)
	if !ok || its != algorithm {
		return nil, countersign.NewError(countersign.BadToken, countersign.ReasonKeyUnknown, "no such key")
	}
	return key, nil
}

// checkOwn reads a token back with package verify.
func checkOwn(tb rapid.TB, ring *keys.Ring, minted token.Minted, c token.Claims) {
	v, err := verify.New(verify.Config{
		Audience: c.Audience, MaxCached: -1, Now: now,
		Issuers: []verify.Issuer{{URL: issuer, Profile: verify.Countersign, Subject: verify.Service, Keys: ringKeys{ring}}},
	})
	if err != nil {
		tb.Fatalf("verify.New: %v", err)
	}
	got, err := v.Verify(context.Background(), minted.Token.Reveal())
	if err != nil {
		tb.Fatalf("verify refuses %+v: %v", c, err)
	}
	scopes := slices.DeleteFunc(strings.Split(c.Scope, " "), func(s string) bool { return s == "" })
	want := countersign.Service{
		Name: c.Service, Issuer: issuer, UID: c.ServiceUID, Scopes: scopes, Tenant: c.Tenant,
		Proof: countersign.Proof{Method: "jwt", TokenID: minted.ID, KeyID: got.Principal.Service.Proof.KeyID,
			Audience: c.Audience, IssuedAt: minted.IssuedAt, ExpiresAt: minted.ExpiresAt},
	}
	if diff := cmp.Diff(want, got.Principal.Service, cmpopts.EquateEmpty()); diff != "" {
		tb.Fatalf("verify reads (-want +got):\n%s", diff)
	}
}

// checkForeign reads a token back with libraries that are not ours.
func checkForeign(tb rapid.TB, ring *keys.Ring, minted token.Minted, c token.Claims) {
	id := minted.ID
	for name, read := range map[string]func(*keys.Ring, string) (map[string]any, error){
		"golang-jwt": readGolangJWT, "go-jose": readGoJose,
	} {
		got, err := read(ring, minted.Token.Reveal())
		if err != nil {
			tb.Fatalf("%s refuses: %v", name, err)
		}
		delete(got, "iat")
		delete(got, "exp")
		if diff := cmp.Diff(said(id, c), got); diff != "" {
			tb.Fatalf("%s reads (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryReaderAgrees(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			ring := newRing(t, algorithm)
			minted, err := newMinter(t, ring).Mint(t.Context(), "id-1", full())
			if err != nil {
				t.Fatal(err)
			}
			checkForeign(t, ring, minted, full())
			checkOwn(t, ring, minted, full())
		})
	}
}

// texts draws what Mint takes, most of all what JSON must escape.
func texts(limit int) *rapid.Generator[string] {
	runes := append([]rune{'"', '\\', '/', '<', '>', '&', '\'', '\u2028', '\u2029', '\ufeff', '\ufffd', 'é', '😀', '{', '}', ',', ':'}, 'a', '0', ' ')
	return rapid.OneOf(
		rapid.StringOfN(rapid.RuneFrom(runes), 1, -1, limit),
		rapid.StringN(1, -1, limit).Filter(func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
		}),
	).Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
}

func TestAnyTextSurvivesMinting(t *testing.T) {
	t.Parallel()
	ring := newRing(t, "EdDSA") // the fastest to make and check
	minter := newMinter(t, ring)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		text := texts(token.MaxIdentityBytes)
		c := token.Claims{
			Service: text.Draw(t, "service"), ServiceUID: text.Draw(t, "uid"), Audience: text.Draw(t, "audience"),
			Scope: rapid.OneOf(rapid.Just(""), texts(token.MaxScopeBytes)).Draw(t, "scope"), Tenant: rapid.OneOf(rapid.Just(""), text).Draw(t, "tenant"),
		}
		minted, err := minter.Mint(ctx, text.Draw(t, "id"), c)
		if err != nil {
			t.Fatalf("Mint: %v", err)
		}
		checkForeign(t, ring, minted, c)
		checkOwn(t, ring, minted, c)
	})
}

func FuzzMint(f *testing.F) {
	ring := newRing(f, "EdDSA")
	minter := newMinter(f, ring)
	f.Add("id", "document-service", "uid", "parse-service", "a b", "acme")
	f.Add("id", `a","sub":"b`, "\\", "\u2028", "", "")
	f.Add("", "a\x00b", "\xff", " ", "\t", "\x7f")
	f.Fuzz(func(t *testing.T, id, service, uid, audience, scope, tenant string) {
		c := token.Claims{Service: service, ServiceUID: uid, Audience: audience, Scope: scope, Tenant: tenant}
		if minted, err := minter.Mint(t.Context(), id, c); err == nil {
			checkForeign(t, ring, minted, c)
			checkOwn(t, ring, minted, c)
		}
	})
}

func TestEveryMutilatedTokenIsRefused(t *testing.T) {
	t.Parallel()
	ring := newRing(t, "")
	minted, err := newMinter(t, ring).Mint(t.Context(), "id-1", full())
	if err != nil {
		t.Fatal(err)
	}
	text := minted.Token.Reveal()
	for i := range text {
		flipped := []byte(text)
		flipped[i] ^= 1
		if _, err := readGolangJWT(ring, string(flipped)); err == nil && !slices.Equal(flipped, []byte(text)) {
			t.Errorf("byte %d flipped: accepted", i)
		}
		if _, err := readGolangJWT(ring, text[:i]); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
	}
}
