package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/oauth"
)

// vulnerabilities 30: nothing that was presented or given out is written anywhere.
func TestVulnerability30NoSecretInLogsAndAudit(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.ExposeReasons = true })
	secrets := f.story(t)
	secret := secrets["document-service"]
	canaries := []string{secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte("document-service:" + secret))}
	const guess = "canary-Guess-4f1c"
	canaries = append(canaries, guess)
	token := f.token(t, "document-service", secret, "parse-service")
	canaries = append(canaries, token, strings.Split(token, ".")[2])
	calls := []call{
		{id: "document-service", secret: guess, form: grant()},
		{id: guess, secret: guess, form: grant()},
		{id: secret, secret: "document-service", form: grant()}, // swapped by mistake
		{form: grant("client_id", "document-service", "client_secret", guess)},
		{id: "document-service", secret: secret, form: grant("scope", secret)},
		{id: "document-service", secret: secret, form: grant("scope", token)},
		{id: "document-service", secret: secret, form: grant("audience", secret)},
		{id: "document-service", secret: secret, form: grant("audience", token)},
		{id: "document-service", secret: secret, form: form("grant_type", secret)},
		{id: "document-service", secret: secret, form: grant(secret, "1")},
		{id: "document-service", secret: secret, raw: "grant_type=client_credentials&" + token + "=1&" + token + "=1"},
		{header: http.Header{"Authorization": {"Basic " + secret}}, form: grant()},
		{header: http.Header{"Authorization": {"Bearer " + token}}, form: grant()},
		{path: "/oauth2/token?client_secret=" + secret, form: grant()},
		{path: "/oauth2/introspect", id: "document-service", secret: secret, form: form("token", token)},
		{path: "/oauth2/introspect", id: "document-service", secret: secret, form: form("token", token+"x")},
		{path: "/oauth2/revoke", id: "backend-actor", secret: secrets["backend-actor"], form: form("token", token)},
		{path: "/oauth2/revoke", id: "document-service", secret: secret, form: form("token", token)},
		{method: http.MethodGet, path: "/oauth2/token?client_secret=" + secret},
	}
	var answers strings.Builder
	for _, c := range calls {
		answers.WriteString(f.do(t, c).text)
	}
	events, err := json.Marshal(f.Events(t, audit.Query{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Audit.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.do(t, call{id: "document-service", secret: secret, form: grant()}) // fails: and is logged
	for where, text := range map[string]string{"log": f.log.String(), "audit": string(events), "answers": answers.String()} {
		if text == "" {
			t.Errorf("%s: nothing to look at", where)
		}
		for _, canary := range canaries {
			if strings.Contains(text, canary) {
				t.Errorf("%s holds %q", where, canary)
			}
		}
	}
}
