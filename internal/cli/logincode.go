package cli

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/iamclient"
)

type loginCodeCommand struct {
	target
	output
}

// Help implements kong.HelpProvider.
func (loginCodeCommand) Help() string {
	return `On the server's own machine: prints a code that is good for one login from another machine,
for an hour. Who logs in by it administers the platform, for 12 hours.

Example:
  countersign login-code`
}

// Run implements the command.
func (c *loginCodeCommand) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	code, err := client.CreateLoginCode(ctx)
	if err != nil {
		return err
	}
	wrote(p, client, "made a login code, good for one login until "+formatTime(code.ExpiresAt))
	if c.json() {
		text, err := code.RevealJSON()
		if err == nil {
			_, err = fmt.Fprintf(p.Stdout, "%s\n", text)
		}
		return err
	}
	if _, err := fmt.Fprintln(p.Stdout, code.Code.Reveal()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	_, _ = fmt.Fprintln(p.Stderr, "there: countersign login --server URL --context NAME")
	return nil
}

type loginCommand struct {
	Server  string `help:"The server's URL. Default: that of the context." placeholder:"URL"`
	Context string `help:"The name to give to the server here." placeholder:"NAME" required:""`
	Code    string `help:"The code of countersign login-code, or - for stdin. Default: it is asked for." placeholder:"CODE"`
	Device  bool   `help:"Log in as yourself, at your own issuer, on any device."`
	Issuer  string `help:"The Issuer document to log in with, for --device. Default: the only one of the platform that lets you." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (loginCommand) Help() string {
	return `Makes a key on this machine and has the server take it for an administrator's, by a code that
countersign login-code printed there. Each request is signed with that key; it lies in the
config folder, for you alone, and no token does. The login ends after 12 hours, or with
countersign logout.

With --device you log in as yourself at the issuer that the server names, in a browser anywhere
(RFC 8628). What you may do then, your roles say.

Example:
  countersign login --server https://auth.example.com --context production
  countersign login --server https://auth.example.com --context production --device`
}

// Run implements the command.
func (c *loginCommand) Run(ctx context.Context, p *Process) error {
	if !countersign.ValidName(c.Context) {
		return usageError{"a context is named like a service: a-z, 0-9 and -"}
	}
	server, err := c.server(p)
	if err != nil {
		return err
	}
	if c.Issuer != "" && !c.Device || c.Device && c.Code != "" {
		return usageError{"--issuer belongs to --device, and --code does not"}
	}
	client, err := iamclient.New(iamclient.Config{BaseURL: server})
	if err != nil {
		return err
	}
	defer client.Close()
	if c.Device {
		return c.device(ctx, p, client, server)
	}
	code, err := c.code(p)
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	label, _ := os.Hostname()
	in, err := client.Login(ctx, code, iamclient.Login{PublicKey: public, Label: printableLabel(label)})
	if err != nil {
		return err
	}
	login := storedLogin{Server: server, Issuer: in.Issuer, ID: in.ID, Seed: private.Seed(), ExpiresAt: in.ExpiresAt}
	if err := errors.Join(writeLogin(p, c.Context, login), nameServer(p, c.Context, server)); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.Stderr, "logged in to %s as login %s, until %s\n", printable(server), printable(in.ID), formatTime(in.ExpiresAt))
	return nil
}

// device logs the user in at their own issuer, and asks the server who that is before
// anything is kept.
func (c *loginCommand) device(ctx context.Context, p *Process, client *iamclient.Client, server string) error {
	ways, err := client.WaysToLogin(ctx, c.Issuer)
	if err != nil {
		return err
	}
	at, err := choose(ways, c.Issuer)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.Stderr, "you log in at %s, and %s sees the token that it gives you\n", printable(at.Issuer), printable(server))
	device := newDeviceLogin(p.Stderr)
	user, err := device.run(ctx, at)
	if err != nil {
		return err
	}
	login := storedLogin{Server: server, User: &user}
	source := &userSource{process: p, context: c.Context, login: login, device: device}
	asUser, err := iamclient.New(iamclient.Config{BaseURL: server, HTTPClient: &http.Client{
		Transport: &bearerTransport{base: remoteTransport(), source: source},
		// The token is for this server alone, as in remote.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		return err
	}
	defer asUser.Close()
	who, err := asUser.Me(ctx)
	if err != nil {
		return fmt.Errorf("the server does not take the token of %s: %w", printable(at.Issuer), err)
	}
	if err := errors.Join(writeLogin(p, c.Context, login), nameServer(p, c.Context, server)); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.Stderr, "logged in to %s as %s, with the roles: %s\n", printable(server), printable(who.Subject), printable(strings.Join(who.Roles, " ")))
	return nil
}

