package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

// serviceIdentity is embedded in the commands that act as a service: by its own secret
// or key, never by an administrator's word.
type serviceIdentity struct {
	Service        string `help:"The service to act as. Default: COUNTERSIGN_CLIENT_ID." placeholder:"NAME"`
	PrivateKeyFile string `help:"The service's private key (PEM or JWK), instead of a secret." placeholder:"FILE" type:"path"`
	KeyID          string `name:"key-id" help:"The id that the key is registered under. Default: the one in the JWK." placeholder:"ID"`
	Issuer         string `help:"The server's issuer URL, for --private-key-file. Default: the server's URL." placeholder:"URL"`
}

// name returns the service that is named; "" = none.
//
// Errors: usageError.
func (s serviceIdentity) name(p *Process) (string, error) {
	id := p.getenv("COUNTERSIGN_CLIENT_ID")
	if s.Service != "" && id != "" && id != s.Service {
		return "", usageError{fmt.Sprintf("--service %s and COUNTERSIGN_CLIENT_ID=%s contradict each other", s.Service, id)}
	}
	if s.Service == "" {
		return id, nil
	}
	return s.Service, nil
}

// source returns the service's tokens, from the server at t. Close it.
//
// Errors: usageError, and as target.baseURL.
func (s serviceIdentity) source(ctx context.Context, p *Process, t target, scopes []string) (*tokensource.ClientCredentials, error) {
	base, err := t.baseURL(p)
	if err != nil {
		return nil, err
	}
	name, err := s.name(p)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, usageError{"name the service with --service or COUNTERSIGN_CLIENT_ID"}
	}
	source := &tokensource.ClientCredentials{
		TokenURL: strings.TrimRight(base, "/") + "/oauth2/token", ClientID: name, Scopes: scopes,
	}
	if s.PrivateKeyFile != "" {
		source.PrivateKeyFile, source.KeyID = s.PrivateKeyFile, s.KeyID
		source.Issuer, err = s.issuer(ctx, p, t, base)
		return source, err
	}
	if s.KeyID != "" || s.Issuer != "" {
		return nil, usageError{"--key-id and --issuer belong to --private-key-file"}
	}
	source.ClientSecret = countersign.NewSecret(p.getenv("COUNTERSIGN_CLIENT_SECRET"))
	source.ClientSecretFile = p.getenv("COUNTERSIGN_CLIENT_SECRET_FILE")
	if source.ClientSecret.IsZero() && source.ClientSecretFile == "" {
		return nil, usageError{"give the secret by COUNTERSIGN_CLIENT_SECRET_FILE or COUNTERSIGN_CLIENT_SECRET"}
	}
	return source, nil
}

// issuer is whom an assertion is made for. A server somewhere else is not asked: it could
// name another one, and show it what it got.
func (s serviceIdentity) issuer(ctx context.Context, p *Process, t target, base string) (string, error) {
	if s.Issuer != "" {
		return s.Issuer, nil
	}
	at, err := t.place(p)
	if err != nil || at.url != "" {
		return strings.TrimRight(base, "/"), err
	}
	metadata, err := discover(ctx, base)
	return metadata.Issuer, err
}
