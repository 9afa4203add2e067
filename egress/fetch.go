package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/countersign/countersign"
)

// StatusError is the cause when a server answered with another status than 2xx.
type StatusError struct {
	// Status is the status of the server that was asked; it is never our own answer.
	Status int
	// Header and Body are the answer. They are what somebody else's server wrote:
	// don't log them and don't pass them on.
	Header http.Header
	Body   []byte
}

// Error implements error.
func (e *StatusError) Error() string { return fmt.Sprintf("the server answered %d", e.Status) }

// Get fetches url with a client of [New] and returns the whole body of a 2xx answer.
// accept is the Accept header; "" = none.
//
// Errors: [countersign.Upstream], with a [*StatusError] in the chain when the server
// answered, or one of [ErrAddress], [ErrRedirect], [ErrTooLarge];
// [countersign.Invalid] for a url that may not be fetched.
func Get(ctx context.Context, client *http.Client, url, accept string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, countersign.WrapError(countersign.Invalid, "", "the url can't be parsed", ErrURL)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	return Do(client, r)
}

// Post sends body to url and returns the whole body of a 2xx answer.
//
// Errors: as [Get].
func Post(ctx context.Context, client *http.Client, url, contentType string, body []byte) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, countersign.WrapError(countersign.Invalid, "", "the url can't be parsed", ErrURL)
	}
	r.Header.Set("Content-Type", contentType)
	return Do(client, r)
}

// Do sends a request that the caller built, with headers of its own, and reads the
// whole answer. The bounds are those of the client: give it one of [New].
//
// Errors: as [Get].
func Do(client *http.Client, r *http.Request) ([]byte, http.Header, error) {
	resp, err := client.Do(r) //nolint:gosec // that the URL comes from elsewhere is what the guard is for
	if err != nil {
		return nil, nil, classify(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, classify(err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, nil, upstream("the server refused the request",
			&StatusError{Status: resp.StatusCode, Header: resp.Header, Body: body})
	}
	return body, resp.Header, nil
}

// classify gives every failure of an exchange a code.
func classify(err error) error {
	var own *countersign.Error
	if errors.As(err, &own) {
		return err
	}
	return upstream("the server can't be reached", err)
}
