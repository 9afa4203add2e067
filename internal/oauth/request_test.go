package oauth

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func encoded(userpass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userpass))
}

func TestParseBasic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header string
		id, secret   string
		code         countersign.Code
	}{
		{name: "plain", header: basic("a", "s"), id: "a", secret: "s"},
		{name: "scheme in small letters", header: strings.Replace(basic("a", "s"), "Basic", "bAsic", 1), id: "a", secret: "s"},
		{name: "form-encoded", header: basic("a:b c", "s+%:é"), id: "a:b c", secret: "s+%:é"},
		{name: "colon in the secret", header: encoded("a:s:t"), id: "a", secret: "s:t"},
		{name: "empty secret", header: encoded("a:"), id: "a"},
		{name: "empty id", header: encoded(":s"), code: countersign.BadHeader},
		{name: "no colon", header: encoded("a"), code: countersign.BadHeader},
		{name: "nothing", header: "Basic", code: countersign.BadHeader},
		{name: "nothing after the space", header: "Basic ", code: countersign.BadHeader},
		{name: "not base64", header: "Basic a:s", code: countersign.BadHeader},
		{name: "base64url", header: "Basic __8=", code: countersign.BadHeader},
		{name: "no padding", header: strings.TrimRight(encoded("ab:s"), "="), code: countersign.BadHeader},
		{name: "loose last bits", header: "Basic YTpzc9==", code: countersign.BadHeader},
		{name: "two values", header: basic("a", "s") + ", " + basic("a", "s"), code: countersign.BadHeader},
		{name: "broken encoding in the id", header: encoded("%zz:s"), code: countersign.BadHeader},
		{name: "broken encoding in the secret", header: encoded("a:%"), code: countersign.BadHeader},
		{name: "another scheme", header: "Bearer abc", code: countersign.Unauthenticated},
		{name: "empty", header: "", code: countersign.Unauthenticated},
		{name: "a scheme that begins like ours", header: "Basics abc", code: countersign.Unauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseBasic(tt.header)
			if code := countersign.CodeOf(err); code != tt.code {
				t.Fatalf("code %q, want %q", code, tt.code)
			}
			if got.id != tt.id || got.secret.Reveal() != tt.secret {
				t.Errorf("got %q, %q", got.id, got.secret.Reveal())
			}
		})
	}
}

func formRequest(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, pathToken, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestParseTokenRequest(t *testing.T) {
	t.Parallel()
	auth := []string{"Authorization", basic("a", "s")}
	tests := []struct {
		name, body string
		headers    []string
		code       countersign.Code
		reason     countersign.Reason
		audiences  []string
		scope      string
	}{
		{name: "all", body: "grant_type=client_credentials&audience=b&scope=x+y", headers: auth, audiences: []string{"b"}, scope: "x y"},
		{name: "in the body", body: "grant_type=client_credentials&client_id=a&client_secret=s"},
		{name: "resource", body: "grant_type=client_credentials&resource=urn:b", headers: auth, audiences: []string{"urn:b"}},
		{name: "both", body: "grant_type=client_credentials&resource=b&audience=c", headers: auth, audiences: []string{"b", "c"}},
		{name: "resource twice", body: "grant_type=client_credentials&resource=b&resource=c", headers: auth, audiences: []string{"b", "c"}},
		{name: "the same client twice", body: "grant_type=client_credentials&client_id=a", headers: auth},
		{name: "unknown parameter", body: "grant_type=client_credentials&colour=red", headers: auth},
		{name: "empty values are none", body: "grant_type=client_credentials&scope=&audience=&resource=&client_secret=&code=", headers: auth},
		{name: "no credentials", body: "grant_type=client_credentials"},

		{name: "no grant", body: "scope=x", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterMissing},
		{name: "empty grant", body: "grant_type=", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterMissing},
		{name: "empty body", body: "", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterMissing},
		{name: "unknown grant", body: "grant_type=password", headers: auth, code: countersign.Unsupported, reason: countersign.ReasonGrantUnsupported},
		{name: "case matters", body: "grant_type=Client_Credentials", headers: auth, code: countersign.Unsupported, reason: countersign.ReasonGrantUnsupported},
		{name: "grant twice", body: "grant_type=client_credentials&grant_type=client_credentials", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterDuplicated},
		{name: "audience twice", body: "grant_type=client_credentials&audience=b&audience=b", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterDuplicated},
		{name: "unknown twice", body: "grant_type=client_credentials&x=b&x=b", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterDuplicated},
		{name: "secret in both places", body: "grant_type=client_credentials&client_secret=s", headers: auth, code: countersign.Invalid, reason: countersign.ReasonClientAuthDoubled},
		{name: "another client in the body", body: "grant_type=client_credentials&client_id=b", headers: auth, code: countersign.Invalid, reason: countersign.ReasonClientAuthDoubled},
		{name: "two headers", body: "grant_type=client_credentials", headers: append(slices.Clone(auth), auth...), code: countersign.BadHeader, reason: countersign.ReasonHeaderDuplicated},
		{name: "secret without id", body: "grant_type=client_credentials&client_secret=s", code: countersign.Invalid, reason: countersign.ReasonParameterMissing},
		{name: "bearer", body: "grant_type=client_credentials", headers: []string{"Authorization", "Bearer x"}, code: countersign.Unauthenticated, reason: countersign.ReasonHeaderMalformed},
		{name: "bearer beside a secret", body: "grant_type=client_credentials&client_id=a&client_secret=s", headers: []string{"Authorization", "Bearer x"}, code: countersign.Unauthenticated, reason: countersign.ReasonHeaderMalformed},
		{name: "assertion", body: "grant_type=client_credentials&client_assertion=x", headers: auth, code: countersign.Invalid, reason: countersign.ReasonClientAuthDoubled},
		{name: "subject token", body: "grant_type=client_credentials&subject_token=x", headers: auth, code: countersign.Invalid, reason: countersign.ReasonParameterInvalid},
		{name: "DPoP", body: "grant_type=client_credentials", headers: append(slices.Clone(auth), "DPoP", "x"), code: countersign.Invalid, reason: countersign.ReasonParameterInvalid},
		{name: "too large", body: "grant_type=client_credentials&x=" + strings.Repeat("x", maxForm), headers: auth, code: countersign.TooLarge, reason: countersign.ReasonBodyTooLarge},
		{name: "semicolon", body: "grant_type=client_credentials;scope=x", headers: auth, code: countersign.Invalid, reason: countersign.ReasonBodyInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := parseTokenRequest(formRequest(tt.body, tt.headers...))
			if code := countersign.CodeOf(err); code != tt.code {
				t.Fatalf("code %q (%v), want %q", code, err, tt.code)
			}
			if err != nil {
				if reason := countersign.ReasonOf(err); reason != tt.reason {
					t.Errorf("reason %q, want %q", reason, tt.reason)
				}
				return
			}
			if !slices.Equal(req.audiences, tt.audiences) || req.scope != tt.scope || req.grant == nil {
				t.Errorf("got %+v", req)
			}
		})
	}
}

