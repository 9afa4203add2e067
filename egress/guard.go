package egress

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign"
)

// What a guarded client refuses, for errors.Is. Each comes wrapped in a
// *countersign.Error with code Upstream, or Invalid for [ErrURL].
var (
	// ErrAddress: the name resolved to an address that may not be dialled.
	ErrAddress = errors.New("address may not be dialled")
	// ErrURL: the URL is not https (or http on a loopback), or has user information.
	ErrURL = errors.New("url may not be fetched")
	// ErrRedirect: the answer was a redirect.
	ErrRedirect = errors.New("redirects are not followed")
	// ErrTooLarge: the body is over the limit.
	ErrTooLarge = errors.New("answer is too large")
)

// CheckURL reports whether a guarded client would send a request to rawURL, as far
// as the text alone says: absolute, https or http on a host written as a loopback,
// no user information, no fragment. Use it to refuse a configuration early.
//
// Errors: [countersign.Invalid].
func CheckURL(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The cause would repeat the URL, and a URL may hold a password.
		return countersign.WrapError(countersign.Invalid, "", "the url can't be parsed", ErrURL)
	}
	return checkURL(u)
}

func checkURL(u *url.URL) error {
	refuse := func(msg string) error {
		return countersign.WrapError(countersign.Invalid, "", msg, ErrURL)
	}
	switch {
	case u.Opaque != "" || u.Hostname() == "":
		return refuse("the url is not absolute")
	case u.User != nil:
		return refuse("the url has user information")
	case u.Fragment != "":
		return refuse("the url has a fragment")
	case strings.Contains(u.Hostname(), "%"):
		return refuse("the url has a zoned address")
	case u.Scheme == "https", u.Scheme == "http" && IsLoopbackHost(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return refuse("the url is plain http and its host is not a loopback")
	}
	return refuse("the url is not https")
}

// guard is the RoundTripper that checks what the dialler can't see.
type guard struct {
	base    *http.Transport
	maxBody int64
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkURL(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper always closes it
		}
		return nil, err
	}
	resp, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified:
		_ = resp.Body.Close()
		return nil, upstream("the server answered with a redirect", ErrRedirect)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		_ = resp.Body.Close()
		return nil, upstream("the server changed the protocol", nil)
	case resp.ContentLength > g.maxBody:
		_ = resp.Body.Close()
		return nil, upstream("the answer is too large", ErrTooLarge)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: g.maxBody}
	return resp, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (g *guard) CloseIdleConnections() { g.base.CloseIdleConnections() }

// boundedBody fails, and goes on failing, once more than left bytes came.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, upstream("the answer is too large", ErrTooLarge)
	}
	// One byte more than is left tells "exactly full" from "too much".
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, upstream("the answer is too large", ErrTooLarge)
	}
	return n, err
}

func upstream(msg string, cause error) error {
	return countersign.WrapError(countersign.Upstream, "", msg, cause)
}
