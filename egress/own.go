package egress

import (
	"errors"
	"net/http"
	"net/url"
)

// ClientOr returns the client for a URL of the program's own configuration to which a
// secret or a token is sent. Without a configured one it is [New] of cfg, and owned is
// true: the caller ends it with CloseIdleConnections. Of a configured client it takes
// the transport and the timeout only: redirects are not followed, because a 307 would
// carry the secret to wherever it points, and cookies are not kept. cfg bounds nothing
// there: bound what you read of its answers. configured itself is not changed.
func ClientOr(configured *http.Client, cfg Config) (client *http.Client, owned bool) {
	if configured == nil {
		return New(cfg), true
	}
	return &http.Client{
		Transport: configured.Transport,
		Timeout:   configured.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}, false
}

// WithoutURL takes the URL, which may hold what is not for a log, off an error of
// http.Client. Another error comes back as it is; nil stays nil.
//
// Errors: err, or the cause that it wraps.
func WithoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
