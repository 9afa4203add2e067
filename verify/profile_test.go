package verify_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// verifyWith verifies a token of one issuer.
func verifyWith(t *testing.T, i verify.Issuer, header, claims object) (*verify.Token, error) {
	t.Helper()
	cfg := config()
	if i.Keys == nil {
		i.Keys = keys()
	}
	cfg.Issuers = []verify.Issuer{i}
	return newVerifier(t, cfg).Verify(t.Context(), mint(header, claims))
}

func wantPrincipal(t *testing.T, token *verify.Token, err error, want countersign.Principal) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(want, token.Principal, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(countersign.Proof{})); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
}

func TestCountersignServiceToken(t *testing.T) {
	t.Parallel()
	token, err := verifyWith(t, verify.Issuer{URL: issuerURL}, header(), serviceClaims())
	scopes := []string{"s2s:internal", "documents:read"}
	wantPrincipal(t, token, err, countersign.Principal{
		Service: countersign.Service{Name: "document-service", Issuer: issuerURL, UID: "u-1", Scopes: scopes, Tenant: "acme"},
		Scopes:  scopes, Tenant: "acme",
	})
	want := countersign.Proof{
		Method: "jwt", TokenID: "0190a5f2-0000-7000-8000-000000000001", KeyID: "k1", Audience: audience,
		IssuedAt: now.UTC(), ExpiresAt: now.Add(900e9).UTC(),
	}
	if diff := cmp.Diff(want, token.Principal.Service.Proof); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	if string(token.Claims["tenant"]) != `"acme"` || len(token.Claims) != len(serviceClaims()) {
		t.Errorf("claims = %q", token.Claims)
	}
	if token.ID != want.TokenID || token.ClientID != "document-service" || token.Subject != "document-service" ||
		!cmp.Equal(token.Audience, []string{audience}) || token.Issuer != issuerURL {
		t.Errorf("token = %+v", token)
	}
}

// TestRuleA3ExchangedTokenIsAUsers: act makes it a user's token, whatever the user is
// called.
func TestRuleA3ExchangedTokenIsAUsers(t *testing.T) {
	t.Parallel()
	exchanged := serviceClaims().with(object{
		"service_id": nil, "service_uid": nil, "sub": "document-service", "sub_iss": foreignURL,
		"act": object{"sub": "backend-actor", "act": object{"sub": "earlier"}}, "client_id": "backend-actor", "roles": []string{"admin"},
	})
	token, err := verifyWith(t, verify.Issuer{URL: issuerURL}, header(), exchanged)
	scopes := []string{"s2s:internal", "documents:read"}
	wantPrincipal(t, token, err, countersign.Principal{
		User: countersign.User{
			Issuer: foreignURL, Subject: "document-service", Actor: "backend-actor",
			Roles: []string{"admin"}, Scopes: scopes, Tenant: "acme",
		},
		Scopes: scopes, Tenant: "acme",
	})
	token, err = verifyWith(t, verify.Issuer{URL: issuerURL, Subject: verify.User, Profile: verify.Countersign}, header(), exchanged)
	if err != nil || token.Principal.User.IsZero() {
		t.Errorf("Subject User: %v", err)
	}

	for name, test := range map[string]struct {
		change object
		want   countersign.Reason
	}{
		"no sub_iss":      {object{"sub_iss": nil}, countersign.ReasonClaimMissing},
		"sub_iss number":  {object{"sub_iss": 1}, countersign.ReasonClaimInvalid},
		"act string":      {object{"act": "backend-actor"}, countersign.ReasonClaimInvalid},
		"act without sub": {object{"act": object{}}, countersign.ReasonClaimInvalid},
		"act null":        {object{"act": json.RawMessage("null")}, countersign.ReasonClaimInvalid},
		"act and service": {object{"service_id": "document-service"}, countersign.ReasonPrincipalUnsupported},
		"roles object":    {object{"roles": object{}}, countersign.ReasonClaimInvalid},
	} {
		_, err := verifyWith(t, verify.Issuer{URL: issuerURL}, header(), exchanged.with(test.change))
		t.Log(name)
		wantReason(t, err, test.want)
	}
}

func TestCountersignIssuerForOneSubject(t *testing.T) {
	t.Parallel()
	exchanged := serviceClaims().with(object{"service_id": nil, "sub_iss": foreignURL, "act": object{"sub": "a"}})
	services := verify.Issuer{URL: issuerURL, Subject: verify.Service, Profile: verify.Countersign}
	users := verify.Issuer{URL: issuerURL, Subject: verify.User, Profile: verify.Countersign}
	_, err := verifyWith(t, services, header(), exchanged)
	wantReason(t, err, countersign.ReasonPrincipalUnsupported)
	_, err = verifyWith(t, users, header(), serviceClaims())
	wantReason(t, err, countersign.ReasonPrincipalUnsupported)
	if _, err := verifyWith(t, services, header(), serviceClaims()); err != nil {
		t.Error(err)
	}
}

