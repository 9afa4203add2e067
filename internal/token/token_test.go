package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/token"
)

const issuer = "https://auth.example.com"

var start = time.Date(2026, 3, 1, 12, 0, 0, 987654321, time.UTC)

func now() time.Time { return start }

func newRing(tb testing.TB, algorithm string) *keys.Ring {
	tb.Helper()
	return fixture.OpenKeys(tb, keys.Config{Algorithm: algorithm, Now: now})
}

func newMinter(tb testing.TB, ring *keys.Ring) *token.Minter {
	tb.Helper()
	m, err := token.New(token.Config{Issuer: issuer, Keys: ring, Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func full() token.Claims {
	return token.Claims{
		Service: "document-service", ServiceUID: "uid-1", Audience: "parse-service",
		Scope: "s2s:internal docs:read", Tenant: "acme", Lifetime: 5 * time.Minute,
	}
}

// decode reads a token without checking it.
func decode(tb testing.TB, minted token.Minted) (header, payload map[string]any) {
	tb.Helper()
	parts := strings.Split(minted.Token.Reveal(), ".")
	if len(parts) != 3 {
		tb.Fatalf("%d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &payload} {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			tb.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(into); err != nil {
			tb.Fatal(err)
		}
	}
	return header, payload
}

func TestMintClaims(t *testing.T) {
	t.Parallel()
	ring := newRing(t, "")
	signer, err := ring.Signer(keys.Token)
	if err != nil {
		t.Fatal(err)
	}
	minter := newMinter(t, ring)
	iat := json.Number(fmt.Sprint(start.Unix()))
	all := map[string]any{
		"iss": issuer, "sub": "document-service", "aud": "parse-service",
		"client_id": "document-service", "service_id": "document-service", "service_uid": "uid-1",
		"scope": "s2s:internal docs:read", "tenant": "acme",
		"iat": iat, "exp": json.Number(fmt.Sprint(start.Unix() + 300)), "jti": "id-1",
	}
	without := func(exp int64, names ...string) map[string]any {
		m := map[string]any{}
		for k, v := range all {
			m[k] = v
		}
		for _, n := range names {
			delete(m, n)
		}
		m["exp"] = json.Number(fmt.Sprint(start.Unix() + exp))
		return m
	}
	tests := []struct {
		name string
		edit func(c *token.Claims)
		want map[string]any
	}{
		{"all", func(*token.Claims) {}, all},
		{"no scope", func(c *token.Claims) { c.Scope = "" }, without(300, "scope")},
		{"no tenant", func(c *token.Claims) { c.Tenant = "" }, without(300, "tenant")},
		{"default lifetime", func(c *token.Claims) { c.Lifetime = 0 }, without(900)},
		{"shortest", func(c *token.Claims) { c.Lifetime = time.Minute }, without(60)},
		{"longest", func(c *token.Claims) { c.Lifetime = time.Hour }, without(3600)},
		{"parts of a second are cut", func(c *token.Claims) { c.Lifetime = 90*time.Second + 999*time.Millisecond }, without(90)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := full()
			tt.edit(&c)
			minted, err := minter.Mint(t.Context(), "id-1", c)
			if err != nil {
				t.Fatal(err)
			}
			header, payload := decode(t, minted)
			if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": signer.KID}, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, payload); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
			exp, err := payload["exp"].(json.Number).Int64()
			if err != nil || minted.ID != "id-1" || !minted.IssuedAt.Equal(start.Truncate(time.Second)) || minted.ExpiresAt.Unix() != exp {
				t.Errorf("Minted = %+v", minted)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	minter := newMinter(t, newRing(t, ""))
	long := strings.Repeat("x", token.MaxIdentityBytes+1)
	tests := []struct {
		name, id string
		edit     func(c *token.Claims)
	}{
		{"no id", "", func(*token.Claims) {}},
		{"blank id", " ", func(*token.Claims) {}},
		{"id not UTF-8", "a\xff", func(*token.Claims) {}},
		{"long id", long, func(*token.Claims) {}},
		{"no service", "id", func(c *token.Claims) { c.Service = "" }},
		{"blank service", "id", func(c *token.Claims) { c.Service = "\u00a0 " }},
		{"service with NUL", "id", func(c *token.Claims) { c.Service = "a\x00" }},
		{"service with newline", "id", func(c *token.Claims) { c.Service = "a\nb" }},
		{"service with DEL", "id", func(c *token.Claims) { c.Service = "a\x7f" }},
		{"service not UTF-8", "id", func(c *token.Claims) { c.Service = "\xc3\x28" }},
		{"long service", "id", func(c *token.Claims) { c.Service = long }},
		{"no uid", "id", func(c *token.Claims) { c.ServiceUID = "" }},
		{"no audience", "id", func(c *token.Claims) { c.Audience = "" }},
		{"long audience", "id", func(c *token.Claims) { c.Audience = long }},
		{"long tenant", "id", func(c *token.Claims) { c.Tenant = long }},
		{"scope with a tab", "id", func(c *token.Claims) { c.Scope = "a\tb" }},
		{"scope not UTF-8", "id", func(c *token.Claims) { c.Scope = "\xed\xa0\x80" }},
		{"long scope", "id", func(c *token.Claims) { c.Scope = strings.Repeat("x", token.MaxScopeBytes+1) }},
		{"too short", "id", func(c *token.Claims) { c.Lifetime = time.Minute - 1 }},
		{"too long", "id", func(c *token.Claims) { c.Lifetime = time.Hour + 1 }},
		{"negative", "id", func(c *token.Claims) { c.Lifetime = -time.Minute }},
		{"overflow", "id", func(c *token.Claims) { c.Lifetime = 1<<63 - 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := full()
			tt.edit(&c)
			minted, err := minter.Mint(t.Context(), tt.id, c)
			if !errors.Is(err, countersign.Invalid) || !minted.Token.IsZero() {
				t.Errorf("Mint = %v, %v; want Invalid", minted, err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	ring := newRing(t, "")
	for name, cfg := range map[string]token.Config{
		"no issuer":        {Keys: ring},
		"issuer not UTF-8": {Issuer: "\xff", Keys: ring},
		"no keys":          {Issuer: issuer},
		"too short":        {Issuer: issuer, Keys: ring, Lifetime: time.Second},
		"too long":         {Issuer: issuer, Keys: ring, Lifetime: 2 * time.Hour},
		"negative":         {Issuer: issuer, Keys: ring, Lifetime: -time.Hour},
	} {
		if _, err := token.New(cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: New = %v, want Invalid", name, err)
		}
	}
}

func TestMintedNeverPrintsTheToken(t *testing.T) {
	t.Parallel()
	minter := newMinter(t, newRing(t, ""))
	minted, err := minter.Mint(t.Context(), "id-1", full())
	if err != nil {
		t.Fatal(err)
	}
	type nest struct{ hidden token.Minted }
	var out bytes.Buffer
	for _, v := range []any{minted, &minted, nest{minted}, []any{minted}, minter} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).InfoContext(t.Context(), "x", "value", v)
		slog.New(slog.NewTextHandler(&out, nil)).InfoContext(t.Context(), "x", "value", v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
	}
	for part := range strings.SplitSeq(minted.Token.Reveal(), ".") {
		// What is left is public, the header of each key.
		if i := strings.Index(out.String(), part[len(part)-30:]); i >= 0 {
			t.Errorf("printed: …%s…", out.String()[max(0, i-60):i+30])
		}
	}
}

func TestMintConcurrently(t *testing.T) {
	t.Parallel()
	minter := newMinter(t, newRing(t, ""))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				id := fmt.Sprint(i, "-", j)
				minted, err := minter.Mint(t.Context(), id, full())
				if err != nil {
					t.Error(err)
					return
				}
				if _, payload := decode(t, minted); payload["jti"] != id {
					t.Errorf("jti = %v, want %s", payload["jti"], id)
				}
			}
		})
	}
	wg.Wait()
}
