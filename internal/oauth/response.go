package oauth

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/web"
)

// Header values that never change are shared: setting them allocates nothing.
var (
	jsonValue    = []string{"application/json"}
	noStoreValue = []string{"no-store"}
	noCacheValue = []string{"no-cache"}
	noSniffValue = []string{"nosniff"}
	publicValue  = []string{"public, max-age=" + strconv.Itoa(int(publicMaxAge/time.Second))}
)

// writeToken answers a token request. The body is put together by hand, because it is
// the busiest of all answers: a token is base64url and dots, a granted scope has no
// character that JSON escapes (RFC 6749 §3.3).
//
// Source: RFC 6749 §5.1.
func writeToken(w http.ResponseWriter, minted token.Minted, scope string) {
	text := appendTokenBody(make([]byte, 0, 1024), minted, scope)
	header := w.Header()
	header["Content-Type"] = jsonValue
	header["Cache-Control"] = noStoreValue
	header["Pragma"] = noCacheValue
	header["X-Content-Type-Options"] = noSniffValue
	header["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(http.StatusOK)
	// An error means that the client has gone.
	_, _ = w.Write(text) //nolint:gosec // G705: JSON, and nosniff
}

// appendTokenBody reveals the token: what it returns goes to the client and nowhere
// else. Without a scope the member is left out: "" is none (RFC 6749 §3.3).
func appendTokenBody(text []byte, minted token.Minted, scope string) []byte {
	text = append(text, `{"access_token":"`...)
	text = append(text, minted.Token.Reveal()...)
	text = append(text, `","token_type":"Bearer","expires_in":`...)
	text = strconv.AppendInt(text, int64(minted.ExpiresAt.Sub(minted.IssuedAt)/time.Second), 10)
	if scope != "" {
		text = append(text, `,"scope":"`...)
		text = append(text, scope...)
		text = append(text, '"')
	}
	return append(text, "}\n"...)
}

// introspectionBody is the answer of introspection. The zero value says "not
// active" and nothing else.
//
// Source: RFC 7662 §2.2.
type introspectionBody struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	ExpiresAt int64  `json:"exp,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	ID        string `json:"jti,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
}

// writeJSON writes an answer that no cache may keep. The bodies are our own structs,
// so the one thing that can fail is that the client has gone.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header()["Pragma"] = noCacheValue
	_ = web.WriteJSON(w, status, body)
}

// publicMaxAge is how long discovery and keys may be cached. Keys are published
// two of these before they are used (RULES B6).
const publicMaxAge = 5 * time.Minute

// document is a public JSON document and its ETag, with quotes.
type document struct {
	body []byte
	etag string
}

// writeDocument writes d, or 304 to a client that has it. To HEAD, net/http sends
// the header only.
//
// Source: RFC 9110 §13.1.2.
func writeDocument(w http.ResponseWriter, r *http.Request, d document) {
	header := w.Header()
	header["Cache-Control"] = publicValue
	header["X-Content-Type-Options"] = noSniffValue
	header["Etag"] = []string{d.etag}
	if etagMatches(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header["Content-Type"] = jsonValue
	header["Content-Length"] = []string{strconv.Itoa(len(d.body))}
	_, _ = w.Write(d.body)
}

// etagMatches compares weakly, as RFC 9110 §13.1.2 says for GET and HEAD.
func etagMatches(candidates []string, etag string) bool {
	for _, line := range candidates {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
				return true
			}
		}
	}
	return false
}