func TestRuleA4ForeignUserAssertsOnlyWhatIsAllowed(t *testing.T) {
	t.Parallel()
	plain := object{"alg": "ES256", "kid": "k1"}
	base := verify.Issuer{URL: foreignURL, Subject: verify.User}
	allowing := func(change func(*verify.Issuer)) verify.Issuer {
		i := base
		i.Roles, i.Scopes, i.Tenants = map[string]string{"admins": "admin", "ops": "admin"}, []string{"read"}, []string{"acme"}
		if change != nil {
			change(&i)
		}
		return i
	}
	user := func(u countersign.User) countersign.Principal {
		u.Issuer, u.Subject = foreignURL, "alice"
		return countersign.Principal{User: u, Scopes: u.Scopes, Tenant: u.Tenant}
	}
	full := user(countersign.User{Roles: []string{"admin"}, Scopes: []string{"read"}, Tenant: "acme"})
	tests := []struct {
		name   string
		issuer verify.Issuer
		change object
		want   countersign.Principal
	}{
		{"nothing by default", base, nil, user(countersign.User{})},
		{"what is allowed", allowing(nil), nil, full},
		{"two names of one role", allowing(nil), object{"roles": []string{"ops", "admins"}}, full},
		{"one role as a string", allowing(nil), object{"roles": "ops"}, full},
		{"a role of ours that isn't mapped", allowing(nil), object{"roles": []string{"admin", "super-admin"}}, user(countersign.User{Scopes: []string{"read"}, Tenant: "acme"})},
		{"s2s:internal", allowing(nil), object{"scope": "s2s:internal read"}, full},
		{"scp array", allowing(nil), object{"scope": nil, "scp": []string{"read", "s2s:internal"}}, full},
		{"scope before scp", allowing(nil), object{"scope": "write", "scp": []string{"read"}}, user(countersign.User{Roles: []string{"admin"}, Tenant: "acme"})},
		{"configured names", allowing(func(i *verify.Issuer) {
			i.Claims = verify.ClaimNames{Roles: "groups", Scopes: "permissions", Tenant: "org"}
		}), object{"groups": []string{"ops"}, "permissions": []string{"read"}, "org": "acme"}, full},
		{"another tenant", allowing(nil), object{"tenant": "evil"}, user(countersign.User{Roles: []string{"admin"}, Scopes: []string{"read"}})},
		{"service identity is ignored", allowing(nil), object{"service_id": "document-service", "custom:service_id": "document-service", "client_id": "document-service"}, full},
		{"act is ignored", allowing(nil), object{"act": object{"sub": "document-service"}}, full},
		{"a user called like a service", base, object{"sub": "document-service"}, countersign.Principal{User: countersign.User{Issuer: foreignURL, Subject: "document-service"}}},
		{"empty tenant", allowing(nil), object{"tenant": ""}, user(countersign.User{Roles: []string{"admin"}, Scopes: []string{"read"}})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			token, err := verifyWith(t, test.issuer, plain, userClaims().with(test.change))
			wantPrincipal(t, token, err, test.want)
		})
	}
	for _, change := range []object{{"roles": 1}, {"roles": []any{1}}, {"scope": 1}, {"scope": object{}}, {"tenant": []string{"acme"}}} {
		_, err := verifyWith(t, allowing(nil), plain, userClaims().with(change))
		wantReason(t, err, countersign.ReasonClaimInvalid)
	}
}

func TestOIDCTypes(t *testing.T) {
	t.Parallel()
	issuer := verify.Issuer{URL: foreignURL, Subject: verify.User}
	for typ, ok := range map[any]bool{nil: true, "JWT": true, "jwt": true, "at+jwt": true, "application/at+jwt": true,
		"logout+jwt": false, "": false, "secevent+jwt": false, "dpop+jwt": false, "JOSE": false} {
		_, err := verifyWith(t, issuer, object{"alg": "ES256", "kid": "k1"}.with(object{"typ": typ}), userClaims())
		if ok && err != nil {
			t.Errorf("typ %v: %v", typ, err)
		}
		if !ok {
			wantReason(t, err, countersign.ReasonTypMismatch)
		}
	}
	token, err := verifyWith(t, issuer, object{"alg": "ES256", "kid": "k1"}, userClaims().with(object{"iat": nil, "azp": "app"}))
	if err != nil || !token.IssuedAt.IsZero() || token.ClientID != "app" {
		t.Errorf("without iat: %+v, %v", token, err)
	}
}

