package trust_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

func TestForeignTokenIsProven(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	v := newVerifier(t, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, nil)
	claims := i.claims().with(object{"tenant": "acme", "scope": "read", "n": 7, "list": []string{"a"}})
	for _, prove := range []func(context.Context, string) (trust.Identity, error){v.WebIdentity, v.ForeignToken} {
		id, err := prove(t.Context(), mint(idpKey, head(), claims))
		if err != nil {
			t.Fatal(err)
		}
		if id.Kind != trust.KindOIDC || id.Issuer != i.URL || id.Subject != "job-1" || id.IssuerName != "idp" || id.IssuerUID != "uid-idp" {
			t.Errorf("got %+v", id)
		}
		if id.Service != "" || id.ServiceUID != "" || id.Tenant != "" || id.Scopes != nil || id.TokenID != "" || id.AWS != nil {
			t.Errorf("believed too much: %+v", id)
		}
		if !slices.Equal(id.Dropped, []string{"tenant", "scopes"}) || !slices.Equal(id.Audience, []string{"sts"}) {
			t.Errorf("dropped %v, audience %v", id.Dropped, id.Audience)
		}
		if id.Claims["dept"] != "docs" || id.Claims["n"] != float64(7) || id.ExpiresAt.Unix() != now.Unix()+300 {
			t.Errorf("got %+v", id)
		}
	}
}

func TestOwnTokenIsProven(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, &documents{}, nil)
	id, err := v.WebIdentity(t.Context(), mint(ownKey, ownHead(), ownClaims()))
	if err != nil {
		t.Fatal(err)
	}
	if id.Kind != trust.KindService || id.Issuer != ownIssuer || id.Subject != "document-service" || id.Service != "document-service" ||
		id.ServiceUID != "u-1" || id.Tenant != "acme" || id.TokenID != "j-1" || id.KID != "own" || id.IssuerName != "" {
		t.Errorf("got %+v", id)
	}
	_, err = v.ForeignToken(t.Context(), mint(ownKey, ownHead(), ownClaims()))
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonIssuerUnknown)
}

// TestRuleB1OwnAudience: our own token is for the STS and nobody else.
func TestRuleB1OwnAudience(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, &documents{}, nil)
	for name, audience := range map[string]any{
		"another's": "parse-service", "a list of two": []string{"sts", "parse-service"}, "in other case": "STS", "longer": "sts.amazonaws.com",
		"none": nil, "empty": "", "an empty list": []string{},
	} {
		_, err := v.WebIdentity(t.Context(), mint(ownKey, ownHead(), ownClaims().with(object{"aud": audience})))
		if countersign.CodeOf(err) != countersign.BadToken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRuleA3: a user's token from an exchange is no service's, though a service stands in it.
func TestRuleA3(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, &documents{}, nil)
	claims := ownClaims().with(object{"service_id": nil, "service_uid": nil, "sub_iss": "https://idp.example.com",
		"act": object{"sub": "document-service"}})
	_, err := v.WebIdentity(t.Context(), mint(ownKey, ownHead(), claims))
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonPrincipalUnsupported)
	both := claims.with(object{"service_id": "document-service", "service_uid": "u-1"})
	_, err = v.WebIdentity(t.Context(), mint(ownKey, ownHead(), both))
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonPrincipalUnsupported)
}

// TestRuleA4: an issuer asserts what its document lists, and the rest is dropped and named.
func TestRuleA4(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	document := i.issuer("idp", "sts")
	document.Subject = trust.SubjectUser
	document.MayAssert = trust.MayAssert{Tenants: []string{"acme"}, Roles: map[string]string{"admins": "admin"}, Scopes: []string{"read"}}
	v := newVerifier(t, &documents{list: []trust.Issuer{document}}, nil)
	id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{
		"tenant": "acme", "roles": []string{"admins", "super-admin"}, "scope": "read s2s:internal"})))
	if err != nil {
		t.Fatal(err)
	}
	if id.Tenant != "acme" || !slices.Equal(id.Roles, []string{"admin"}) || !slices.Equal(id.Scopes, []string{"read"}) ||
		!slices.Equal(id.Dropped, []string{"roles", "scopes"}) {
		t.Errorf("got %+v", id)
	}
	id, err = v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"tenant": "other"})))
	if err != nil || id.Tenant != "" || !slices.Equal(id.Dropped, []string{"tenant"}) {
		t.Errorf("got %+v, %v", id, err)
	}
}

