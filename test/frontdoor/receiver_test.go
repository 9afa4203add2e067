package frontdoor

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// refusedEverywhere presents a bad token at a receiver and at the server's own API.
func refusedEverywhere(t *testing.T, w *world, r *receiver, token string, reason countersign.Reason) {
	t.Helper()
	a := w.call(t, r, doorAny, "Authorization", "Bearer "+token)
	a.wantError(t, http.StatusUnauthorized, "invalid_token")
	if reason != "" && a.status == 401 && a.field(t, "reason") != string(reason) {
		t.Errorf("reason %s, want %s", a.field(t, "reason"), reason)
	}
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/iam/v1/admin/services", nil)
	must(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	if a := w.do(t, request); a.status != http.StatusUnauthorized {
		t.Errorf("the IAM API: %d %s", a.status, a.text)
	}
}

// Bad tokens at a receiver of the public SDK. Those of the first half
// are signed with the server's own key, so that only the content is wrong.
func TestBadTokensAtAReceiver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newReceiver(t)
	secret := w.create(t, "document-service", "parse-service")
	now := w.Now().Unix()
	is := func(name string, value any) map[string]any { return claims(w, map[string]any{name: value}) }
	if a := w.call(t, r, doorService, "Authorization", "Bearer "+w.signed(t, nil, claims(w, nil))); a.status != 200 {
		t.Fatalf("a good token: %d %s", a.status, a.text) // else the rest proves nothing
	}
	content := []struct {
		name       string
		head, body any
		reason     countersign.Reason
	}{
		{"no aud", nil, is("aud", nil), countersign.ReasonClaimMissing},
		{"empty aud", nil, is("aud", ""), ""},
		{"aud of nobody", nil, is("aud", []string{}), ""},
		{"aud of another", nil, is("aud", "billing-service"), countersign.ReasonAudMismatch},
		{"aud in other letters", nil, is("aud", "Parse-Service"), countersign.ReasonAudMismatch},
		{"aud as a number", nil, is("aud", 1), countersign.ReasonClaimInvalid},
		{"no exp", nil, is("exp", nil), countersign.ReasonClaimMissing},
		{"exp as text", nil, is("exp", "9999999999"), countersign.ReasonClaimInvalid},
		{"exp in the past", nil, is("exp", now-120), countersign.ReasonTokenExpired},
		{"exp before its time", nil, is("exp", -1), ""},
		{"exp without end", nil, is("exp", 1e300), ""},
		{"no iat", nil, is("iat", nil), countersign.ReasonClaimMissing},
		{"iat in the future", nil, is("iat", now+600), countersign.ReasonTokenNotYetValid},
		{"nbf in the future", nil, is("nbf", now+600), countersign.ReasonTokenNotYetValid},
		{"no iss", nil, is("iss", nil), ""},
		{"another iss", nil, is("iss", "http://127.0.0.1:1"), countersign.ReasonIssuerUnknown},
		{"iss with a slash", nil, is("iss", w.server.Issuer()+"/"), countersign.ReasonIssuerUnknown},
		{"no sub", nil, is("sub", nil), countersign.ReasonClaimMissing},
		{"no jti", nil, is("jti", nil), countersign.ReasonClaimMissing},
		{"an ID token", map[string]any{"typ": "JWT"}, claims(w, nil), countersign.ReasonTypMismatch},
		{"no typ", map[string]any{"typ": nil}, claims(w, nil), countersign.ReasonTypMismatch},
		{"a logout token", map[string]any{"typ": "logout+jwt"}, claims(w, nil), countersign.ReasonTypMismatch},
		{"crit", map[string]any{"crit": []string{"exp"}}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"b64", map[string]any{"b64": false, "crit": []string{"b64"}}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"zip", map[string]any{"zip": "DEF"}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"jku", map[string]any{"jku": "http://127.0.0.1:1/keys"}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"x5u", map[string]any{"x5u": "http://127.0.0.1:1/cert"}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"x5c", map[string]any{"x5c": []string{"AA"}}, claims(w, nil), countersign.ReasonHeaderNotAllowed},
		{"another kid", map[string]any{"kid": "other"}, claims(w, nil), countersign.ReasonKeyUnknown},
		{"another algorithm of the same key", map[string]any{"alg": "ES384"}, claims(w, nil), countersign.ReasonAlgNotAllowed},
		{"a proof that we can't check", nil, is("cnf", map[string]any{"jkt": "x"}), countersign.ReasonProofRequired},
		{"aud twice", nil, strings.Replace(mustJSON(t, claims(w, nil)), `{`, `{"aud":"billing-service",`, 1), ""},
		{"not an object", nil, `["aud"]`, ""},
		{"not JSON", nil, `{"aud"`, ""},
		{"two documents", nil, mustJSON(t, claims(w, nil)) + `{}`, ""},
		{"header twice alg", `{"alg":"none","alg":"ES256","typ":"at+jwt"}`, claims(w, nil), ""},
	}
	for _, test := range content {
		t.Run(test.name, func(t *testing.T) {
			refusedEverywhere(t, w, r, w.signed(t, test.head, test.body), test.reason)
		})
	}

	token := w.token(t, "document-service", secret, "parse-service")
	parts := strings.Split(token, ".")
	_, kid := w.published(t)
	key := newKey(t)
	point, err := key.PublicKey.Bytes() // 4, x, y
	must(t, err)
	embedded := map[string]any{"kty": "EC", "crv": "P-256", "x": segment(t, string(point[1:33])), "y": segment(t, string(point[33:]))}
	bad := w.hmacSigned(t)
	for _, alg := range []string{"none", "None", "nOnE", "NONE", ""} {
		head := segment(t, map[string]any{"alg": alg, "typ": "at+jwt", "kid": kid})
		bad["alg "+alg+" without signature"] = head + "." + parts[1] + "."
		bad["alg "+alg+" with the good signature"] = head + "." + parts[1] + "." + parts[2]
	}
	bad["a foreign key under our kid"] = forged(t, key, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims(w, nil))
	bad["a foreign kid"] = forged(t, key, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "mine"}, claims(w, nil))
	bad["a foreign key without kid"] = forged(t, key, map[string]any{"alg": "ES256", "typ": "at+jwt"}, claims(w, nil))
	bad["an embedded jwk"] = forged(t, key, map[string]any{"alg": "ES256", "typ": "at+jwt", "jwk": embedded}, claims(w, nil))
	bad["an embedded jwk under our kid"] = forged(t, key, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid, "jwk": embedded}, claims(w, nil))
	bad["a zero signature (CVE-2022-21449)"] = parts[0] + "." + parts[1] + "." + segment(t, strings.Repeat("\x00", 64))
	bad["a users' ID token with our issuer's name"] = r.users.Token(t, "alice", map[string]any{"iss": w.server.Issuer()})
	bad["a users' ID token for another client"] = r.users.Token(t, "alice", map[string]any{"aud": "other-app"})
	bad["an expired ID token"] = r.users.Token(t, "alice", map[string]any{"exp": now - 120})
	bad["an ID token that says it is a service"] = r.users.Token(t, "", map[string]any{"sub": nil, "service_id": "document-service"})
	for name, token := range bad {
		t.Run(name, func(t *testing.T) { refusedEverywhere(t, w, r, token, "") })
	}
	// A users' issuer that names a service proves a user and never a service (RULES A2, A3).
	user := r.users.Token(t, "document-service", map[string]any{"service_id": "document-service", "client_id": "document-service", "scope": "s2s:internal"})
	for _, door := range []string{doorService, doorMachine} {
		if a := w.call(t, r, door, "Authorization", "Bearer "+user); a.status != http.StatusForbidden {
			t.Errorf("%s with a user who calls itself document-service: %d %s", door, a.status, a.text)
		}
	}
}

