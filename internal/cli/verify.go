package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

type verifyCommand struct {
	target
	output
	Token    string `arg:"" help:"The token, or - to read it from stdin."`
	Audience string `help:"The service that the token must be for. Without it the audience is shown and not judged." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (verifyCommand) Help() string {
	return `Checks the token against the server's keys as a receiver does and, on the server's own
machine, asks whether it is revoked. Exit code 0 if it is valid, else 1.

Example:
  countersign verify - <token.jwt
  countersign verify --audience parse-service - <token.jwt`
}

// verdict is what verify prints.
type verdict struct {
	Valid     bool               `json:"valid"`
	Reason    countersign.Reason `json:"reason"`
	Message   string             `json:"message,omitempty"`
	Service   string             `json:"service,omitempty"`
	User      string             `json:"user,omitempty"`
	Issuer    string             `json:"issuer,omitempty"`
	Audience  []string           `json:"audience,omitempty"`
	Scopes    []string           `json:"scopes,omitempty"`
	Tenant    string             `json:"tenant,omitempty"`
	TokenID   string             `json:"token_id,omitempty"`
	IssuedAt  string             `json:"issued_at,omitempty"`
	ExpiresAt string             `json:"expires_at,omitempty"`
	// Revocation: "checked", or "not checked" where the server's socket is not at hand.
	Revocation string `json:"revocation,omitempty"`
	// Claimed is what a token that is not valid says of itself. Nothing proves it.
	Claimed *claimed `json:"claimed,omitempty"`
}

type claimed struct {
	Issuer    string   `json:"issuer,omitempty"`
	Subject   string   `json:"subject,omitempty"`
	Audience  []string `json:"audience,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
}

// Run implements the command.
func (c *verifyCommand) Run(ctx context.Context, p *Process) error {
	token, err := secretArgument(p, c.Token)
	if err != nil {
		return err
	}
	v, err := c.judge(ctx, p, token)
	if err != nil {
		return err
	}
	if c.json() {
		err = printJSON(p.Stdout, v)
	} else {
		err = c.print(p, v)
	}
	if err == nil && !v.Valid {
		return silentError{}
	}
	return err
}

func (c *verifyCommand) judge(ctx context.Context, p *Process, token countersign.Secret) (verdict, error) {
	base, err := c.baseURL(p)
	if err != nil {
		return verdict{}, err
	}
	metadata, err := discover(ctx, base)
	if err != nil {
		return verdict{}, err
	}
	verifier, err := verify.New(verify.Config{
		Audience: c.Audience, InsecureAnyAudience: c.Audience == "",
		Issuers: []verify.Issuer{{URL: metadata.Issuer, JWKSURL: metadata.JWKSURI, AllowPrivateAddresses: true}},
	})
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = verifier.Close() }()
	verified, err := verifier.Verify(ctx, token.Reveal())
	if err != nil {
		return refused(token, err), nil
	}
	v := accepted(verified)
	if at, err := c.place(p); err != nil {
		return verdict{}, err
	} else if at.url != "" {
		v.Revocation = "not checked"
		return v, nil
	}
	client, err := c.admin(p)
	if err != nil {
		return verdict{}, err
	}
	defer client.Close()
	answer, err := client.Introspect(ctx, token)
	if err != nil {
		return verdict{}, fmt.Errorf("ask whether the token is revoked: %w", err)
	}
	v.Revocation = "checked"
	if !answer.Active {
		v.Valid, v.Reason, v.Message = false, countersign.ReasonTokenRevoked, "the token is revoked"
	}
	return v, nil
}

func accepted(t *verify.Token) verdict {
	return verdict{
		Valid: true, Reason: countersign.ReasonOK,
		Service: t.Principal.Service.Name, User: t.Principal.User.Subject,
		Issuer: t.Issuer, Audience: t.Audience, Scopes: t.Principal.Scopes, Tenant: t.Principal.Tenant,
		TokenID: t.ID, IssuedAt: formatTime(t.IssuedAt), ExpiresAt: formatTime(t.ExpiresAt),
	}
}

func refused(token countersign.Secret, err error) verdict {
	v := verdict{Reason: countersign.ReasonOf(err), Message: countersign.MessageOf(err)}
	if says, err := verify.ParseUnverified(token.Reveal()); err == nil {
		v.Claimed = &claimed{Issuer: says.Issuer, Subject: says.Subject, Audience: says.Audience, ExpiresAt: formatTime(says.ExpiresAt)}
	}
	return v
}

func (c *verifyCommand) print(p *Process, v verdict) error {
	if !v.Valid {
		_, _ = fmt.Fprintf(p.Stdout, "not valid: %s (%s)\n", v.Message, v.Reason)
		if v.Claimed != nil {
			return printFields(p.Stdout, [2]string{"it says, unproven:", ""}, [2]string{"  issuer", quote(v.Claimed.Issuer)},
				[2]string{"  subject", quote(v.Claimed.Subject)}, [2]string{"  audience", quote(strings.Join(v.Claimed.Audience, " "))},
				[2]string{"  expires", v.Claimed.ExpiresAt})
		}
		return nil
	}
	audience := strings.Join(v.Audience, " ")
	if c.Audience == "" {
		audience += "  (not judged: name yours with --audience)"
	}
	_, _ = fmt.Fprintln(p.Stdout, "valid")
	return printFields(p.Stdout, [2]string{"service", v.Service}, [2]string{"user", v.User}, [2]string{"issuer", v.Issuer},
		[2]string{"audience", audience}, [2]string{"scopes", strings.Join(v.Scopes, " ")}, [2]string{"tenant", v.Tenant},
		[2]string{"token id", v.TokenID}, [2]string{"issued", v.IssuedAt}, [2]string{"expires", v.ExpiresAt},
		[2]string{"revocation", v.Revocation})
}

func quote(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%q", text)
}

// metadata is what the command needs of the server's discovery document.
type metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
}

// discover asks the server that the user named who it is. A verifier never does that
// (its issuers are configured); here the user's own word is the configuration.
func discover(ctx context.Context, base string) (metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	base = strings.TrimRight(base, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/.well-known/oauth-authorization-server", http.NoBody)
	if err != nil {
		return metadata{}, usageError{"--server: " + err.Error()}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		return metadata{}, countersign.WrapError(countersign.Unavailable, "", "no server: start countersign serve", err)
	}
	defer func() { _ = response.Body.Close() }()
	var m metadata
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err == nil && response.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || response.StatusCode != http.StatusOK || m.Issuer == "" {
		return metadata{}, countersign.WrapError(countersign.Upstream, "", fmt.Sprintf("%s is no Countersign server (HTTP %d)", base, response.StatusCode), err)
	}
	// The keys are fetched from where we asked, not from where the issuer's name leads:
	// on the server's machine its public name may not be reachable.
	m.JWKSURI = base + "/.well-known/jwks.json"
	return m, nil
}