func TestCognitoProfiles(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	base := i.issuer("pool", "app")
	base.Profile, base.Subject = "cognito", trust.SubjectService
	idTokens, access := base, base
	idTokens.TokenUse = "id"
	access.TokenUse, access.Claims = "access", trust.ClaimNames{ServiceFrom: "username", ServicePrefix: "service-"}
	idClaims := i.claims().with(object{"aud": "app", "token_use": "id", "custom:service_id": "document-service", "cognito:username": "service-document-service"})
	accessClaims := i.claims().with(object{"aud": nil, "client_id": "app", "token_use": "access", "username": "service-document-service", "scope": "aws.cognito.signin.user.admin"})
	tests := []struct {
		name     string
		document trust.Issuer
		claims   object
		ok       bool
	}{
		{"id token", idTokens, idClaims, true},
		{"access token", access, accessClaims, true},
		{"access where id is wanted", idTokens, accessClaims.with(object{"aud": "app", "custom:service_id": "document-service"}), false},
		{"id where access is wanted", access, idClaims.with(object{"client_id": "app", "username": "service-x"}), false},
		{"no token_use", idTokens, idClaims.with(object{"token_use": nil}), false},
		{"another client", access, accessClaims.with(object{"client_id": "other"}), false},
		{"aud in place of the client", access, accessClaims.with(object{"client_id": nil, "aud": "app"}), false},
		{"no service", idTokens, idClaims.with(object{"custom:service_id": nil}), false},
		{"a user of the same pool", access, accessClaims.with(object{"username": "alice"}), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, &documents{list: []trust.Issuer{test.document}}, nil)
			id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), test.claims))
			if !test.ok {
				wantRefusal(t, err, countersign.BadToken, "")
				return
			}
			if err != nil || id.ClaimedService != "document-service" || id.Service != i.URL+"/document-service" || id.ServiceUID != "" {
				t.Errorf("got %+v, %v", id, err)
			}
		})
	}
}

// TestForeignTokensThatAreRefused: holes 10 to 15 are closed by package verify; here is that
// its rules are switched on.
func TestForeignTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	v := newVerifier(t, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, nil)
	good := mint(idpKey, head(), i.claims())
	dot := strings.LastIndexByte(good, '.')
	tests := []struct {
		name, token string
		code        countersign.Code
	}{
		{"empty", "", countersign.BadToken},
		{"no JWT", "x", countersign.BadToken},
		{"too long", good + strings.Repeat("A", 17<<10), countersign.BadToken},
		{"no signature", good[:dot+1], countersign.BadToken},
		{"another's signature", mint(idpKey2, head(), i.claims()), countersign.BadToken},
		{"alg none", mint(idpKey, object{"alg": "none"}, i.claims()), countersign.BadToken},
		{"alg of another issuer", mint(idpKey, object{"alg": "RS256", "kid": "k1"}, i.claims()), countersign.BadToken},
		{"alg HS256", mint(idpKey, object{"alg": "HS256", "kid": "k1"}, i.claims()), countersign.BadToken},
		{"crit", mint(idpKey, head().with(object{"crit": []string{"x"}}), i.claims()), countersign.BadToken},
		{"jku", mint(idpKey, head().with(object{"jku": "https://evil.example.com"}), i.claims()), countersign.BadToken},
		{"another typ", mint(idpKey, head().with(object{"typ": "secevent+jwt"}), i.claims()), countersign.BadToken},
		{"another audience", mint(idpKey, head(), i.claims().with(object{"aud": "other"})), countersign.BadToken},
		{"no audience", mint(idpKey, head(), i.claims().with(object{"aud": nil})), countersign.BadToken},
		{"no exp", mint(idpKey, head(), i.claims().with(object{"exp": nil})), countersign.BadToken},
		{"exp as text", mint(idpKey, head(), i.claims().with(object{"exp": "never"})), countersign.BadToken},
		{"expired", mint(idpKey, head(), i.claims().with(object{"exp": now.Unix() - 61})), countersign.Expired},
		{"not yet", mint(idpKey, head(), i.claims().with(object{"nbf": now.Unix() + 61})), countersign.BadToken},
		{"no sub", mint(idpKey, head(), i.claims().with(object{"sub": nil})), countersign.BadToken},
		{"no iss", mint(idpKey, head(), i.claims().with(object{"iss": nil})), countersign.BadToken},
		{"a sub that can't be revoked", mint(idpKey, head(), i.claims().with(object{"sub": strings.Repeat("s", trust.MaxSubject+1)})), countersign.BadToken},
		{"a sub with a line end", mint(idpKey, head(), i.claims().with(object{"sub": "build:main\n"})), countersign.BadToken},
		{"bound to a key", mint(idpKey, head(), i.claims().with(object{"cnf": object{"jkt": "x"}})), countersign.BadToken},
		{"a number out of range", mint(idpKey, head(), i.claims().with(object{"n": rawNumber("1e999")})), countersign.BadToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, err := v.WebIdentity(t.Context(), test.token)
			wantRefusal(t, err, test.code, "")
			if id.Kind != "" {
				t.Errorf("got %+v", id)
			}
		})
	}
}

// rawNumber is written into JSON as it is.
type rawNumber string