// vulnerabilities 25: every cut or flipped token is refused, by receivers, by the API and
// by introspection.
func TestVulnerability25MutatedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newReceiver(t)
	secret := w.create(t, "document-service", "parse-service")
	token := w.token(t, "document-service", secret, "parse-service")
	if a := w.call(t, r, doorService, "Authorization", "Bearer "+token); a.status != 200 {
		t.Fatalf("the token itself: %d %s", a.status, a.text) // it is in the cache now
	}
	for name, bad := range mutations(token) {
		if bad == token {
			continue
		}
		a := w.call(t, r, doorAny, "Authorization", "Bearer "+bad)
		if a.status != http.StatusUnauthorized {
			t.Errorf("%.60s: %d %s", name, a.status, a.text)
		}
		if w.active(t, "document-service", secret, bad) {
			t.Errorf("%.60s: active", name)
		}
	}
}

// Headers that say two things, and bad tokens beside good ones: a 400 or a 401, never a
// guess (RULES C4).
func TestRuleC4BadHeadersAtAReceiver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newReceiver(t)
	documents := w.create(t, "document-service", "parse-service")
	actor := w.create(t, "backend-actor", "parse-service", "billing-service")
	service := "Bearer " + w.token(t, "document-service", documents, "parse-service")
	other := "Bearer " + w.token(t, "backend-actor", actor, "parse-service")
	elsewhere := "Bearer " + w.token(t, "backend-actor", actor, "billing-service")
	user := "Bearer " + w.hide("a user's token", r.users.Token(t, "alice", nil))
	cut := service[:len(service)-2]
	const authorization, second = "Authorization", "Service-Authorization"
	tests := []struct {
		name    string
		headers []string
		status  int
		word    string
	}{
		{"no token", nil, 401, "unauthenticated"},
		{"two Authorization headers", []string{authorization, service, authorization, service}, 400, "invalid_request"},
		{"a good one and a bad one", []string{authorization, service, authorization, cut}, 400, "invalid_request"},
		{"a bad one and a good one", []string{authorization, cut, authorization, service}, 400, "invalid_request"},
		{"user and service in one header each", []string{authorization, user, authorization, service}, 400, "invalid_request"},
		{"two Service-Authorization headers", []string{authorization, user, second, service, second, service}, 400, "invalid_request"},
		{"joined by a comma", []string{authorization, service + ", " + service}, 400, "invalid_request"},
		{"two tokens in one", []string{authorization, service + " " + service[7:]}, 400, "invalid_request"},
		{"nothing behind Bearer", []string{authorization, "Bearer"}, 400, "invalid_request"},
		{"a space behind Bearer", []string{authorization, "Bearer  " + service[7:]}, 400, "invalid_request"},
		{"the token without a scheme", []string{authorization, service[7:]}, 400, "invalid_request"},
		{"basic", []string{authorization, basic("document-service", documents).Get(authorization)}, 401, "unauthenticated"},
		{"basic beside a service", []string{authorization, "Basic YTpi", second, service}, 401, "unauthenticated"},
		{"the service's header alone", []string{second, service}, 401, "unauthenticated"},
		{"a bad service beside a good user", []string{authorization, user, second, cut}, 401, "invalid_token"},
		{"a bad user beside a good service", []string{authorization, user[:len(user)-2], second, service}, 401, "invalid_token"},
		{"an empty service beside a good user", []string{authorization, user, second, "Bearer "}, 400, "invalid_request"},
		{"a service for somebody else beside a good user", []string{authorization, user, second, elsewhere}, 401, "invalid_token"},
		{"two services", []string{authorization, service, second, other}, 401, "invalid_token"},
		{"the same service twice", []string{authorization, service, second, service}, 401, "invalid_token"},
		{"two users", []string{authorization, user, second, user}, 401, "invalid_token"},
		{"swapped", []string{authorization, service, second, user}, 401, "invalid_token"},
		{"a service for somebody else", []string{authorization, elsewhere}, 401, "invalid_token"},
		{"the secret as a token", []string{authorization, "Bearer " + documents}, 401, "invalid_token"},
		{"a token of 20 KB", []string{authorization, "Bearer " + strings.Repeat("a", 20<<10)}, 401, "invalid_token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w.call(t, r, doorAny, test.headers...).wantError(t, test.status, test.word)
		})
	}
	allowed := []struct {
		door    string
		headers []string
		status  int
	}{
		{doorService, []string{authorization, service}, 200},
		{doorService, []string{authorization, user, second, service}, 200},
		{doorService, []string{authorization, other}, 403},
		{doorService, []string{authorization, user}, 403}, // a stolen user token alone
		{doorService, []string{authorization, user, second, other}, 403},
		{doorMachine, []string{authorization, user, second, service}, 403},
		{doorMachine, []string{authorization, service}, 403}, // without the scope
		{doorUser, []string{authorization, service}, 403},
		{doorUser, []string{authorization, user}, 200},
	}
	for _, test := range allowed {
		if a := w.call(t, r, test.door, test.headers...); a.status != test.status {
			t.Errorf("%s: %d, want %d: %s", test.door, a.status, test.status, a.text)
		}
	}
	// A token in the URL or in the body is none.
	if a := w.call(t, r, doorAny+"?access_token="+url.QueryEscape(service[7:])); a.status != 401 {
		t.Errorf("a token in the URL: %d %s", a.status, a.text)
	}
}

