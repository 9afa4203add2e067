package oauth

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

func TestEveryCodeHasItsWireError(t *testing.T) {
	t.Parallel()
	for _, code := range countersign.Codes() {
		wire, ok := wireErrors[code]
		if !ok || wire.status < 400 || wire.code == "" {
			t.Errorf("code %q: %+v", code, wire)
		}
	}
	if len(wireErrors) != len(countersign.Codes()) {
		t.Errorf("%d rows for %d codes", len(wireErrors), len(countersign.Codes()))
	}
}

func TestEveryErrorOfRFC6749HasACode(t *testing.T) {
	t.Parallel()
	words := map[string]bool{}
	for _, wire := range wireErrors {
		words[wire.code] = true
	}
	for _, word := range []string{invalidRequest, invalidClient, invalidGrant, unauthorizedClient, unsupportedGrantType, invalidScope, invalidTarget} {
		if !words[word] {
			t.Errorf("no code leads to %s", word)
		}
	}
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	const hidden = "postgres://user:password@db"
	cause := fmt.Errorf("dial %s", hidden)
	tests := []struct {
		name                   string
		err                    error
		status                 int
		word, retry, challenge string
		reason                 string
	}{
		{name: "client", err: countersign.NewError(countersign.BadClient, countersign.ReasonSecretWrong, sayBadClient), status: 401, word: invalidClient, challenge: challenge},
		{name: "nobody", err: countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing, ""), status: 401, word: invalidClient, challenge: challenge},
		{name: "scope", err: countersign.NewError(countersign.BadScope, countersign.ReasonScopeNotGranted, "no"), status: 400, word: invalidScope, reason: "scope_not_granted"},
		{name: "throttled", err: &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited, RetryAfter: 1500 * time.Millisecond}, status: 429, word: temporarilyUnavailable, retry: "2", reason: "rate_limited"},
		{name: "store", err: countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, hidden, cause), status: 503, word: temporarilyUnavailable, retry: "1", reason: "store_unavailable"},
		{name: "unknown", err: cause, status: 500, word: serverError, reason: "internal"},
		{name: "made-up code", err: countersign.NewError("made_up", "", hidden), status: 500, word: serverError, reason: "made_up"},
	}
	for _, tt := range tests {
		for _, expose := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, expose), func(t *testing.T) {
				t.Parallel()
				h := &Handler{cfg: Config{ExposeReasons: expose}}
				w := httptest.NewRecorder()
				h.writeError(w, httptest.NewRequest(http.MethodPost, pathToken, http.NoBody), tt.err)
				var body errorBody
				if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
					t.Fatal(err)
				}
				if w.Code != tt.status || body.Error != tt.word {
					t.Errorf("got %d %s, want %d %s", w.Code, body.Error, tt.status, tt.word)
				}
				if got := w.Header().Get("Retry-After"); got != tt.retry {
					t.Errorf("Retry-After %q, want %q", got, tt.retry)
				}
				if got := w.Header().Get("WWW-Authenticate"); got != tt.challenge {
					t.Errorf("WWW-Authenticate %q, want %q", got, tt.challenge)
				}
				if got := w.Header().Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control %q", got)
				}
				if strings.Contains(w.Body.String(), "password") {
					t.Errorf("the cause was sent: %s", w.Body)
				}
				want := ""
				if expose {
					want = tt.reason
				}
				if body.Reason != want {
					t.Errorf("reason %q, want %q", body.Reason, want)
				}
			})
		}
	}
}

func TestDescriptionKeepsToTheCharactersOfRFC6749(t *testing.T) {
	t.Parallel()
	got := describe("a \"b\" \\ \n é")
	for _, c := range []byte(got) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("%q holds %q", got, c)
		}
	}
}

func TestETagMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		candidates []string
		want       bool
	}{
		{nil, false},
		{[]string{`"a"`}, true},
		{[]string{`W/"a"`}, true},
		{[]string{`"b", "a"`}, true},
		{[]string{`"b"`, `"a"`}, true},
		{[]string{`*`}, true},
		{[]string{`a`}, false},
		{[]string{`"A"`}, false},
		{[]string{`"aa"`}, false},
	}
	for _, tt := range tests {
		if got := etagMatches(tt.candidates, `"a"`); got != tt.want {
			t.Errorf("%q: %v", tt.candidates, got)
		}
	}
}
