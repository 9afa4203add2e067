package frontdoor

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// hidePrivateKeys adds the server's private keys and the master key, in the forms that a
// careless program would print them in.
func (w *world) hidePrivateKeys(t *testing.T) {
	t.Helper()
	forms := func(what string, key []byte) {
		w.hide(what, string(key))
		w.hide(what, hex.EncodeToString(key))
		w.hide(what, base64.StdEncoding.EncodeToString(key))
		w.hide(what, base64.RawURLEncoding.EncodeToString(key))
	}
	text, err := os.ReadFile(filepath.Join(w.data, "master.key"))
	must(t, err)
	w.hide("the master key", strings.TrimSpace(string(text)))
	master, err := keys.ParseMaster(strings.TrimSpace(string(text)))
	must(t, err)
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err == nil {
		forms("the master key", raw)
	}
	database, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(w.data, "countersign.db"), sqlstore.Options{})
	must(t, err)
	defer func() { must(t, database.Close()) }()
	deployment, err := database.Meta(t.Context(), "deployment_id")
	must(t, err)
	found := 0
	for _, purpose := range []keys.Purpose{keys.Token, keys.Audit} {
		rows, err := database.SigningKeys(t.Context(), string(purpose))
		must(t, err)
		for _, row := range rows {
			forms("a sealed key", row.Sealed)
			der, err := master.Unseal(row.Purpose, row.KID, deployment, row.Sealed)
			if err != nil {
				t.Fatalf("the test can't open %s: %v", row.KID, err)
			}
			forms("a private key", der)
			key, err := x509.ParsePKCS8PrivateKey(der)
			must(t, err)
			if key, ok := key.(*ecdsa.PrivateKey); ok {
				scalar, err := key.Bytes()
				must(t, err)
				forms("a private key", scalar)
			}
			found++
		}
	}
	if found < 2 {
		t.Errorf("%d keys to hide, want 2", found)
	}
	services, err := database.Services(t.Context(), store.Page{Limit: store.MaxLimit})
	must(t, err)
	for _, service := range services {
		hashes, err := database.ClientSecrets(t.Context(), service.UID)
		must(t, err)
		for _, secret := range hashes {
			forms("a secret's hash", secret.Hash)
		}
	}
}

