package transport

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

// The headers that tokens go in.
const (
	authorization        = "Authorization"
	serviceAuthorization = "Service-Authorization"
)

// Mode says which tokens a request carries.
type Mode int

// The modes.
const (
	// UserAndService: with a user in the context, Authorization carries the user's token
	// and Service-Authorization the service's; without one, Authorization carries the
	// service's. The default.
	UserAndService Mode = iota
	// UserElseService: Authorization carries the user's token when there is a user, else
	// the service's. The receiver can't see which service forwards a user's call.
	UserElseService
	// ServiceOnly: Authorization carries the service's token, also when there is a user.
	ServiceOnly
	// UserOnly: Authorization carries the user's token; without a user it is an error.
	UserOnly
)

// Transport is an http.RoundTripper that attaches tokens. Fill the fields in before the
// first use and don't change them after it. Safe for concurrent use.
type Transport struct {
	// Source gives the service's tokens. Required, except in mode UserOnly.
	Source tokensource.Source
	Mode   Mode
	// Audiences names the receiver behind each host that may be called: the audience of
	// the service's token. The key is "host" or "host:port" as in the URL; a host alone
	// is the scheme's own port. No patterns. A host that is not listed is an error.
	Audiences map[string]string
	// Base sends the requests; nil = http.DefaultTransport.
	Base http.RoundTripper

	once   sync.Once
	hosts  hosts // compiled Audiences
	failed error // why the fields can't be used
}

// RoundTrip implements http.RoundTripper. A 401 answer tells the Source to drop the
// service's token; the request is not sent again.
//
// Errors: [countersign.Invalid] (a Transport or a request that is not fit to send),
// [countersign.Denied] (an unlisted host, plain http off loopback, a redirect),
// [countersign.Unauthenticated] (no user in mode UserOnly), those of Source and Base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	signed, sent, err := t.attach(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper closes it in every case
		}
		return nil, err
	}
	resp, err := t.base().RoundTrip(signed)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized && !sent.token.Value.IsZero() {
		if source, ok := t.Source.(tokensource.Invalidator); ok {
			source.Invalidate(sent.audience, sent.token)
		}
	}
	return resp, nil
}

// CloseIdleConnections closes those of Base; http.Client's method of that name calls it.
func (t *Transport) CloseIdleConnections() {
	if closer, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

func (t *Transport) init() error {
	t.once.Do(func() {
		switch {
		case t.Mode < UserAndService || t.Mode > UserOnly:
			t.failed = invalid("Mode is none of the modes")
		case t.Source == nil && t.Mode != UserOnly:
			t.failed = invalid("Source is required")
		default:
			t.hosts, t.failed = newHosts(t.Audiences)
		}
	})
	return t.failed
}

// sent is the service's token that went with a request; zero when none did.
type sent struct {
	audience string
	token    tokensource.Token
}

// attach returns a copy of req with the tokens on it.
func (t *Transport) attach(req *http.Request) (*http.Request, sent, error) {
	if err := t.init(); err != nil {
		return nil, sent{}, err
	}
	audience, err := t.audience(req)
	if err != nil {
		return nil, sent{}, err
	}
	ctx := req.Context()
	user, err := t.userToken(ctx)
	if err != nil {
		return nil, sent{}, err
	}
	var service sent
	if t.Mode == UserAndService || t.Mode == ServiceOnly || user.IsZero() {
		token, err := t.Source.Token(ctx, audience)
		if err != nil {
			return nil, sent{}, err
		}
		if !sendable(token.Value) {
			return nil, sent{}, invalid("the source gave a token that can't be sent")
		}
		service = sent{audience: audience, token: token}
	}

	header := make(http.Header, len(req.Header)+2)
	for name, values := range req.Header {
		header[name] = append([]string(nil), values...)
	}
	switch {
	case user.IsZero():
		header[authorization] = bearer(service.token.Value)
	case service.token.Value.IsZero():
		header[authorization] = bearer(user)
	default:
		header[authorization] = bearer(user)
		header[serviceAuthorization] = bearer(service.token.Value)
	}
	signed := req.WithContext(ctx) // a shallow copy
	signed.Header = header
	return signed, service, nil
}

func bearer(token countersign.Secret) []string { return []string{"Bearer " + token.Reveal()} }

// userToken returns the user's token to send; zero = none.
func (t *Transport) userToken(ctx context.Context) (countersign.Secret, error) {
	if t.Mode == ServiceOnly {
		return countersign.Secret{}, nil
	}
	user := countersign.UserToken(ctx)
	switch {
	case user.IsZero() && t.Mode == UserOnly:
		return user, countersign.NewError(countersign.Unauthenticated, countersign.ReasonUserRequired,
			"transport: there is no user's token in the context")
	case !user.IsZero() && !sendable(user):
		return user, invalid("the user's token can't be sent")
	}
	return user, nil
}

// sendable reports whether a token can stand in a header: nothing that could be read as
// a second token or a second header.
func sendable(token countersign.Secret) bool {
	text := token.Reveal()
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return text != ""
}

// audience checks that tokens may go where req goes, and returns the receiver's name.
func (t *Transport) audience(req *http.Request) (string, error) {
	switch {
	case req.Response != nil:
		// net/http sets it on the requests that follow a redirect.
		return "", countersign.NewError(countersign.Denied, "", "transport: a redirect is not followed with tokens")
	case req.URL == nil:
		return "", invalid("the request has no URL")
	case req.URL.User != nil:
		return "", invalid("the URL holds a user or a password")
	case req.Host != "" && !t.hosts.same(req.URL.Scheme, req.Host, req.URL.Host):
		return "", invalid("the Host header names another host than the URL")
	}
	for name := range req.Header {
		if isTokenHeader(name) {
			return "", invalid("the request has an authorization header already")
		}
	}
	return t.hosts.audience(req.URL.Scheme, req.URL.Host)
}

// isTokenHeader recognises our headers in every spelling that some receiver takes for
// them: net/http keeps a name that was set directly in the map as it is, and CGI-like
// receivers don't tell "_" from "-".
func isTokenHeader(name string) bool {
	if len(name) != len(authorization) && len(name) != len(serviceAuthorization) {
		return false
	}
	name = strings.ReplaceAll(name, "_", "-")
	return strings.EqualFold(name, authorization) || strings.EqualFold(name, serviceAuthorization)
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "transport: "+msg)
}