// The life of tokens, end to end: at introspection at once, at offline receivers by time.
func TestExpiredAndRevokedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newReceiver(t)
	secret := w.create(t, "document-service", "parse-service")
	other := w.create(t, "backend-actor", "parse-service")
	token := w.token(t, "document-service", secret, "parse-service")
	kept := w.token(t, "document-service", secret, "parse-service")
	if a := w.post(t, "/oauth2/revoke", basic("backend-actor", other), url.Values{"token": {token}}); a.status != 400 {
		t.Errorf("another client revokes: %d %s", a.status, a.text)
	}
	if w.active(t, "backend-actor", other, token) {
		t.Error("introspection tells a client that has nothing to do with the token")
	}
	if !w.active(t, "document-service", secret, token) || !w.active(t, "document-service", secret, kept) {
		t.Error("a fresh token is not active")
	}
	for range 2 { // the second time changes nothing and is no error
		if a := w.post(t, "/oauth2/revoke", basic("document-service", secret), url.Values{"token": {token}}); a.status != 200 {
			t.Errorf("revoke: %d %s", a.status, a.text)
		}
	}
	if w.active(t, "document-service", secret, token) || !w.active(t, "document-service", secret, kept) {
		t.Error("revocation ends one token and no other")
	}
	_, err := w.admin.RevokeService(t.Context(), "document-service")
	must(t, err)
	if w.active(t, "document-service", secret, kept) {
		t.Error("a token of a revoked service is active")
	}
	// RULES E3: the next one is not born revoked.
	fresh := w.token(t, "document-service", secret, "parse-service")
	if !w.active(t, "document-service", secret, fresh) {
		t.Error("a token from after the revocation is not active")
	}
	if a := w.call(t, r, doorService, "Authorization", "Bearer "+fresh); a.status != 200 {
		t.Errorf("receiver: %d %s", a.status, a.text)
	}
	w.advance(15*time.Minute + verifySkew + time.Second)
	if w.active(t, "document-service", secret, fresh) {
		t.Error("an expired token is active")
	}
	a := w.call(t, r, doorService, "Authorization", "Bearer "+fresh)
	a.wantError(t, http.StatusUnauthorized, "invalid_token")
	if a.field(t, "reason") != string(countersign.ReasonTokenExpired) {
		t.Errorf("reason %s", a.field(t, "reason"))
	}
}

