package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/loginproof"
	"github.com/countersign/countersign/tokensource"
)

const (
	// audienceIAM is that of tokens for the IAM API, scopeApply what a service needs there.
	audienceIAM = "iam-service"
	scopeApply  = "iam:apply"
	// remoteTimeout bounds one request to a server elsewhere until its answer begins.
	remoteTimeout = time.Minute
)

// remote returns the client of an administrator elsewhere. Who that is: COUNTERSIGN_TOKEN, a
// user's own token; else the service of COUNTERSIGN_CLIENT_ID; else the stored login.
func (t target) remote(p *Process, at place) (*iamclient.Client, error) {
	if err := egress.CheckURL(at.url); err != nil {
		return nil, usageError{"the server's URL: " + countersign.MessageOf(err)}
	}
	through, as, err := t.proving(p, at)
	if err != nil {
		return nil, err
	}
	return iamclient.New(iamclient.Config{BaseURL: at.url, As: as, HTTPClient: &http.Client{
		Transport: through,
		// A proof or token is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
}

func (t target) proving(p *Process, at place) (through http.RoundTripper, as string, err error) {
	base := remoteTransport()
	if token := p.getenv("COUNTERSIGN_TOKEN"); token != "" {
		return &bearerTransport{base: base, source: tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
			return tokensource.Token{Value: countersign.NewSecret(token)}, nil
		})}, "the user of COUNTERSIGN_TOKEN", nil
	}
	if name := p.getenv("COUNTERSIGN_CLIENT_ID"); name != "" {
		source, err := serviceIdentity{}.source(context.Background(), p, target{Server: at.url}, []string{scopeApply})
		if err != nil {
			return nil, "", err
		}
		return &bearerTransport{base: base, source: source, end: source.Close}, "service " + printable(name), nil
	}
	name, login, err := loginTo(p, at.context, at.url)
	if err != nil {
		return nil, "", err
	}
	if login.User != nil {
		source := &userSource{process: p, context: name, login: login, device: newDeviceLogin(p.Stderr)}
		return &bearerTransport{base: base, source: source}, "user of " + printable(login.User.Issuer), nil
	}
	key, ok := login.key()
	if !ok {
		return nil, "", countersign.NewError(countersign.Invalid, "", fmt.Sprintf("the login of context %q is broken: log in again", printable(name)))
	}
	return &loginproof.Transport{Key: key, Login: login.ID, Audience: login.Issuer, Base: base}, "login " + printable(login.ID), nil
}

// remoteTransport is that of the standard library, whose proxies are those of the environment
// and whose certificates the system's.
func remoteTransport() http.RoundTripper {
	base, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	own := base.Clone()
	own.ResponseHeaderTimeout = remoteTimeout
	return own
}

// bearerTransport brings tokens.
type bearerTransport struct {
	base   http.RoundTripper
	source tokensource.Source
	end    func() error
}

// RoundTrip implements http.RoundTripper.
func (b *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "" {
		token, err := b.source.Token(r.Context(), audienceIAM)
		if err != nil {
			return nil, fmt.Errorf("get a token: %w", err)
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
	}
	return b.base.RoundTrip(r) //nolint:wrapcheck // a transport's error is that of its base
}

// CloseIdleConnections is for http.Client: the end of all.
func (b *bearerTransport) CloseIdleConnections() {
	if b.end != nil {
		_ = b.end()
	}
}
