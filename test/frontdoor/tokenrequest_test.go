package frontdoor

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/iamclient"
)

// header returns one with the given pairs of name and value.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func encoded(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }

// Bad input at the token endpoint: a list of them, each with its status and word.
func TestBadTokenRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service", "billing-service")
	mute := w.create(t, "mute-service")
	good := grant("parse-service").Encode()
	auth := basic("document-service", secret)
	with := func(pairs ...string) http.Header {
		h := auth.Clone()
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	inBody := url.Values{"client_id": {"document-service"}, "client_secret": {secret}}.Encode()
	tests := []struct {
		name   string
		path   string
		header http.Header
		body   string
		status int
		word   string
	}{
		{"body over 16 KiB", "", auth, good + "&x=" + strings.Repeat("a", 17<<10), 413, "invalid_request"},
		{"more than 100 parameters", "", auth, good + strings.Repeat("&a=", 101), 400, "invalid_request"},
		{"grant_type twice", "", auth, good + "&grant_type=client_credentials", 400, "invalid_request"},
		{"scope twice", "", auth, good + "&scope=docs.read&scope=s2s%3Ainternal", 400, "invalid_request"},
		{"audience twice", "", auth, good + "&audience=billing-service", 400, "invalid_request"},
		{"client_id twice", "", nil, good + "&" + inBody + "&client_id=document-service", 400, "invalid_request"},
		{"client_secret twice", "", nil, good + "&" + inBody + "&client_secret=x", 400, "invalid_request"},
		{"an unknown one twice", "", auth, good + "&foo=1&foo=2", 400, "invalid_request"},
		{"twice by another encoding", "", auth, good + "&gr%61nt_type=client_credentials", 400, "invalid_request"},
		{"two audiences by resource", "", auth, good + "&resource=billing-service", 400, "invalid_target"},
		{"both client authentications", "", auth, good + "&" + inBody, 400, "invalid_request"},
		{"both, the secret in the body alone", "", auth, good + "&client_secret=x", 400, "invalid_request"},
		{"another client_id in the body", "", auth, good + "&client_id=mute-service", 400, "invalid_request"},
		{"two Authorization headers", "", with("Authorization", auth.Get("Authorization")), good, 400, "invalid_request"},
		{"Authorization twice, one Bearer", "", with("Authorization", "Bearer x"), good, 400, "invalid_request"},
		{"basic: nothing", "", header("Authorization", "Basic"), good, 400, "invalid_request"},
		{"basic: not base64", "", header("Authorization", "Basic !!!!"), good, 400, "invalid_request"},
		{"basic: base64url", "", header("Authorization", "Basic "+base64.URLEncoding.EncodeToString([]byte("a:\xfb\xff\xfe?>"))), good, 400, "invalid_request"},
		{"basic: not padded", "", header("Authorization", "Basic "+base64.RawStdEncoding.EncodeToString([]byte("document-service:"+secret+"x"))), good, 400, "invalid_request"},
		{"basic: the secret as it is", "", header("Authorization", "Basic "+secret), good, 400, "invalid_request"},
		{"basic: no colon", "", header("Authorization", encoded("document-service")), good, 400, "invalid_request"},
		{"basic: no id", "", header("Authorization", encoded(":"+secret)), good, 400, "invalid_request"},
		{"basic: broken escapes", "", header("Authorization", encoded("document-service:%zz"+secret)), good, 400, "invalid_request"},
		{"basic: something behind", "", header("Authorization", encoded("document-service:"+secret)+" x"), good, 400, "invalid_request"},
		{"bearer scheme", "", header("Authorization", "Bearer "+secret), good, 401, "invalid_client"},
		{"digest scheme", "", header("Authorization", `Digest username="document-service"`), good, 401, "invalid_client"},
		{"empty header", "", header("Authorization", ""), good, 401, "invalid_client"},
		{"no credentials", "", nil, good, 401, "invalid_client"},
		{"a client id alone", "", nil, good + "&client_id=document-service", 401, "invalid_client"},
		{"an empty secret", "", nil, good + "&client_id=document-service&client_secret=", 401, "invalid_client"},
		{"a secret alone", "", nil, good + "&client_secret=" + secret, 400, "invalid_request"},
		{"no grant", "", auth, "audience=parse-service", 400, "invalid_request"},
		{"empty grant", "", auth, "audience=parse-service&grant_type=", 400, "invalid_request"},
		{"grant password", "", auth, "grant_type=password&username=a&password=" + secret, 400, "unsupported_grant_type"},
		{"grant authorization_code", "", auth, "grant_type=authorization_code&code=x", 400, "unsupported_grant_type"},
		{"grant refresh_token", "", auth, "grant_type=refresh_token&refresh_token=x", 400, "unsupported_grant_type"},
		{"grant token exchange", "", auth, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange", 400, "unsupported_grant_type"},
		{"grant in capitals", "", auth, "grant_type=CLIENT_CREDENTIALS&audience=parse-service", 400, "unsupported_grant_type"},
		{"grant with a space", "", auth, "grant_type=client_credentials+&audience=parse-service", 400, "unsupported_grant_type"},
		{"the secret as the grant", "", auth, "grant_type=" + secret, 400, "unsupported_grant_type"},
		{"client assertion", "", auth, good + "&client_assertion=a.b.c&client_assertion_type=x", 400, "invalid_request"},
		{"DPoP", "", with("DPoP", "a.b.c"), good, 400, "invalid_request"},
		{"parameters in the URL", "?scope=docs.read", auth, good, 400, "invalid_request"},
		{"the secret in the URL", "?client_id=document-service&client_secret=" + secret, nil, good, 400, "invalid_request"},
		{"an empty query", "?", auth, good, 400, "invalid_request"},
		{"JSON", "", with("Content-Type", "application/json"), `{"grant_type":"client_credentials"}`, 400, "invalid_request"},
		{"multipart", "", with("Content-Type", "multipart/form-data; boundary=x"), "--x--", 400, "invalid_request"},
		{"another charset", "", with("Content-Type", "application/x-www-form-urlencoded; charset=utf-16"), good, 400, "invalid_request"},
		{"compressed", "", with("Content-Encoding", "gzip"), good, 400, "invalid_request"},
		{"NUL", "", auth, good + "&x=%00", 400, "invalid_request"},
		{"not UTF-8", "", auth, good + "&x=%ff", 400, "invalid_request"},
		{"broken percent", "", auth, good + "&x=%4", 400, "invalid_request"},
		{"semicolons", "", auth, "grant_type=client_credentials;audience=parse-service", 400, "invalid_request"},
		{"a parameter without a name", "", auth, good + "&=x", 400, "invalid_request"},
		{"no audience, and two to choose from", "", auth, "grant_type=client_credentials", 400, "invalid_target"},
		{"an audience that is not granted", "", auth, grant("document-service").Encode(), 400, "invalid_target"},
		{"a reserved audience", "", auth, grant("iam-service").Encode(), 400, "invalid_target"},
		{"two audiences in one", "", auth, grant("parse-service billing-service").Encode(), 400, "invalid_target"},
		{"an audience in other letters", "", auth, grant("Parse-Service").Encode(), 400, "invalid_target"},
		{"a client without audiences", "", basic("mute-service", mute), good, 400, "unauthorized_client"},
		{"a scope that is not granted", "", auth, grant("parse-service", "scope", "docs.write").Encode(), 400, "invalid_scope"},
		{"one good scope and one bad", "", auth, grant("parse-service", "scope", "docs.read admin").Encode(), 400, "invalid_scope"},
		{"a malformed scope", "", auth, grant("parse-service", "scope", "docs.read  s2s:internal\"").Encode(), 400, "invalid_scope"},
		{"the secret as the scope", "", auth, grant("parse-service", "scope", secret).Encode(), 400, "invalid_scope"},
		{"the secret as the audience", "", auth, grant(secret).Encode(), 400, "invalid_target"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := test.header.Clone()
			if types := h["Content-Type"]; len(types) > 0 {
				h["Content-Type"] = types[len(types)-1:]
			}
			w.send(t, "/oauth2/token"+test.path, h, test.body).wantError(t, test.status, test.word)
			w.advance(limiterRest) // failures of one client are limited; that is not the subject here
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"} {
		request, err := http.NewRequestWithContext(t.Context(), method, w.url+"/oauth2/token", nil)
		must(t, err)
		a := w.do(t, request)
		a.wantError(t, 405, "invalid_request")
		if a.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: Allow %q", method, a.header.Get("Allow"))
		}
	}
	w.token(t, "document-service", secret, "parse-service") // and after all that it works
}

// limiterRest lets the limiter of failed authentications forget.
const limiterRest = 6e9 * 10

// RULES B4: an unknown, a disabled and a deleted client, one with an ended secret and
// one with a wrong secret get the same answer, byte by byte.
func TestRuleB4RefusedClientsLookAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := w.create(t, "document-service", "parse-service")
	disabled := w.create(t, "disabled-service", "parse-service")
	deleted := w.create(t, "deleted-service", "parse-service")
	ended := w.create(t, "ended-service", "parse-service")
	_, err := w.admin.DisableService(t.Context(), "disabled-service", iamclient.AnyRevision)
	must(t, err)
	must(t, w.admin.DeleteService(t.Context(), "deleted-service", iamclient.AnyRevision))
	_, err = w.admin.RotateSecret(t.Context(), "ended-service", iamclient.AnyRevision, 0)
	must(t, err)
	clients := []struct{ name, id, secret string }{
		{"wrong secret", "document-service", wrong[:len(wrong)-1] + "!"},
		{"empty secret", "document-service", ""},
		{"unknown", "nobody-here", wrong},
		{"not even a name", "Nobody Here \"\\<", wrong},
		{"very long name", strings.Repeat("a", 4000), wrong},
		{"disabled", "disabled-service", disabled},
		{"disabled and wrong", "disabled-service", wrong},
		{"deleted", "deleted-service", deleted},
		{"ended secret", "ended-service", ended},
		{"another's secret", "ended-service", wrong},
	}
	requestID := regexp.MustCompile(`"request_id":"[0-9a-f-]{36}"`)
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for _, method := range []string{"basic", "post"} {
			first := ""
			for _, c := range clients {
				form, h := grant("parse-service", "token", "a.b.c"), basic(c.id, c.secret)
				if method == "post" {
					if c.secret == "" {
						continue // that is no secret at all
					}
					h = nil
					form.Set("client_id", c.id)
					form.Set("client_secret", c.secret)
				}
				a := w.post(t, path, h, form)
				w.advance(limiterRest)
				a.wantError(t, http.StatusUnauthorized, "invalid_client")
				a.header.Del("X-Request-Id")
				a.header.Del("Date")
				var b strings.Builder
				must(t, a.header.Write(&b))
				got := b.String() + requestID.ReplaceAllString(a.text, "")
				if first == "" {
					first = got
				}
				if got != first {
					t.Errorf("%s, %s, %s:\n%s\nbut %s gets\n%s", path, method, c.name, got, clients[0].name, first)
				}
			}
		}
	}
}