func TestParametersInTheURLAreRefused(t *testing.T) {
	t.Parallel()
	for _, target := range []string{pathToken + "?client_secret=s", pathToken + "?"} {
		r := formRequest("grant_type=client_credentials", "Authorization", basic("a", "s"))
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		if _, err := parseTokenRequest(r); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestWrongMediaTypeIsRefused(t *testing.T) {
	t.Parallel()
	for _, mediaType := range []string{"", "application/json", "multipart/form-data", "text/plain"} {
		r := formRequest("grant_type=client_credentials", "Authorization", basic("a", "s"))
		r.Header.Set("Content-Type", mediaType)
		if _, err := parseTokenRequest(r); countersign.ReasonOf(err) != countersign.ReasonMediaType {
			t.Errorf("%q: %v", mediaType, err)
		}
	}
}

func FuzzParseBasic(f *testing.F) {
	for _, seed := range []string{"", "Basic", "Basic ", "Basic Og==", basic("a", "s"), encoded("%zz:%"), "bearer x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got, err := parseBasic(header)
		if err != nil {
			if countersign.CodeOf(err) == countersign.Internal {
				t.Fatalf("an error without a code: %v", err)
			}
			if got != (credentials{}) {
				t.Fatalf("an error and %+v", got)
			}
			return
		}
		if got.id == "" || got.method != secretBasic {
			t.Fatalf("no error and %+v", got)
		}
		again, err := parseBasic(basic(got.id, got.secret.Reveal()))
		if err != nil || again.id != got.id || again.secret.Reveal() != got.secret.Reveal() {
			t.Fatalf("round trip: %+v, %v", again, err)
		}
	})
}

func FuzzParseTokenRequest(f *testing.F) {
	f.Add("grant_type=client_credentials&audience=b&scope=x", basic("a", "s"))
	f.Add("grant_type=client_credentials&client_id=a&client_secret=s", "")
	f.Add("grant_type=&&=%zz;", "Basic Og==")
	f.Add("resource=a&resource=b", "Bearer")
	f.Fuzz(func(t *testing.T, body, header string) {
		var headers []string
		if header != "" {
			headers = []string{"Authorization", header}
		}
		req, err := parseTokenRequest(formRequest(body, headers...))
		if err != nil {
			if countersign.CodeOf(err) == countersign.Internal {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if req.grant == nil {
			t.Fatal("no error and no grant")
		}
		if strings.Count(body, "client_secret") == 1 && header != "" && req.method == secretPost {
			t.Fatal("the header was ignored")
		}
	})
}
