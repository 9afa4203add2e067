package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

type tokenCommand struct {
	target
	output
	Service  string   `help:"The service to act as. Default: COUNTERSIGN_CLIENT_ID." placeholder:"NAME"`
	Audience string   `help:"The service to call. Default: the only one that the service may call." placeholder:"NAME"`
	Scope    []string `help:"A scope to ask for; may be repeated." placeholder:"SCOPE"`
}

// Help implements kong.HelpProvider.
func (tokenCommand) Help() string {
	return `Acts as a service, by its own secret: COUNTERSIGN_CLIENT_SECRET, or a file named by
COUNTERSIGN_CLIENT_SECRET_FILE. An administrator can't get a token for a service.

Example:
  COUNTERSIGN_CLIENT_SECRET_FILE=nightly.secret countersign token --service nightly --audience document-service`
}

// Run implements the command.
func (c *tokenCommand) Run(ctx context.Context, p *Process) error {
	base, err := c.baseURL(p)
	if err != nil {
		return err
	}
	name := c.Service
	if name == "" {
		name = p.getenv("COUNTERSIGN_CLIENT_ID")
	}
	if id := p.getenv("COUNTERSIGN_CLIENT_ID"); id != "" && id != name {
		return usageError{fmt.Sprintf("--service %s and COUNTERSIGN_CLIENT_ID=%s contradict each other", name, id)}
	}
	if name == "" {
		return usageError{"name the service with --service or COUNTERSIGN_CLIENT_ID"}
	}
	source := &tokensource.ClientCredentials{
		TokenURL:         strings.TrimRight(base, "/") + "/oauth2/token",
		ClientID:         name,
		ClientSecret:     countersign.NewSecret(p.getenv("COUNTERSIGN_CLIENT_SECRET")),
		ClientSecretFile: p.getenv("COUNTERSIGN_CLIENT_SECRET_FILE"),
		Scopes:           c.Scope,
	}
	if source.ClientSecret.IsZero() && source.ClientSecretFile == "" {
		return usageError{"give the secret by COUNTERSIGN_CLIENT_SECRET_FILE or COUNTERSIGN_CLIENT_SECRET"}
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
