package tokensource_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

func TestClientCredentialsErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		body   string
		want   countersign.Code
	}{
		{400, `{"error":"invalid_request"}`, countersign.Invalid},
		{401, `{"error":"invalid_client"}`, countersign.BadClient},
		{400, `{"error":"invalid_client"}`, countersign.BadClient},
		{400, `{"error":"invalid_grant"}`, countersign.Denied},
		{400, `{"error":"unauthorized_client"}`, countersign.Denied},
		{400, `{"error":"unsupported_grant_type"}`, countersign.Unsupported},
		{400, `{"error":"invalid_scope"}`, countersign.BadScope},
		{400, `{"error":"invalid_target"}`, countersign.BadTarget},
		{400, `{"error":"temporarily_unavailable"}`, countersign.Unavailable},
		{500, `{"error":"server_error"}`, countersign.Unavailable},
		{503, `{"error":"invalid_client"}`, countersign.Unavailable},
		{429, `{"error":"invalid_client"}`, countersign.Throttled},
		{400, `{"error":"something new"}`, countersign.Invalid},
		{401, `not json`, countersign.BadClient},
		{403, ``, countersign.Denied},
		{404, `{"error":"not_found"}`, countersign.Upstream},
		{302, ``, countersign.Upstream},
		{201, tokenBody("t", 60), countersign.Upstream},
		{0, ``, countersign.Upstream},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.body), func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.set(func(*http.Request) (int, http.Header, string) { return test.status, nil, test.body })
			source := newSource(e)
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, test.want)
		})
	}
}

func TestClientCredentialsBadAnswers(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"empty":             ``,
		"not json":          `token`,
		"no token":          `{"token_type":"Bearer","expires_in":60}`,
		"no type":           `{"access_token":"t","expires_in":60}`,
		"other type":        `{"access_token":"t","token_type":"DPoP","expires_in":60}`,
		"two headers":       `{"access_token":"t\r\nX: y","token_type":"Bearer","expires_in":60}`,
		"two tokens":        `{"access_token":"t, Bearer u","token_type":"Bearer","expires_in":60}`,
		"zero life":         `{"access_token":"t","token_type":"Bearer","expires_in":0}`,
		"negative life":     `{"access_token":"t","token_type":"Bearer","expires_in":-1}`,
		"fractional life":   `{"access_token":"t","token_type":"Bearer","expires_in":1.5}`,
		"a date for a life": `{"access_token":"t","token_type":"Bearer","expires_in":1800000000}`,
		"life overflows":    `{"access_token":"t","token_type":"Bearer","expires_in":9223372036854775808}`,
		"token too large":   tokenBody(strings.Repeat("t", 17<<10), 60),
		"answer too large":  tokenBody("t", 60) + strings.Repeat(" ", 70<<10),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.set(func(*http.Request) (int, http.Header, string) { return 200, nil, body })
			source := newSource(e)
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Upstream)
		})
	}
}

func TestClientCredentialsLife(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"access_token":"t","token_type":"bearer"}`:                      5 * time.Minute,
		`{"access_token":"t","token_type":"BEARER","expires_in":60}`:      time.Minute,
		`{"access_token":"t","token_type":"Bearer","expires_in":2592000}`: 24 * time.Hour,
	} {
		now := time.Unix(1_800_000_000, 0)
		e := &endpoint{}
		e.set(func(*http.Request) (int, http.Header, string) { return 200, nil, body })
		source := newSource(e)
		source.Now = func() time.Time { return now }
		if got := mustToken(t, source, "a").ExpiresAt.Sub(now); got != want {
			t.Errorf("%s: lives %v, want %v", body, got, want)
		}
		_ = source.Close()
	}
}

// TestVulnerability30NoSecretInErrors: an endpoint that repeats what it was sent.
func TestVulnerability30NoSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 400, 401, 403, 429, 500} {
		e := &endpoint{}
		e.set(func(r *http.Request) (int, http.Header, string) {
			return status, http.Header{"Location": {secretText}, "Retry-After": {secretText}},
				`{"error":"` + secretText + `","error_description":"` + r.Header.Get("Authorization") + secretText + `","access_token":"` + secretText + ` x"}`
		})
		source := newSource(e)
		_, err := source.Token(t.Context(), "a")
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", &source.ClientSecret), countersign.MessageOf(err)} {
			if strings.Contains(text, "canary") || strings.Contains(text, "ZG9jdW1lbnQ") {
				t.Errorf("status %d: a secret in %q", status, text)
			}
		}
		_ = source.Close()
	}
}
