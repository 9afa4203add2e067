package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

type serviceCommand struct {
	Create  serviceCreate  `cmd:"" help:"Register a service; its secret is shown once."`
	Rotate  serviceRotate  `cmd:"" help:"Make a new secret; the old one stays for a grace period."`
	Disable serviceDisable `cmd:"" help:"Lock a service out; its live tokens end."`
	Enable  serviceEnable  `cmd:"" help:"Let a disabled service in again."`
}

// secretSink is where a fresh secret goes.
type secretSink struct {
	Write string `help:"Write the secret to a new file (mode 0600) instead of showing it." placeholder:"file:PATH"`
}

// check refuses a sink that can't work, before a secret is made that nobody gets.
func (s secretSink) path() (string, error) {
	if s.Write == "" {
		return "", nil
	}
	path, ok := strings.CutPrefix(s.Write, "file:")
	if !ok || path == "" {
		return "", usageError{"--write takes file:PATH"}
	}
	return path, nil
}

// reserve makes the file, empty, so that a taken path fails before the server acts.
func (s secretSink) reserve() (*os.File, error) {
	path, err := s.path()
	if err != nil || path == "" {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, countersign.NewError(countersign.Conflict, "", path+" exists already: a secret never replaces a file")
	} else if err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
	}
	return file, nil
}

// deliver runs make with a reserved file and gives the secret out: into it, else by show,
// which tells of everything else too. Without a secret the file is taken away again. lost is
// what to do about a secret that was made and can't be written.
func (s secretSink) deliver(lost string, make func() (countersign.Secret, error), show func(shown bool) error) error {
	file, err := s.reserve()
	if err != nil {
		return err
	}
	secret, err := make()
	if err != nil {
		if file != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
		return err
	}
	if file != nil {
		_, err := file.WriteString(secret.Reveal())
		if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
			return countersign.WrapError(countersign.Unavailable, "", lost, err)
		}
	}
	return show(file == nil)
}

// deliverCredentials is deliver for the secret of a service.
func (s secretSink) deliverCredentials(p *Process, out output, make func() (iamclient.Credentials, error)) error {
	var made iamclient.Credentials
	return s.deliver("the secret was made and could not be written: rotate again",
		func() (secret countersign.Secret, err error) {
			made, err = make()
			return made.ClientSecret, err
		},
		func(shown bool) error { return printCredentials(p, out, made, shown) })
}

func printCredentials(p *Process, out output, c iamclient.Credentials, show bool) error {
	if out.json() {
		document := map[string]any{"client_id": c.ClientID, "client_secret_expires_at": c.ClientSecretExpiresAt}
		if show {
			document["client_secret"] = c.ClientSecret.Reveal()
		}
		return printJSON(p.Stdout, document)
	}
	secret := "(in the file)"
	if show {
		secret = c.ClientSecret.Reveal()
	}
	if err := printFields(p.Stdout, [2]string{"client_id", c.ClientID}, [2]string{"client_secret", secret}); err != nil {
		return err
	}
	if show {
		_, _ = fmt.Fprintln(p.Stderr, "The secret is shown this once: keep it now.")
	}
	return nil
}

type serviceCreate struct {
	target
	output
	secretSink
	Name          string   `arg:"" help:"The service's name: its client_id."`
	Scope         []string `help:"A scope that its tokens may carry; may be repeated." placeholder:"SCOPE"`
	Audience      []string `help:"A service that it may call; may be repeated." placeholder:"NAME"`
	Tenant        string   `help:"The tenant it belongs to; none = the platform."`
	Owner         string   `help:"The label of the pipeline that owns it."`
	TokenLifetime string   `help:"How long its tokens live: 1m to 1h. Default: the server's." placeholder:"15m"`
}

// Help implements kong.HelpProvider.
func (serviceCreate) Help() string {
	return `Example:
  countersign service create document-service --scope s2s:internal --audience parse-service
  countersign service create nightly --audience document-service --write file:nightly.secret`
}

// Run implements the command.
func (c *serviceCreate) Run(ctx context.Context, p *Process) error {
	request := iamclient.CreateService{Name: c.Name, Tenant: c.Tenant, Owner: c.Owner, Scopes: c.Scope, Audiences: c.Audience}
	if c.TokenLifetime != "" {
		lifetime, err := iamclient.ParseDuration(c.TokenLifetime)
		if err != nil {
			return usageError{"--token-lifetime: " + countersign.MessageOf(err)}
		}
		request.TokenLifetime = lifetime
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	return c.deliverCredentials(p, c.output, func() (iamclient.Credentials, error) {
		credentials, err := client.CreateService(ctx, request)
		if err == nil {
			wrote(p, client, "created service "+c.Name)
		}
		return credentials, err
	})
}

type serviceRotate struct {
	target
	output
	secretSink
	Name  string `arg:"" help:"The service's name."`
	Grace string `help:"How long the old secret stays valid." default:"24h"`
	Now   bool   `help:"End the old secret at once." xor:"grace"`
}

// Help implements kong.HelpProvider.
func (serviceRotate) Help() string {
	return `A service has at most two live secrets: a third ends the oldest.

Example:
  countersign service rotate document-service --grace 24h`
}

// Run implements the command.
func (c *serviceRotate) Run(ctx context.Context, p *Process) error {
	grace, err := iamclient.ParseDuration(c.Grace)
	if err != nil {
		return usageError{"--grace: " + countersign.MessageOf(err)}
	}
	if c.Now {
		grace = 0
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	return c.deliverCredentials(p, c.output, func() (iamclient.Credentials, error) {
		credentials, err := client.RotateSecret(ctx, c.Name, iamclient.AnyRevision, time.Duration(grace))
		if err == nil {
			wrote(p, client, "rotated the secret of service "+c.Name)
		}
		return credentials, err
	})
}

type serviceDisable struct {
	target
	output
	Name string `arg:"" help:"The service's name."`
}

// Help implements kong.HelpProvider.
func (serviceDisable) Help() string {
	return `Example:
  countersign service disable document-service`
}

// Run implements the command.
func (c *serviceDisable) Run(ctx context.Context, p *Process) error {
	return changeService(ctx, p, c.target, c.output, "disabled service "+c.Name, func(client *iamclient.Client) (iamclient.Service, error) {
		return client.DisableService(ctx, c.Name, iamclient.AnyRevision)
	})
}

type serviceEnable struct {
	target
	output
	Name string `arg:"" help:"The service's name."`
}

// Help implements kong.HelpProvider.
func (serviceEnable) Help() string {
	return `Its old tokens stay dead.

Example:
  countersign service enable document-service`
}

// Run implements the command.
func (c *serviceEnable) Run(ctx context.Context, p *Process) error {
	return changeService(ctx, p, c.target, c.output, "enabled service "+c.Name, func(client *iamclient.Client) (iamclient.Service, error) {
		return client.EnableService(ctx, c.Name, iamclient.AnyRevision)
	})
}

func changeService(_ context.Context, p *Process, t target, out output, done string, change func(*iamclient.Client) (iamclient.Service, error)) error {
	client, err := t.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	service, err := change(client)
	if err != nil {
		return err
	}
	wrote(p, client, done)
	if out.json() {
		return printJSON(p.Stdout, service)
	}
	return nil
}
