package cli

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type assumeCommand struct {
	login
	s3Gateway
	Role   string `required:"" help:"The role, by its name or its ARN." placeholder:"ROLE"`
	Output string `help:"env, json or process (for credential_process in an AWS config file)." default:"env" enum:"env,json,process"`
}

// Help implements kong.HelpProvider.
func (assumeCommand) Help() string {
	return loginHelp + `
With --output env it also says where the credentials are good: our STS and, where it is
known, our S3 gateway; and a region. AWS CLIs before 2.13 and 1.29 and boto3 before 1.28 do not read that,
and need --endpoint-url or countersign exec.

Example:
  eval "$(countersign assume --role document-writer --web-identity-token-file token.jwt)"
  COUNTERSIGN_CLIENT_SECRET_FILE=nightly.secret countersign assume --service nightly --role document-writer --output json
  countersign assume --role document-writer --aws-identity --server https://auth.example.com
  countersign token --service nightly --audience sts | countersign assume --role document-writer --web-identity-token-file -

In an AWS config file:
  credential_process = countersign assume --role document-writer --web-identity-token-file /run/token.jwt --output process`
}

// Run implements the command.
func (c *assumeCommand) Run(ctx context.Context, p *Process) error {
	session, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer session.close()
	provider, arn, err := session.assume(c.Role)
	if err != nil {
		return err
	}
	credentials, err := provider.Retrieve(ctx)
	if err != nil {
		return err
	}
	if c.Output != "env" {
		return printCredentialsAs(p, c.Output, credentials, arn)
	}
	endpoints, err := c.endpoints(p, c.login, session.sts)
	if err != nil {
		return err
	}
	if err := printCredentialsAs(p, c.Output, credentials, arn); err != nil {
		return err
	}
	return printVariables(p, endpoints)
}

func printVariables(p *Process, variables [][2]string) error {
	for _, pair := range variables {
		if _, err := fmt.Fprintf(p.Stdout, "export %s=%s\n", pair[0], shellWord(pair[1])); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// awsCredentials is what json and process print.
//
// Source: AWS SDKs and Tools reference, "Process credential provider".
type awsCredentials struct {
	Version         int    `json:"Version,omitempty"`
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
	Expiration      string `json:"Expiration"`
	RoleARN         string `json:"RoleArn,omitempty"`
}

func printCredentialsAs(p *Process, form string, c aws.Credentials, arn string) error {
	document := awsCredentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Expiration: formatTime(c.Expires),
	}
	switch form {
	case "json":
		document.RoleARN = arn
		return printJSON(p.Stdout, document)
	case "process":
		document.Version = 1
		return printJSON(p.Stdout, document)
	}
	return printVariables(p, [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_SESSION_TOKEN", c.SessionToken}, {"AWS_CREDENTIAL_EXPIRATION", formatTime(c.Expires)},
	})
}
