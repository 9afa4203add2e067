package token_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/token"
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

func TestForeignLibrariesAgree(t *testing.T) {
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