func TestRuleA2ForeignServiceNames(t *testing.T) {
	t.Parallel()
	issuer := verify.Issuer{
		URL: foreignURL, Subject: verify.Service, Services: []string{"document-service"},
		Claims: verify.ClaimNames{Service: "svc"}, Scopes: []string{"read"},
	}
	claims := userClaims().with(object{"sub": "5ba1…", "scope": "read s2s:internal"})
	for name, want := range map[string]string{
		"document-service": "document-service",
		"backend-actor":    foreignURL + "/backend-actor",
		"a/b%c":            foreignURL + "/a%2Fb%25c",
		"/":                foreignURL + "/%2F",
		"Document-Service": foreignURL + "/Document-Service",
	} {
		token, err := verifyWith(t, issuer, object{"alg": "ES256", "kid": "k1"}, claims.with(object{"svc": name}))
		wantPrincipal(t, token, err, countersign.Principal{
			Service: countersign.Service{Name: want, Issuer: foreignURL, Scopes: []string{"read"}}, Scopes: []string{"read"},
		})
	}
	for value, reason := range map[any]countersign.Reason{
		nil: countersign.ReasonClaimMissing, "": countersign.ReasonClaimInvalid, " ": countersign.ReasonClaimInvalid,
		"a\x00": countersign.ReasonClaimInvalid, 5: countersign.ReasonClaimInvalid,
	} {
		_, err := verifyWith(t, issuer, object{"alg": "ES256", "kid": "k1"}, claims.with(object{"svc": value}))
		wantReason(t, err, reason)
	}
	token, err := verifyWith(t, verify.Issuer{URL: foreignURL, Subject: verify.Service}, object{"alg": "ES256", "kid": "k1"}, userClaims())
	wantPrincipal(t, token, err, countersign.Principal{Service: countersign.Service{Name: foreignURL + "/alice", Issuer: foreignURL}})
}

func TestCognito(t *testing.T) {
	t.Parallel()
	plain := object{"alg": "ES256", "kid": "k1"}
	idToken := object{
		"iss": foreignURL, "sub": "7f3e", "aud": "app1", "token_use": "id", "exp": now.Unix() + 900, "iat": now.Unix(),
		"cognito:username": "service-document-service", "custom:service_id": "document-service",
		"cognito:groups": []string{"admins"}, "custom:tenant_id": "acme",
	}
	accessToken := idToken.with(object{"aud": nil, "client_id": "app1", "token_use": "access", "custom:service_id": nil, "scope": "read"})
	issuer := func(subject verify.Subject, use string) verify.Issuer {
		return verify.Issuer{
			URL: foreignURL, Profile: verify.Cognito, Subject: subject, TokenUse: use, Audiences: []string{"app1"},
			Services: []string{"document-service"}, Roles: map[string]string{"admins": "admin"}, Tenants: []string{"acme"},
		}
	}
	token, err := verifyWith(t, issuer(verify.Service, "id"), plain, idToken)
	wantPrincipal(t, token, err, countersign.Principal{
		Service: countersign.Service{Name: "document-service", Issuer: foreignURL, Tenant: "acme"}, Tenant: "acme",
	})
	token, err = verifyWith(t, issuer(verify.User, "access"), plain, accessToken)
	wantPrincipal(t, token, err, countersign.Principal{
		User: countersign.User{Issuer: foreignURL, Subject: "7f3e", Roles: []string{"admin"}, Tenant: "acme"}, Tenant: "acme",
	})
	if err == nil && (token.Audience[0] != "app1" || token.ClientID != "app1") {
		t.Errorf("audience %q, client %q", token.Audience, token.ClientID)
	}

	refused := []struct {
		name   string
		issuer verify.Issuer
		claims object
		want   countersign.Reason
	}{
		{"ID token where access tokens are due", issuer(verify.User, "access"), idToken, countersign.ReasonTokenUseMismatch},
		{"access token where ID tokens are due", issuer(verify.User, "id"), accessToken, countersign.ReasonTokenUseMismatch},
		{"no token_use", issuer(verify.User, "id"), idToken.with(object{"token_use": nil}), countersign.ReasonTokenUseMismatch},
		{"token_use array", issuer(verify.User, "id"), idToken.with(object{"token_use": []string{"id"}}), countersign.ReasonTokenUseMismatch},
		{"other app, ID token", issuer(verify.User, "id"), idToken.with(object{"aud": "app2"}), countersign.ReasonAudMismatch},
		{"other app, access token", issuer(verify.User, "access"), accessToken.with(object{"client_id": "app2"}), countersign.ReasonAudMismatch},
		{"aud instead of client_id", issuer(verify.User, "access"), accessToken.with(object{"client_id": nil, "aud": "app1"}), countersign.ReasonClaimMissing},
		{"client_id instead of aud", issuer(verify.User, "id"), idToken.with(object{"aud": nil, "client_id": "app1"}), countersign.ReasonClaimMissing},
		{"a person in the services' pool", issuer(verify.Service, "id"), idToken.with(object{"custom:service_id": nil}), countersign.ReasonClaimMissing},
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := verifyWith(t, test.issuer, plain, test.claims)
			wantReason(t, err, test.want)
		})
	}
	_, err = verifyWith(t, issuer(verify.User, "id"), header(), idToken)
	wantReason(t, err, countersign.ReasonTypMismatch)
	// A service's claims in the users' pool make no service.
	token, err = verifyWith(t, issuer(verify.User, "id"), plain, idToken)
	if err != nil || !token.Principal.Service.IsZero() {
		t.Errorf("users' pool: %+v, %v", token, err)
	}
}