// Guessing is slowed down, for whoever guesses and nobody else (RULES B4).
func TestRuleB4GuessingIsLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service")
	other := w.create(t, "backend-actor", "parse-service")
	limited := 0
	for range 30 {
		if a := w.post(t, "/oauth2/token", basic("document-service", "guess"), grant("parse-service")); a.status == http.StatusTooManyRequests {
			a.wantError(t, http.StatusTooManyRequests, "temporarily_unavailable")
			if a.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			limited++
		}
	}
	if limited < 15 {
		t.Errorf("%d of 30 guesses were limited", limited)
	}
	w.token(t, "backend-actor", other, "parse-service")
	w.advance(limiterRest)
	w.token(t, "document-service", secret, "parse-service")
}

// Introspection and revocation, asked badly.
func TestBadTokenParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service")
	auth := basic("document-service", secret)
	token := w.token(t, "document-service", secret, "parse-service")
	for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
		tests := []struct {
			name, query string
			header      http.Header
			body        string
			status      int
			word        string
		}{
			{"no token", "", auth, "", 400, "invalid_request"},
			{"empty token", "", auth, "token=", 400, "invalid_request"},
			{"token twice", "", auth, "token=" + token + "&token=" + token, 400, "invalid_request"},
			{"token in the URL", "?token=" + token, auth, "", 400, "invalid_request"},
			{"nobody asks", "", nil, "token=" + token, 401, "invalid_client"},
			{"the token as credentials", "", header("Authorization", "Bearer "+token), "token=" + token, 401, "invalid_client"},
			{"both authentications", "", auth, "client_id=document-service&client_secret=x&token=" + token, 400, "invalid_request"},
			{"too large", "", auth, "token=" + strings.Repeat("a", 17<<10), 413, "invalid_request"},
			{"an assertion", "", nil, "client_assertion=a.b.c&token=" + token, 400, "invalid_request"},
		}
		for _, test := range tests {
			t.Run(path+" "+test.name, func(t *testing.T) {
				w.send(t, path+test.query, test.header, test.body).wantError(t, test.status, test.word)
			})
		}
		// RFC 7662 §2.2, RFC 7009 §2.2: no good token is no error.
		for _, bad := range []string{"x", "a.b.c", token[:len(token)-2], token + "A", "..", strings.Repeat("a.", 2000)} {
			a := w.post(t, path, auth, url.Values{"token": {bad}})
			if a.status != 200 || path == "/oauth2/introspect" && strings.TrimSpace(a.text) != `{"active":false}` || path == "/oauth2/revoke" && a.text != "" {
				t.Errorf("%s %.20s…: %d %s", path, bad, a.status, a.text)
			}
		}
	}
	if !w.active(t, "document-service", secret, token) {
		t.Error("a bad request ended the token")
	}
}