// server is the URL to log in to.
func (c *loginCommand) server(p *Process) (string, error) {
	server := c.Server
	if server == "" {
		contexts, err := readContexts(p)
		if err != nil {
			return "", err
		}
		if server = contexts.Contexts[c.Context].Server; server == "" {
			return "", usageError{"say where: --server URL"}
		}
	}
	if err := egress.CheckURL(server); err != nil {
		return "", usageError{"--server: " + countersign.MessageOf(err)}
	}
	return server, nil
}

// code is what the user was given.
func (c *loginCommand) code(p *Process) (countersign.Secret, error) {
	if c.Code != "" && c.Code != "-" {
		return countersign.NewSecret(c.Code), nil
	}
	if c.Code == "" && p.Terminal {
		_, _ = fmt.Fprint(p.Stderr, "code: ")
		line, err := bufio.NewReader(io.LimitReader(p.Stdin, maxAnswer)).ReadString('\n')
		if err != nil {
			return countersign.Secret{}, countersign.NewError(countersign.Invalid, countersign.ReasonTokenMissing, "no code was given")
		}
		return secretArgument(p, line)
	}
	return secretArgument(p, "-")
}

// printableLabel is what a server takes as a label.
func printableLabel(name string) string {
	const most = 64
	name = printable(name)
	if len(name) > most {
		return name[:most]
	}
	return name
}

// nameServer makes the context, and chooses it where none is in use.
func nameServer(p *Process, name, server string) error {
	return changeContexts(p, "set context "+name, func(contexts *contextFile) error {
		contexts.Contexts[name] = namedContext{Server: server}
		if contexts.Current == "" {
			contexts.Current = name
		}
		return nil
	})
}

type logoutCommand struct {
	Context string `help:"The context to log out of. Default: COUNTERSIGN_CONTEXT, then the one in use." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (logoutCommand) Help() string {
	return `Ends the login at the server and forgets its key here. Without an answer of the server the key
is forgotten all the same, and the login ends there by itself.

Example:
  countersign logout --context production`
}

// Run implements the command.
func (c *logoutCommand) Run(ctx context.Context, p *Process) error {
	contexts, err := readContexts(p)
	if err != nil {
		return err
	}
	name := c.Context
	for _, other := range []string{p.getenv("COUNTERSIGN_CONTEXT"), contexts.Current} {
		if name == "" {
			name = other
		}
	}
	if name == "" {
		return usageError{"say which: --context NAME"}
	}
	login, err := readLogin(p, name)
	if err != nil {
		return err
	}
	err = endLogin(ctx, p, name, login)
	if err := os.Remove(loginPath(p, name)); err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "the key can't be removed", err)
	}
	if err != nil && !errors.Is(err, countersign.BadToken) && !errors.Is(err, countersign.Expired) {
		return fmt.Errorf("the key is gone here, and the login ends there at %s: %w", formatTime(login.ExpiresAt), err)
	}
	_, _ = fmt.Fprintf(p.Stderr, "logged out of %s\n", printable(login.Server))
	return nil
}

// endLogin asks the server to end it.
func endLogin(ctx context.Context, p *Process, name string, login storedLogin) error {
	if _, ok := login.key(); !ok {
		return nil
	}
	quiet := *p
	quiet.Environ = nil // not as a service, nor as a user
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME"} {
		quiet.Environ = append(quiet.Environ, name+"="+p.getenv(name))
	}
	client, err := target{}.remote(&quiet, place{url: login.Server, context: name})
	if err != nil {
		return err
	}
	defer client.Close()
	return client.EndLogin(ctx, login.ID)
}
