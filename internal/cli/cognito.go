package cli

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/cognitoseed"
)

type cognitoCommand struct {
	Seed cognitoSeed `cmd:"" help:"Make accounts of services in a Cognito user pool."`
}

// cognitoSeedTime bounds a whole seed.
const cognitoSeedTime = 5 * time.Minute

type cognitoSeed struct {
	Services        []string `arg:"" name:"service" help:"The services; each gets the account service-NAME."`
	UserPoolID      string   `required:"" help:"The user pool; it must exist." placeholder:"ID"`
	ClientName      string   `help:"The app client that services sign in through; made if it is missing." default:"countersign-services"`
	ClientID        string   `help:"The app client by its id, where several have that name." placeholder:"ID"`
	ParameterPrefix string   `help:"Where the parameters are: PREFIX/SERVICE/username, password, client_id, client_secret." default:"/countersign/cognito" placeholder:"PREFIX"`
	KMSKeyID        string   `name:"kms-key-id" help:"The key of the parameters. Default: the account's key for the Parameter Store." placeholder:"KEY"`
	Envrc           string   `help:"The file that gets the service's environment (mode 0600); {service} in it is replaced; none for none." default:".envrc" placeholder:"FILE"`
	Region          string   `help:"The AWS region. Default: the user pool's." placeholder:"REGION"`
	EndpointURL     string   `help:"Another Cognito and SSM than AWS's: an emulator." placeholder:"URL"`
	Rotate          bool     `help:"Give the accounts new passwords."`
	SignOut         bool     `help:"With --rotate: end what they are signed in with, too."`
	DryRun          bool     `help:"Say what would be done, and do nothing."`
	output
}

// Help implements kong.HelpProvider.
func (cognitoSeed) Help() string {
	return `Makes the pool's attribute custom:service_id, an app client whose users can't write it,
and one account a service with a random password. User name, password and client go to
the SSM Parameter Store as SecureStrings and into an .envrc. What is there already stays;
a pool with an app client whose users could write custom:service_id is refused. The
credentials are those of AWS's own tools.

Example:
  countersign cognito seed --user-pool-id us-east-1_AbCdEf012 document-service --dry-run
  countersign cognito seed --user-pool-id us-east-1_AbCdEf012 document-service
  countersign cognito seed --user-pool-id us-east-1_AbCdEf012 --envrc 'services/{service}/.envrc' document-service parse-service
  countersign cognito seed --user-pool-id us-east-1_AbCdEf012 --rotate document-service`
}

// poolRegion is the region that a user pool's id begins with.
var poolRegion = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{1,16}){1,3}-[0-9]{1,2}$`)

// Run implements the command.
func (c *cognitoSeed) Run(ctx context.Context, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, cognitoSeedTime)
	defer cancel()
	cfg, err := c.awsConfig(ctx)
	if err != nil {
		return err
	}
	envrc := c.Envrc
	if envrc == "none" {
		envrc = ""
	}
	result, err := cognitoseed.Run(ctx, cognitoseed.Config{
		UserPoolID: c.UserPoolID, ClientName: c.ClientName, ClientID: c.ClientID, Services: c.Services,
		ParameterPrefix: c.ParameterPrefix, KMSKeyID: c.KMSKeyID, Envrc: envrc, Region: cfg.Region,
		Rotate: c.Rotate, SignOut: c.SignOut, DryRun: c.DryRun,
		Cognito: cognitoidentityprovider.NewFromConfig(cfg), Parameters: ssm.NewFromConfig(cfg),
	})
	if printErr := c.print(p.Stdout, result); err == nil {
		err = printErr
	}
	return err
}

func (c *cognitoSeed) awsConfig(ctx context.Context) (aws.Config, error) {
	region := c.Region
	if prefix, _, _ := strings.Cut(c.UserPoolID, "_"); region == "" && poolRegion.MatchString(prefix) {
		region = prefix
	}
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(region)}
	if c.EndpointURL != "" {
		if err := egress.CheckURL(c.EndpointURL); err != nil {
			return aws.Config{}, usageError{"--endpoint-url is an https URL, or http on loopback: passwords travel to it"}
		}
		options = append(options, awsconfig.WithBaseEndpoint(c.EndpointURL))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, countersign.WrapError(countersign.Invalid, "", "the configuration of AWS's tools can't be read", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, usageError{"the user pool's id names no region: say it with --region"}
	}
	return cfg, nil
}

// print says what was done even if the run broke off.
func (c *cognitoSeed) print(w io.Writer, r cognitoseed.Result) error {
	if c.json() {
		return printJSON(w, r)
	}
	prefix := ""
	if r.DryRun {
		prefix = "would "
	}
	for _, step := range r.Steps {
		if _, err := fmt.Fprintf(w, "%s%s %s\n", prefix, step.Action, step.Target); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if len(r.Steps) == 0 && r.UserPoolID != "" {
		_, _ = fmt.Fprintln(w, "nothing to do")
	}
	return nil
}
