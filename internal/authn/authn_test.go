package authn_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/token"
)

const (
	issuer = "http://127.0.0.1:8440"
	audIAM = "iam-service"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rig is an authenticator on real pieces, with one registered service.
type rig struct {
	*fixture.Parts
	minter *token.Minter
	authn  *authn.Authenticator
}

func newRig(tb testing.TB) *rig { return newRigFor(tb, issuer, uint32(os.Getuid())) }

func newRigFor(tb testing.TB, issuer string, localUID uint32) *rig {
	tb.Helper()
	f := &rig{Parts: fixture.Open(tb, fixture.Config{Start: start})}
	var err error
	check := func() {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	f.minter, err = token.New(token.Config{Issuer: issuer, Keys: f.Keys, Now: f.Clock.Now})
	check()
	f.authn, err = authn.New(authn.Config{Issuer: issuer, Keys: f.Keys, Registry: f.Registry, LocalUID: localUID, Now: f.Clock.Now})
	check()
	f.change(tb, "document-service", func(ctx context.Context, tx store.Tx) error {
		return tx.CreateService(ctx, service("uid-1", false, 1))
	})
	return f
}

func service(uid string, disabled bool, revision int64) store.Service {
	return store.Service{
		UID: uid, Name: "document-service", Audiences: []string{audIAM}, Disabled: disabled,
		Revision: revision, CreatedAt: start, UpdatedAt: start,
	}
}

// change writes to the store as package admin does.
func (f *rig) change(tb testing.TB, name string, fn func(ctx context.Context, tx store.Tx) error) {
	tb.Helper()
	if err := f.Store.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
	f.Registry.Forget(name)
}

func claims(audience string) token.Claims {
	return token.Claims{Service: "document-service", ServiceUID: "uid-1", Audience: audience, Scope: "audit:write"}
}

func (f *rig) mint(tb testing.TB, id string, c token.Claims) string {
	tb.Helper()
	minted, err := f.minter.Mint(tb.Context(), id, c)
	if err != nil {
		tb.Fatal(err)
	}
	return minted.Token.Reveal()
}

func request(tb testing.TB, headers ...[2]string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", nil)
	for _, h := range headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}

func bearer(text string) [2]string { return [2]string{"Authorization", "Bearer " + text} }
func serviceBearer(text string) [2]string {
	return [2]string{"Service-Authorization", "Bearer " + text}
}

func wantError(tb testing.TB, err error, code countersign.Code, reason countersign.Reason) {
	tb.Helper()
	if !errors.Is(err, code) || countersign.ReasonOf(err) != reason {
		tb.Errorf("error = %v (%s, %s), want %s, %s", err, countersign.CodeOf(err), countersign.ReasonOf(err), code, reason)
	}
}

func TestCallerByBearer(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	text := f.mint(t, "id-1", claims(audIAM))
	for _, value := range []string{"Bearer " + text, "bearer " + text, "BEARER " + text} {
		caller, err := f.authn.Caller(request(t, [2]string{"Authorization", value}))
		if err != nil {
			t.Fatalf("%.6s: %v", value, err)
		}
		p := caller.Principal
		if caller.LocalAdmin || p.Service.Name != "document-service" || p.Service.UID != "uid-1" ||
			!p.Service.HasScope("audit:write") || !p.User.IsZero() || p.Service.Proof.TokenID != "id-1" {
			t.Errorf("Caller = %+v, %+v", caller, p)
		}
	}
}

func TestCallerRefusesHeaders(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	good := f.mint(t, "id-1", claims(audIAM))
	other := f.mint(t, "id-2", claims(audIAM))
	auth := func(value string) [2]string { return [2]string{"Authorization", value} }
	tests := []struct {
		name    string
		headers [][2]string
		code    countersign.Code
		reason  countersign.Reason
	}{
		{"nothing", nil, countersign.Unauthenticated, countersign.ReasonTokenMissing},
		{"twice", [][2]string{bearer(good), bearer(good)}, countersign.BadHeader, countersign.ReasonHeaderDuplicated},
		{"twice, one empty", [][2]string{bearer(good), auth("")}, countersign.BadHeader, countersign.ReasonHeaderDuplicated},
		{"service's twice", [][2]string{bearer(good), serviceBearer(good), serviceBearer(good)}, countersign.BadHeader, countersign.ReasonHeaderDuplicated},
		{"joined by a comma", [][2]string{auth("Bearer " + good + ",Bearer " + good)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"joined by comma and space", [][2]string{auth("Bearer " + good + ", Bearer " + other)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"empty", [][2]string{auth("")}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"scheme only", [][2]string{auth("Bearer")}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"no token", [][2]string{auth("Bearer ")}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"two spaces", [][2]string{auth("Bearer  " + good)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"tab", [][2]string{auth("Bearer\t" + good)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"trailing space", [][2]string{auth("Bearer " + good + " ")}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"no scheme", [][2]string{auth(good)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"no scheme, space first", [][2]string{auth(" " + good)}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"basic", [][2]string{auth("Basic YTpi")}, countersign.Unauthenticated, countersign.ReasonTokenMissing},
		{"DPoP", [][2]string{auth("DPoP " + good)}, countersign.Unauthenticated, countersign.ReasonTokenMissing},
		{"service's alone", [][2]string{serviceBearer(good)}, countersign.Unauthenticated, countersign.ReasonTokenMissing},
		{"service's malformed", [][2]string{bearer(good), {"Service-Authorization", "x"}}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"service's empty", [][2]string{bearer(good), {"Service-Authorization", ""}}, countersign.BadHeader, countersign.ReasonHeaderMalformed},
		{"a bad second beside a good first", [][2]string{bearer(good), serviceBearer("x.y.z")}, countersign.BadToken, countersign.ReasonTokenMalformed},
		{"a bad first beside a good second", [][2]string{bearer("x.y.z"), serviceBearer(good)}, countersign.BadToken, countersign.ReasonTokenMalformed},
		{"two services", [][2]string{bearer(good), serviceBearer(other)}, countersign.BadToken, countersign.ReasonSecondTokenMismatch},
		{"the same service twice", [][2]string{bearer(good), serviceBearer(good)}, countersign.BadToken, countersign.ReasonSecondTokenMismatch},
	}
	for _, tt := range tests {
		t.Run("rule C4 "+tt.name, func(t *testing.T) {
			t.Parallel()
			caller, err := f.authn.Caller(request(t, tt.headers...))
			wantError(t, err, tt.code, tt.reason)
			if caller != (authn.Caller{}) {
				t.Errorf("Caller = %+v", caller)
			}
			if err != nil && strings.Contains(err.Error(), good[:20]) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func TestCallerRefusesTokens(t *testing.T) {
	t.Parallel()
	f, stranger := newRig(t), newRig(t)
	elsewhere := newRigFor(t, "http://127.0.0.1:9999", 0)
	good := f.mint(t, "id-1", claims(audIAM))
	parts := strings.Split(good, ".")
	tests := []struct {
		name, token string
		code        countersign.Code
		reason      countersign.Reason
	}{
		{"another audience", f.mint(t, "id", claims("parse-service")), countersign.BadToken, countersign.ReasonAudMismatch},
		{"the STS's audience", f.mint(t, "id", claims("sts")), countersign.BadToken, countersign.ReasonAudMismatch},
		{"our issuer as audience", f.mint(t, "id", claims(issuer)), countersign.BadToken, countersign.ReasonAudMismatch},
		{"audience in capitals", f.mint(t, "id", claims("IAM-service")), countersign.BadToken, countersign.ReasonAudMismatch},
		{"foreign key", stranger.mint(t, "id", claims(audIAM)), countersign.BadToken, countersign.ReasonKeyUnknown},
		{"foreign issuer", elsewhere.mint(t, "id", claims(audIAM)), countersign.BadToken, countersign.ReasonIssuerUnknown},
		{"another service's signature", parts[0] + "." + parts[1] + "." + strings.Split(f.mint(t, "id-2", claims(audIAM)), ".")[2], countersign.BadToken, countersign.ReasonSignatureInvalid},
		{"garbage", "x", countersign.BadToken, countersign.ReasonTokenMalformed},
		{"a client secret", "csk_" + strings.Repeat("0", 49), countersign.BadToken, countersign.ReasonTokenMalformed},
		{"huge", strings.Repeat("a", 1<<20), countersign.BadToken, countersign.ReasonTokenTooLarge},
		{"unknown service", f.mint(t, "id", token.Claims{Service: "nobody", ServiceUID: "uid-1", Audience: audIAM}), countersign.BadToken, countersign.ReasonTokenRevoked},
		{"rule A5 another uid", f.mint(t, "id", token.Claims{Service: "document-service", ServiceUID: "uid-0", Audience: audIAM}), countersign.BadToken, countersign.ReasonTokenRevoked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := f.authn.Caller(request(t, bearer(tt.token)))
			wantError(t, err, tt.code, tt.reason)
		})
	}
}

func TestCallerRefusesEveryMutilatedToken(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	good := f.mint(t, "id-1", claims(audIAM))
	if _, err := f.authn.Caller(request(t, bearer(good))); err != nil {
		t.Fatal(err) // and it is cached now: near misses must not hit
	}
	for i := range good {
		flipped := []byte(good)
		flipped[i] ^= 1
		for _, text := range []string{string(flipped), good[:i], good + good[i:i+1]} {
			if _, err := f.authn.Caller(request(t, bearer(text))); err == nil {
				t.Errorf("position %d: accepted", i)
			}
		}
	}
}

func TestTokenEndsWhenItsServiceDoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(ctx context.Context, tx store.Tx) error
	}{
		{"disabled", func(ctx context.Context, tx store.Tx) error { return tx.UpdateService(ctx, service("uid-1", true, 2)) }},
		{"deleted", func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-1") }},
		{"deleted and created again", func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.DeleteService(ctx, "uid-1"), tx.CreateService(ctx, service("uid-2", false, 1)))
		}},
	}
	for _, tt := range tests {
		t.Run("rule A5 "+tt.name, func(t *testing.T) {
			t.Parallel()
			f := newRig(t)
			r := request(t, bearer(f.mint(t, "id-1", claims(audIAM))))
			if _, err := f.authn.Caller(r); err != nil {
				t.Fatal(err)
			}
			f.change(t, "document-service", tt.end)
			_, err := f.authn.Caller(r)
			wantError(t, err, countersign.BadToken, countersign.ReasonTokenRevoked)
		})
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	text := f.mint(t, "id-1", claims(audIAM))
	f.Clock.Advance(15*time.Minute + 59*time.Second)
	if _, err := f.authn.Caller(request(t, bearer(text))); err != nil {
		t.Errorf("within the skew: %v", err)
	}
	f.Clock.Advance(2 * time.Second)
	_, err := f.authn.Caller(request(t, bearer(text)))
	wantError(t, err, countersign.Expired, countersign.ReasonTokenExpired)
	_, err = f.authn.Inspect(request(t), text)
	wantError(t, err, countersign.Expired, countersign.ReasonTokenExpired)
}

func TestInspect(t *testing.T) {
	t.Parallel()
	f, stranger := newRig(t), newRig(t)
	for _, audience := range []string{"parse-service", audIAM, "https://api.example.com/v1"} {
		got, err := f.authn.Inspect(request(t), f.mint(t, "id-1", claims(audience)))
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != "id-1" || len(got.Audience) != 1 || got.Audience[0] != audience || got.ClientID != "document-service" ||
			got.Principal.Service.UID != "uid-1" || got.ExpiresAt.Sub(got.IssuedAt) != 15*time.Minute {
			t.Errorf("Inspect = %+v", got)
		}
	}
	_, err := f.authn.Inspect(request(t), stranger.mint(t, "id-1", claims("parse-service")))
	wantError(t, err, countersign.BadToken, countersign.ReasonKeyUnknown)
	_, err = f.authn.Inspect(request(t), "")
	wantError(t, err, countersign.BadToken, countersign.ReasonTokenMalformed)

	text := f.mint(t, "id-2", claims("parse-service"))
	if _, err := f.authn.Inspect(request(t), text); err != nil {
		t.Fatal(err)
	}
	f.Registry.Revoke(store.Revocation{Seq: 1, JTI: "id-2", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	_, err = f.authn.Inspect(request(t), text)
	wantError(t, err, countersign.BadToken, countersign.ReasonTokenRevoked)
}

func TestRevocationStateUnknownRefuses(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	text := f.mint(t, "id-1", claims(audIAM))
	if err := f.Store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.authn.Caller(request(t, bearer(text)))
	wantError(t, err, countersign.Unavailable, countersign.ReasonRevocationUnknown)
	_, err = f.authn.Inspect(request(t), text)
	wantError(t, err, countersign.Unavailable, countersign.ReasonRevocationUnknown)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	for name, cfg := range map[string]authn.Config{
		"no issuer":   {Keys: f.Keys, Registry: f.Registry},
		"no keys":     {Issuer: issuer, Registry: f.Registry},
		"no registry": {Issuer: issuer, Keys: f.Keys},
	} {
		if _, err := authn.New(cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: New = %v, want Invalid", name, err)
		}
	}
}

func BenchmarkCaller(b *testing.B) {
	f := newRig(b)
	r := request(b, bearer(f.mint(b, "id-1", claims(audIAM))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.authn.Caller(r); err != nil {
			b.Fatal(err)
		}
	}
}
