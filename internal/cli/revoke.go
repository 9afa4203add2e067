package cli

import (
	"context"

	"github.com/countersign/countersign/internal/iamclient"
)

type revokeCommand struct {
	Token   revokeToken   `cmd:"" help:"End one token."`
	Service revokeService `cmd:"" help:"End all tokens that a service has."`
}

type revokeToken struct {
	target
	output
	Token string `arg:"" help:"The token, or - to read it from stdin."`
}

// Help implements kong.HelpProvider.
func (revokeToken) Help() string {
	return `Example:
  countersign revoke token - <token.jwt`
}

// Run implements the command.
func (c *revokeToken) Run(ctx context.Context, p *Process) error {
	token, err := secretArgument(p, c.Token)
	if err != nil {
		return err
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	revocation, err := client.RevokeToken(ctx, token)
	if err != nil {
		return err
	}
	return printRevocation(p, client, c.output, revocation, "token "+revocation.JTI)
}

type revokeService struct {
	target
	output
	Name string `arg:"" help:"The service's name."`
}

// Help implements kong.HelpProvider.
func (revokeService) Help() string {
	return `The service stays enabled and may get new tokens: disable it to keep it out.

Example:
  countersign revoke service document-service`
}

// Run implements the command.
func (c *revokeService) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	revocation, err := client.RevokeService(ctx, c.Name)
	if err != nil {
		return err
	}
	return printRevocation(p, client, c.output, revocation, "all tokens of service "+c.Name)
}

func printRevocation(p *Process, client *iamclient.Client, out output, r iamclient.Revocation, what string) error {
	if r.Status == iamclient.AlreadyExpired {
		what += " (expired already: nothing to do)"
	}
	wrote(p, client, "revoked "+what)
	if out.json() {
		return printJSON(p.Stdout, r)
	}
	return nil
}