// TestTwoIssuersOfOneURL: services and users of one pool, told apart by audience.
func TestTwoIssuersOfOneURL(t *testing.T) {
	t.Parallel()
	cfg := verify.Config{Now: config().Now, Issuers: []verify.Issuer{
		{URL: foreignURL, Keys: keys(), Subject: verify.User, Audiences: []string{"people", "more-people"}},
		{URL: foreignURL, Keys: keys(), Subject: verify.Service, Audiences: []string{"machines"}, Services: []string{"alice"}},
	}}
	v := newVerifier(t, cfg)
	plain := object{"alg": "ES256", "kid": "k1"}
	token, err := v.Verify(t.Context(), mint(plain, userClaims().with(object{"aud": "people"})))
	if err != nil || token.Principal.User.Subject != "alice" {
		t.Errorf("people: %v", err)
	}
	token, err = v.Verify(t.Context(), mint(plain, userClaims().with(object{"aud": []string{"x", "machines"}})))
	if err != nil || token.Principal.Service.Name != "alice" {
		t.Errorf("machines: %v", err)
	}
	for _, aud := range []any{"other", []string{"people", "machines"}, []string{}} {
		_, err = v.Verify(t.Context(), mint(plain, userClaims().with(object{"aud": aud})))
		wantReason(t, err, countersign.ReasonAudMismatch)
	}
}

func TestInsecureAnyAudience(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Audience, cfg.InsecureAnyAudience = "", true
	v := newVerifier(t, cfg)
	token, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"aud": "somebody-else"})))
	if err != nil || !cmp.Equal(token.Audience, []string{"somebody-else"}) || token.Principal.Service.Proof.Audience != "" {
		t.Errorf("token = %+v, %v", token, err)
	}
	_, err = v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"aud": nil})))
	wantReason(t, err, countersign.ReasonClaimMissing)
}

// TestServiceNameFromUserName: access tokens of Cognito name a service by its user name.
func TestServiceNameFromUserName(t *testing.T) {
	t.Parallel()
	cfg := verify.Config{Now: func() time.Time { return now }, Issuers: []verify.Issuer{{
		URL: foreignURL, Subject: verify.Service, Profile: verify.Cognito, TokenUse: "access", Keys: keys(),
		Audiences: []string{"app"}, Algorithms: []string{verify.ES256},
		Claims: verify.ClaimNames{Service: "username", ServicePrefix: "service-"},
	}}}
	v := newVerifier(t, cfg)
	claims := object{
		"iss": foreignURL, "sub": "0f7c", "client_id": "app", "token_use": "access",
		"username": "service-document-service", "exp": now.Unix() + 900, "iat": now.Unix(),
	}
	head := object{"alg": "ES256", "kid": "k1"}
	token, err := v.Verify(t.Context(), mint(head, claims))
	if err != nil || token.Principal.Service.Name != foreignURL+"/document-service" {
		t.Errorf("got %v, %v", token, err)
	}
	for _, name := range []any{"document-service", "Service-a", "service-", "service- ", "", 7, nil} {
		_, err := v.Verify(t.Context(), mint(head, claims.with(object{"username": name})))
		if countersign.CodeOf(err) != countersign.BadToken {
			t.Errorf("user name %v: %v, want a refusal", name, err)
		}
	}
}
