package loginproof

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Transport proves every request by a login. All fields up to Audience are required. Safe
// for concurrent use.
type Transport struct {
	Key ed25519.PrivateKey
	// Login is the id, Audience the issuer URL of the server.
	Login, Audience string
	// Base sends; nil = http.DefaultTransport.
	Base http.RoundTripper
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// RoundTrip implements http.RoundTripper. The body is held in memory. What comes with an
// Authorization of its own keeps that.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base, now := t.Base, t.Now
	if base == nil {
		base = http.DefaultTransport
	}
	if now == nil {
		now = time.Now
	}
	if r.Header.Get("Authorization") != "" {
		return base.RoundTrip(r) //nolint:wrapcheck // a transport's error is that of its base
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
	}
	proven := r.Clone(r.Context())
	if r.Body != nil {
		proven.Body = io.NopCloser(bytes.NewReader(body))
		proven.GetBody = nil // a proof is for one sending
	}
	proven.Header.Set("Authorization", Sign(t.Key, t.Login, t.Audience, r, body, now()))
	return base.RoundTrip(proven) //nolint:wrapcheck // as above
}
