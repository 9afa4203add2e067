package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

type revokeCommand struct {
	Token   revokeToken   `cmd:"" help:"End one token, and the sessions that it proved."`
	Session revokeSession `cmd:"" help:"End one session of temporary credentials, or a long-lived access key."`
	Service revokeService `cmd:"" help:"End all tokens and sessions that a service has."`
	Subject revokeSubject `cmd:"" help:"End all tokens and sessions of one user of an issuer."`
	Issuer  revokeIssuer  `cmd:"" help:"End all tokens and sessions of an issuer's users."`
	Role    revokeRole    `cmd:"" help:"End all sessions of a role."`
	All     revokeAll     `cmd:"" help:"End every token and session of this server."`
}

// revokeHere is embedded in every revocation.
type revokeHere struct {
	Local bool `help:"In this replica at once, also when it has lost its database, which gets it later."`
}

type revokeToken struct {
	target
	output
	revokeHere
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
	revoke := client.RevokeToken
	if c.Local {
		revoke = client.RevokeTokenHere
	}
	revocation, err := revoke(ctx, token)
	if err != nil {
		return err
	}
	return printRevocation(p, client, c.output, revocation, "token "+revocation.JTI)
}

type revokeService struct {
	target
	output
	revokeHere
	revokeBefore
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
	what := "all tokens and sessions of service " + c.Name
	return revokeMany(ctx, p, c.target, c.output, c.revokeBefore, iamclient.Revoke{Service: c.Name, Local: c.Local}, what)
}

type revokeSession struct {
	target
	output
	revokeHere
	AccessKeyID string `arg:"" name:"access-key-id" help:"The access key id: ASIA… of a session, AKIA… of a long-lived key."`
}

// Help implements kong.HelpProvider.
func (revokeSession) Help() string {
	return `Who holds it may get another one: revoke the role, the service or the subject to end those
too, and change the role's trust to keep them out. A long-lived key that was revoked stays so.

Example:
  countersign revoke session ASIAQZ3R5T7B2X4W6Y2A`
}

// Run implements the command.
func (c *revokeSession) Run(ctx context.Context, p *Process) error {
	what := "session "
	switch {
	case strings.HasPrefix(c.AccessKeyID, "AKIA"):
		what = "access key "
	case !strings.HasPrefix(c.AccessKeyID, "ASIA"):
		return usageError{"a session is named by its access key id: ASIA, or AKIA for a long-lived key, and 16 more characters"}
	}
	return revokeMany(ctx, p, c.target, c.output, revokeBefore{}, iamclient.Revoke{Session: c.AccessKeyID, Local: c.Local},
		what+quoteIfNeeded(c.AccessKeyID))
}

type revokeRole struct {
	target
	output
	revokeHere
	revokeBefore
	Name string `arg:"" help:"The role's name."`
}

// Help implements kong.HelpProvider.
func (revokeRole) Help() string {
	return `The role stays, and those whom it trusts may assume it again. Credentials of a real cloud,
got by a role with broker, are not ours to end.

Example:
  countersign revoke role document-writer --before 1h`
}

// Run implements the command.
func (c *revokeRole) Run(ctx context.Context, p *Process) error {
	if c.Name == "" {
		return usageError{"name the role"}
	}
	what := "all sessions of role " + quoteIfNeeded(c.Name)
	return revokeMany(ctx, p, c.target, c.output, c.revokeBefore, iamclient.Revoke{Role: c.Name, Local: c.Local}, what)
}

// revokeBefore is embedded where the time can be chosen.
type revokeBefore struct {
	Before string `help:"Only what was issued until then: a time (2026-11-23T06:00:00Z) or an age (24h). Default: now." placeholder:"TIME"`
}

func (b revokeBefore) time() (time.Time, error) {
	at, err := parseTime(b.Before, time.Now())
	if err != nil {
		return at, usageError{"--before: " + err.Error()}
	}
	return at, nil
}

type revokeSubject struct {
	target
	output
	revokeHere
	revokeBefore
	Issuer  string `arg:"" help:"The issuer, exactly as in the tokens' iss."`
	Subject string `arg:"" help:"The user, exactly as in the tokens' sub."`
}

// Help implements kong.HelpProvider.
func (revokeSubject) Help() string {
	return `A user is an issuer and a subject: the same subject of another issuer is somebody else.
Of an AWS identity the issuer is its account (arn:aws:iam::123456789012:root) and the subject its
ARN without the session's name.

Example:
  countersign revoke subject https://login.example.com alice --before 2026-11-23T06:00:00Z`
}

// Run implements the command.
func (c *revokeSubject) Run(ctx context.Context, p *Process) error {
	if c.Issuer == "" || c.Subject == "" {
		return usageError{"name the issuer and the subject"}
	}
	what := fmt.Sprintf("all tokens and sessions of subject %s at issuer %s", quoteIfNeeded(c.Subject), quoteIfNeeded(c.Issuer))
	return revokeMany(ctx, p, c.target, c.output, c.revokeBefore, iamclient.Revoke{Issuer: c.Issuer, Subject: c.Subject, Local: c.Local}, what)
}

type revokeIssuer struct {
	target
	output
	revokeHere
	revokeBefore
	URL string `arg:"" name:"url" help:"The issuer, exactly as in the tokens' iss."`
}

// Help implements kong.HelpProvider.
func (revokeIssuer) Help() string {
	return `What the issuer gives out from now on is valid again: delete the issuer to keep it out.

Example:
  countersign revoke issuer https://login.example.com`
}

// Run implements the command.
func (c *revokeIssuer) Run(ctx context.Context, p *Process) error {
	if c.URL == "" {
		return usageError{"name the issuer"}
	}
	what := "all tokens and sessions of issuer " + quoteIfNeeded(c.URL)
	return revokeMany(ctx, p, c.target, c.output, c.revokeBefore, iamclient.Revoke{Issuer: c.URL, Local: c.Local}, what)
}

type revokeAll struct {
	target
	output
	revokeHere
	revokeBefore
	Yes bool `help:"Do it without being asked."`
}

// Help implements kong.HelpProvider.
func (revokeAll) Help() string {
	return `Every service needs a new token afterwards. Asks on a terminal; elsewhere it needs --yes.

Example:
  countersign revoke all --yes`
}

// Run implements the command.
func (c *revokeAll) Run(ctx context.Context, p *Process) error {
	if !c.Yes && !confirm(ctx, p, "End every token and session of this server, of every service?") {
		return countersign.NewError(countersign.Precondition, "",
			"nothing was done: every service would need a new token; if that is meant, use --yes")
	}
	return revokeMany(ctx, p, c.target, c.output, c.revokeBefore, iamclient.Revoke{All: true, Local: c.Local}, "every token and session")
}

func revokeMany(ctx context.Context, p *Process, t target, out output, b revokeBefore, in iamclient.Revoke, what string) error {
	before, err := b.time()
	if err != nil {
		return err
	}
	if in.Before = before; !before.IsZero() {
		what += " issued until " + formatTime(before)
	}
	client, err := t.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	revocation, err := client.Revoke(ctx, in)
	if err != nil {
		return err
	}
	return printRevocation(p, client, out, revocation, what)
}

func printRevocation(p *Process, client *iamclient.Client, out output, r iamclient.Revocation, what string) error {
	switch r.Status {
	case iamclient.AlreadyExpired:
		what += " (expired already: nothing to do)"
	case iamclient.RevokedHere:
		what += ", here; the database gets it when it is back,"
	}
	wrote(p, client, "revoked "+what)
	if out.json() {
		return printJSON(p.Stdout, r)
	}
	return nil
}
