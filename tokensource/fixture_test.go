package tokensource_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

const secretText = "csk_canary-secret-value"

// endpoint is somebody's token endpoint, without a network so that it works with the
// clock of testing/synctest. answer may be replaced between calls.
type endpoint struct {
	calls  atomic.Int64
	mu     sync.Mutex
	answer func(r *http.Request) (status int, header http.Header, body string)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	n := e.calls.Add(1)
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		return response(200, nil, tokenBody(fmt.Sprintf("token-%d", n), 900)), nil
	}
	status, header, body := answer(r)
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return response(status, header, body), nil
}

func (e *endpoint) set(answer func(r *http.Request) (int, http.Header, string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) fail(status int, word string) {
	e.set(func(*http.Request) (int, http.Header, string) { return status, nil, `{"error":"` + word + `"}` })
}

func response(status int, header http.Header, body string) *http.Response {
	recorder := httptest.NewRecorder()
	for name, values := range header {
		recorder.Header()[name] = values
	}
	recorder.WriteHeader(status)
	_, _ = recorder.WriteString(body)
	return recorder.Result()
}

func tokenBody(token string, expiresIn int) string {
	return fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, expiresIn)
}

func newSource(e *endpoint) *tokensource.ClientCredentials {
	return &tokensource.ClientCredentials{
		TokenURL: "https://auth.example.com/oauth2/token", ClientID: "document-service",
		ClientSecret: countersign.NewSecret(secretText), HTTPClient: &http.Client{Transport: e},
	}
}

func mustToken(t *testing.T, s tokensource.Source, audience string) tokensource.Token {
	t.Helper()
	token, err := s.Token(t.Context(), audience)
	if err != nil {
		t.Fatalf("Token(%q): %v", audience, err)
	}
	return token
}

func wantCode(t *testing.T, err error, want countersign.Code) {
	t.Helper()
	if got := countersign.CodeOf(err); got != want {
		t.Errorf("code %q, want %q (%v)", got, want, err)
	}
}

// A token endpoint that never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