// verifySkew is what clocks may differ (RULES C3).
const verifySkew = time.Minute

func TestRotatedSecretsEndByTheClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.create(t, "document-service", "parse-service")
	rotate := func(grace time.Duration) string {
		t.Helper()
		credentials, err := w.admin.RotateSecret(t.Context(), "document-service", iamclient.AnyRevision, grace)
		must(t, err)
		return w.hide("a client secret", credentials.ClientSecret.Reveal())
	}
	want := func(secret, what string, status int) {
		t.Helper()
		if a := w.post(t, "/oauth2/token", basic("document-service", secret), grant("parse-service")); a.status != status {
			t.Errorf("%s: %d, want %d: %s", what, a.status, status, a.text)
		}
		w.advance(limiterRest)
	}
	second := rotate(time.Hour)
	want(first, "the old secret in its grace", 200)
	want(second, "the new secret", 200)
	w.advance(30 * time.Minute)
	want(first, "the old secret late in its grace", 200)
	w.advance(30 * time.Minute)
	want(first, "the old secret behind its grace", 401)
	want(second, "the new secret", 200)
	third, fourth := rotate(time.Hour), rotate(time.Hour) // a third ends the oldest (RULES B3)
	want(second, "the oldest of three", 401)
	want(third, "the second of three", 200)
	want(fourth, "the newest", 200)
	fifth := rotate(0)
	want(third, "after rotate --now", 401)
	want(fourth, "after rotate --now", 401)
	want(fifth, "the newest", 200)
}

// RULES A5: what ended stays ended. Disable and enable, delete and create again.
func TestRuleA5DisableAndDeleteEndTokensForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service")
	asker := w.create(t, "parse-service", "document-service") // is in aud, and may ask
	inactive := func(what, token string) {
		t.Helper()
		if w.active(t, "parse-service", asker, token) {
			t.Errorf("%s: active", what)
		}
	}
	old := w.token(t, "document-service", secret, "parse-service")
	if !w.active(t, "parse-service", asker, old) {
		t.Fatal("a fresh token is not active")
	}
	_, err := w.admin.DisableService(t.Context(), "document-service", iamclient.AnyRevision)
	must(t, err)
	inactive("a token of a disabled service", old)
	w.post(t, "/oauth2/token", basic("document-service", secret), grant("parse-service")).wantError(t, 401, "invalid_client")
	_, err = w.admin.EnableService(t.Context(), "document-service", iamclient.AnyRevision)
	must(t, err)
	inactive("a token from before the disable", old)
	again := w.token(t, "document-service", secret, "parse-service")
	if !w.active(t, "parse-service", asker, again) {
		t.Error("a token from after the enable is not active")
	}
	inactive("a token from before the disable, later", old)

	must(t, w.admin.DeleteService(t.Context(), "document-service", iamclient.AnyRevision))
	inactive("a token of a deleted service", again)
	recreated := w.create(t, "document-service", "parse-service")
	inactive("a token of the deleted service, after a new one has its name", again)
	w.post(t, "/oauth2/token", basic("document-service", secret), grant("parse-service")).wantError(t, 401, "invalid_client")
	fresh := w.token(t, "document-service", recreated, "parse-service")
	if !w.active(t, "parse-service", asker, fresh) {
		t.Error("a token of the new service is not active")
	}
	// The new owner of the name has no power over the old one's tokens.
	if w.active(t, "document-service", recreated, again) {
		t.Error("the new service sees the old one's token")
	}
	inactive("the old one, once more", old)
	if report, err := w.admin.VerifyAudit(t.Context()); err != nil || !report.OK {
		t.Errorf("audit: %+v, %v", report, err)
	}
}
