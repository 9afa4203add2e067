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
	publicValue  = []string{"public, max-age=" + strconv.Itoa(int(publicMaxAge/time.Second))}
)

// tokenBody is the answer of the token endpoint.
//
// Source: RFC 6749 §5.1.
type tokenBody struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresInSeconds int64  `json:"expires_in"`
	Scope            string `json:"scope,omitempty"`
}

// newTokenBody reveals the token: what it returns goes to the client and nowhere else.
func newTokenBody(minted token.Minted, scope string) tokenBody {
	return tokenBody{
		AccessToken:      minted.Token.Reveal(),
		TokenType:        "Bearer",
		ExpiresInSeconds: int64(minted.ExpiresAt.Sub(minted.IssuedAt) / time.Second),
		Scope:            scope,
	}
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