// misplace sends a secret or a token wherever it can land by mistake.
func (w *world) misplace(t *testing.T, r *receiver, secret string) {
	t.Helper()
	auth := basic("document-service", "x")
	w.advance(limiterRest)
	requests := []struct {
		path   string
		header http.Header
		body   string
	}{
		{"/oauth2/token", basic(secret, "document-service"), grant("parse-service").Encode()},
		{"/oauth2/token", basic("document-service", "no"+secret), grant("parse-service").Encode()},
		{"/oauth2/token", nil, grant("parse-service", "client_id", secret, "client_secret", "x").Encode()},
		{"/oauth2/token", auth, grant("parse-service", secret, "x").Encode()},
		{"/oauth2/token", auth, secret + "=1&" + secret + "=2"},
		{"/oauth2/token", auth, grant("parse-service", "foo", secret, "foo", secret).Encode()},
		{"/oauth2/token", auth, "grant_type=" + secret},
		{"/oauth2/token", auth, grant(secret).Encode()},
		{"/oauth2/token", auth, grant("parse-service", "scope", secret).Encode()},
		{"/oauth2/token", auth, grant("parse-service", "resource", secret).Encode()},
		{"/oauth2/token", auth, grant("parse-service", "client_assertion", secret).Encode()},
		{"/oauth2/token", auth, secret},
		{"/oauth2/token", auth, "%zz" + secret},
		{"/oauth2/token?client_secret=" + secret, nil, grant("parse-service").Encode()},
		{"/oauth2/token?" + secret, nil, grant("parse-service").Encode()},
		{"/oauth2/token/" + secret, nil, ""},
		{"/" + secret, nil, ""},
		{"/oauth2/token", header("Authorization", "Bearer "+secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("Authorization", "Basic "+secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("Authorization", secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("Authorization", secret+" "+secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("Authorization", "Basic x", "Authorization", secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("User-Agent", secret), grant("parse-service").Encode()},
		{"/oauth2/token", header("X-Request-Id", secret, "Traceparent", secret, "X-Forwarded-For", secret, "Referer", "https://x/"+secret), ""},
		{"/oauth2/token", header("Content-Type", "text/"+secret), ""},
		{"/oauth2/token", header("Content-Type", "application/x-www-form-urlencoded; charset="+secret), ""},
		{"/oauth2/introspect", auth, "token=" + secret},
		{"/oauth2/introspect", auth, "token_type_hint=" + secret + "&token=" + secret},
		{"/oauth2/revoke", auth, "token=" + secret},
		{"/api/iam/v1/admin/services", header("Authorization", "Bearer "+secret, "Content-Type", "application/json"), `{"name":"x"}`},
		{"/api/iam/v1/admin/services/" + secret + "/rotate", nil, ""},
		{"/api/iam/v1/admin/revocations", nil, `{"token":"` + secret + `"}`},
		{"/api/iam/v1/system/audit/events", header("Authorization", "Bearer "+secret), `{}`},
		{"/api/iam/v1/" + secret, nil, ""},
	}
	for _, request := range requests {
		if a := w.send(t, request.path, request.header, request.body); a.status < 400 {
			t.Errorf("%.40s: %d %s", request.path, a.status, a.text)
		}
		w.advance(limiterRest)
	}
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + secret + "x"}, {"Authorization", "Basic " + secret}, {"Authorization", secret},
		{"Service-Authorization", "Bearer " + secret}, {"Authorization", "Bearer " + secret + "," + secret},
		{"Authorization", secret, "Authorization", secret}, {"X-Request-Id", secret},
	} {
		if a := w.call(t, r, doorMachine+"?token="+secret, headers...); a.status < 400 {
			t.Errorf("receiver: %d %s", a.status, a.text)
		}
	}
	w.misplaceAtTheSocket(t, secret)
}

// misplaceAtTheSocket makes the administrator's mistakes.
func (w *world) misplaceAtTheSocket(t *testing.T, secret string) {
	t.Helper()
	ctx := context.Background()
	_, create := w.admin.CreateService(ctx, iamclient.CreateService{Name: secret})
	_, scope := w.admin.CreateService(ctx, iamclient.CreateService{Name: "new-service", Scopes: []string{secret + `"`}})
	_, audience := w.admin.CreateService(ctx, iamclient.CreateService{Name: "new-service", Audiences: []string{secret}})
	_, get := w.admin.Service(ctx, secret)
	_, rotate := w.admin.RotateSecret(ctx, secret, iamclient.AnyRevision, time.Hour)
	_, revoke := w.admin.RevokeToken(ctx, countersign.NewSecret(secret+"x"))
	_, revokeID := w.admin.RevokeTokenID(ctx, secret+"\n", w.Now().Add(time.Hour))
	_, query := w.admin.AuditEvents(ctx, iamclient.AuditQuery{After: secret})
	for what, err := range map[string]error{
		"create": create, "scope": scope, "audience": audience, "get": get, "rotate": rotate,
		"delete": w.admin.DeleteService(ctx, secret, iamclient.AnyRevision),
		"revoke": revoke, "revoke id": revokeID, "query": query,
	} {
		if err == nil {
			t.Errorf("%s was accepted", what)
			continue
		}
		w.mu.Lock()
		w.answers.WriteString(what + ": " + err.Error() + "\n")
		w.mu.Unlock()
	}
}

// vulnerabilities 30: a whole life, with every mistake, leaves no secret, token or key in
// the log (at debug level), the audit log, the metrics, or the body of a refusal.
func TestVulnerability30CanaryScan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.newReceiver(t)
	secret := w.create(t, "document-service", "parse-service")
	w.hide("basic credentials", strings.TrimPrefix(basic("document-service", secret).Get("Authorization"), "Basic "))
	token := w.token(t, "document-service", secret, "parse-service", "scope", "s2s:internal")
	credentials, err := w.admin.RotateSecret(t.Context(), "document-service", iamclient.AnyRevision, time.Hour)
	must(t, err)
	rotated := w.hide("a client secret", credentials.ClientSecret.Reveal())
	user := w.hide("a user's token", r.users.Token(t, "alice", nil))
	w.hidePrivateKeys(t)

	if !w.active(t, "document-service", rotated, token) {
		t.Error("the token is not active")
	}
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + token}, {"Authorization", "Bearer " + user, "Service-Authorization", "Bearer " + token},
		{"Authorization", "Bearer " + user},
	} {
		w.call(t, r, doorMachine, headers...)
	}
	for _, canary := range []string{secret, rotated, token, user} {
		w.misplace(t, r, canary)
	}
	if a := w.post(t, "/oauth2/revoke", basic("document-service", rotated), url.Values{"token": {token}}); a.status != 200 {
		t.Errorf("revoke: %d %s", a.status, a.text)
	}
	w.active(t, "document-service", rotated, token)
	_, err = w.admin.DisableService(t.Context(), "document-service", iamclient.AnyRevision)
	must(t, err)
	w.post(t, "/oauth2/token", basic("document-service", rotated), grant("parse-service"))
	must(t, w.admin.DeleteService(t.Context(), "document-service", iamclient.AnyRevision))

	events := w.events(t)
	for _, reason := range []string{"secret_wrong", "client_unknown", "parameter_duplicated", "media_type", "header_malformed", "service.rotate", "service.delete"} {
		if !strings.Contains(events, reason) {
			t.Errorf("no event tells of %s: the test does not do what it says", reason)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.log.Len() == 0 || w.answers.Len() == 0 {
		t.Error("there is nothing to search")
	}
} // and then the world is searched