func (r rawNumber) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestRuleC1 is CVE-2026-14336 and its like: an issuer is known byte by byte, before
// anything is fetched (vulnerabilities 18).
func TestRuleC1(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	issuers := &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}
	v := newVerifier(t, issuers, nil)
	for _, iss := range []string{
		i.URL + "/", i.URL + "@evil.example.com", strings.ToUpper(i.URL), i.URL + ".evil.example.com", i.URL + "/x", " " + i.URL,
		"https://evil.example.com", i.URL[:len(i.URL)-1], ownIssuer + "/", strings.Replace(i.URL, "127.0.0.1", "localhost", 1),
	} {
		_, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"iss": iss})))
		wantRefusal(t, err, countersign.BadToken, countersign.ReasonIssuerUnknown)
	}
	if i.fetches.Load() != 0 {
		t.Error("keys were fetched for an issuer that is not known")
	}
}

// TestRuleC1OwnIssuer: nobody who is written down as an issuer speaks for us.
func TestRuleC1OwnIssuer(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	document := i.issuer("idp", "sts")
	document.URL, document.JWKSURI = ownIssuer, i.URL+"/keys"
	document.AllowPrivateAddresses = true
	v := newVerifier(t, &documents{list: []trust.Issuer{document}}, nil)
	for _, prove := range []func(context.Context, string) (trust.Identity, error){v.WebIdentity, v.ForeignToken} {
		_, err := prove(t.Context(), mint(idpKey, ownHead().with(object{"kid": "k1"}), ownClaims()))
		wantRefusal(t, err, countersign.BadToken, "")
	}
	if i.fetches.Load() != 0 {
		t.Error("foreign keys were fetched for our own issuer")
	}
}

func TestSeveralDocumentsOfOneURL(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	cognito := i.issuer("access", "app")
	cognito.Profile, cognito.TokenUse = "cognito", "access"
	issuers := &documents{list: []trust.Issuer{i.issuer("one", "a"), i.issuer("two", "b", "c"), cognito}}
	v := newVerifier(t, issuers, nil)
	for audience, want := range map[string]string{"a": "one", "b": "two", "c": "two"} {
		id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"aud": audience})))
		if err != nil || id.IssuerName != want {
			t.Errorf("%s: %+v, %v", audience, id, err)
		}
	}
	id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"aud": nil, "client_id": "app", "token_use": "access"})))
	if err != nil || id.IssuerName != "access" {
		t.Errorf("%+v, %v", id, err)
	}
	for _, audience := range []any{"d", []string{"a", "b"}, nil} {
		_, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"aud": audience})))
		wantRefusal(t, err, countersign.BadToken, "")
	}
}

type revoker struct{ err error }

func (r revoker) Revoked(_ context.Context, t *verify.Token) (bool, error) {
	return t.Subject == "revoked", r.err
}

func TestRevocationIsAskedForAll(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	issuers := &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}
	v := newVerifier(t, issuers, func(c *trust.Config) { c.Revocations = revoker{} })
	own := ownClaims().with(object{"sub": "revoked", "client_id": "revoked", "service_id": "revoked"})
	for _, token := range []string{mint(idpKey, head(), i.claims().with(object{"sub": "revoked"})), mint(ownKey, ownHead(), own)} {
		_, err := v.WebIdentity(t.Context(), token)
		wantRefusal(t, err, countersign.BadToken, countersign.ReasonTokenRevoked)
	}
	stale := newVerifier(t, issuers, func(c *trust.Config) { c.Revocations = revoker{errors.New("stale")} })
	for _, token := range []string{mint(idpKey, head(), i.claims()), mint(ownKey, ownHead(), ownClaims())} {
		_, err := stale.WebIdentity(t.Context(), token)
		wantRefusal(t, err, countersign.Unavailable, countersign.ReasonRevocationUnknown)
	}
}

func TestIssuersThatCantBeKnown(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	down := countersign.NewError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "down")
	v := newVerifier(t, &documents{failed: down}, nil)
	_, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims()))
	wantRefusal(t, err, countersign.Unavailable, "")
	if _, err := v.WebIdentity(t.Context(), mint(ownKey, ownHead(), ownClaims())); err != nil {
		t.Errorf("our own token: %v", err)
	}
	for name, change := range map[string]func(*trust.Issuer){
		"no audience":           func(d *trust.Issuer) { d.Audiences = nil },
		"a profile of ours":     func(d *trust.Issuer) { d.Profile = "countersign" },
		"no subject":            func(d *trust.Issuer) { d.Subject = "" },
		"plain http":            func(d *trust.Issuer) { d.JWKSURI = "http://idp.example.com/keys" },
		"an algorithm":          func(d *trust.Issuer) { d.Algorithms = []string{"HS256"} },
		"cognito without a use": func(d *trust.Issuer) { d.Profile = "cognito" },
		"a user name as service": func(d *trust.Issuer) {
			d.Subject, d.Claims.ServiceFrom = trust.SubjectService, "username"
		},
	} {
		document := i.issuer("idp", "sts")
		change(&document)
		v := newVerifier(t, &documents{list: []trust.Issuer{document}}, nil)
		if id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims())); countersign.CodeOf(err) != countersign.Internal {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}
