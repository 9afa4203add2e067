package cli

import (
	"context"
	"fmt"
	"time"
)

type tokenCommand struct {
	target
	output
	serviceIdentity
	Audience string   `help:"The service to call. Default: the only one that the service may call." placeholder:"NAME"`
	Scope    []string `help:"A scope to ask for; may be repeated." placeholder:"SCOPE"`
}

// Help implements kong.HelpProvider.
func (tokenCommand) Help() string {
	return `Acts as a service, by its own secret: COUNTERSIGN_CLIENT_SECRET, or a file named by
COUNTERSIGN_CLIENT_SECRET_FILE; or by its private key. An administrator can't get a token
for a service.

Example:
  COUNTERSIGN_CLIENT_SECRET_FILE=nightly.secret countersign token --service nightly --audience document-service
  countersign token --service nightly --private-key-file nightly.pem --key-id 2026-11 --audience document-service`
}

// Run implements the command.
func (c *tokenCommand) Run(ctx context.Context, p *Process) error {
	source, err := c.source(ctx, p, c.target, c.Scope)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	token, err := source.Token(ctx, c.Audience)
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(p.Stdout, map[string]any{
			"access_token": token.Value.Reveal(), "token_type": "Bearer",
			"expires_in": int64(time.Until(token.ExpiresAt).Seconds()), "expires_at": formatTime(token.ExpiresAt),
		})
	}
	_, err = fmt.Fprintln(p.Stdout, token.Value.Reveal())
	return err
}
