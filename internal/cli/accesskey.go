package cli

import (
	"context"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

type accessKeyCommand struct {
	Create accessKeyCreate `cmd:"" help:"Make a long-lived key of a service for the S3 gateway; its secret is shown once."`
}

type accessKeyCreate struct {
	target
	output
	secretSink
	Name    string `arg:"" help:"What the key is called here."`
	Service string `required:"" help:"The service that signs with it." placeholder:"NAME"`
	Role    string `required:"" help:"The role that it signs as. It must trust the service." placeholder:"NAME"`
	Expires string `help:"How long it lives: 1h to 366d." default:"90d" placeholder:"90d"`
}

// Help implements kong.HelpProvider.
func (accessKeyCreate) Help() string {
	return `For programs that can hold a pair of keys and nothing else. Whatever can get temporary
credentials (countersign exec, the agent, AWS's SDKs) is better off with those.

It ends with its time, with delete access-key, with revoke session AKIA…, and with its
service, its role and the trust statement between them.

Example:
  countersign access-key create nightly-backup --service backup --role backup-writer
  countersign access-key create nightly-backup --service backup --role backup-writer --expires 30d --write file:secret`
}

// Run implements the command.
func (c *accessKeyCreate) Run(ctx context.Context, p *Process) error {
	lifetime, err := iamclient.ParseDuration(c.Expires)
	if err != nil {
		return usageError{"--expires: " + countersign.MessageOf(err)}
	}
	if lifetime == 0 { // which would be the server's default
		return usageError{"--expires: an access key lives from 1 hour to 366 days"}
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	var made iamclient.AccessKeyCredentials
	return c.deliver("the secret was made and could not be written: delete access-key "+c.Name+", and create it again",
		func() (countersign.Secret, error) {
			made, err = client.CreateAccessKey(ctx, iamclient.CreateAccessKey{Name: c.Name, Service: c.Service, Role: c.Role, ExpiresIn: lifetime})
			if err == nil {
				wrote(p, client, "created access key "+c.Name+" of service "+c.Service+" for role "+c.Role)
			}
			return made.SecretAccessKey, err
		},
		func(shown bool) error { return printAccessKey(p, c.output, made, shown) })
}

func printAccessKey(p *Process, out output, k iamclient.AccessKeyCredentials, show bool) error {
	if out.json() {
		document := map[string]any{"access_key_id": k.AccessKeyID, "expires_at": k.ExpiresAt}
		if show {
			document["secret_access_key"] = k.SecretAccessKey.Reveal()
		}
		return printJSON(p.Stdout, document)
	}
	secret := "(in the file)"
	if show {
		secret = k.SecretAccessKey.Reveal()
	}
	err := printFields(p.Stdout, [2]string{"access_key_id", k.AccessKeyID}, [2]string{"secret_access_key", secret},
		[2]string{"expires_at", formatTime(k.ExpiresAt)})
	if err == nil && show {
		_, _ = fmt.Fprintln(p.Stderr, "The secret is shown this once: keep it now.")
	}
	return err
}
