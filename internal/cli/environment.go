package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// foreignVariables would give the command other credentials than those of the role, or let
// it ignore where to go.
var foreignVariables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
	"AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_SDK_LOAD_CONFIG",
}

// environment is that of a command: ours, with changes.
type environment struct {
	kept    []string
	changes map[string]string
}

func newEnvironment(environ []string) *environment {
	e := &environment{changes: make(map[string]string)}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !slices.Contains(foreignVariables, name) {
			e.kept = append(e.kept, entry)
		}
	}
	return e
}

func (e *environment) set(name, value string) { e.changes[name] = value }

// list returns NAME=VALUE, each name once.
func (e *environment) list() []string {
	var list []string
	for _, entry := range e.kept {
		name, _, _ := strings.Cut(entry, "=")
		if _, changed := e.changes[name]; !changed {
			list = append(list, entry)
		}
	}
	for name, value := range e.changes {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

func (e *environment) setStatic(c aws.Credentials) {
	e.set("AWS_ACCESS_KEY_ID", c.AccessKeyID)
	e.set("AWS_SECRET_ACCESS_KEY", c.SecretAccessKey)
	e.set("AWS_SESSION_TOKEN", c.SessionToken)
	e.set("AWS_CREDENTIAL_EXPIRATION", formatTime(c.Expires))
}

// awsRegion is what may stand in a config file for a region.
var awsRegion = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// awsRegionOf is the region that was asked for, else that of the environment, else the one
// that every client takes. Both variables are needed: an AWS CLI reads the second alone.
//
// Errors: usageError.
func awsRegionOf(p *Process, region string) (string, error) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = p.getenv(name)
		}
	}
	if region == "" {
		return "us-east-1", nil
	}
	if !awsRegion.MatchString(region) {
		return "", usageError{"--region, or AWS_REGION, is the name of an AWS region"}
	}
	return region, nil
}

// environment is the command's, but for the credentials. Its files are in folder.
//
// Errors: usageError, countersign.Unavailable.
func (c *execCommand) environment(p *Process, s *session, folder string) (*environment, error) {
	e := newEnvironment(p.Environ)
	region, err := awsRegionOf(p, c.Region)
	if err != nil {
		return nil, err
	}
	e.set("AWS_REGION", region)
	e.set("AWS_DEFAULT_REGION", region)
	// No machine's own role in place of ours, should the endpoint ever be gone.
	e.set("AWS_EC2_METADATA_DISABLED", "true")
	config, credentials := filepath.Join(folder, "config"), filepath.Join(folder, "credentials")
	text := "[default]\nregion = " + region + "\n"
	if !c.AWSEndpoints {
		text += "s3 =\n    signature_version = s3v4\n    addressing_style = path\n"
		if err := c.setEndpoints(p, s, e, folder); err != nil {
			return nil, err
		}
	}
	for path, text := range map[string]string{config: text, credentials: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, countersign.WrapError(countersign.Unavailable, "", "there is no place for the command's files", err)
		}
	}
	e.set("AWS_CONFIG_FILE", config)
	e.set("AWS_SHARED_CREDENTIALS_FILE", credentials)
	return e, nil
}

// setEndpoints sends the command to us. What is not named goes to the STS too, which
// refuses it: AWS is no place for a session token of ours.
func (c *execCommand) setEndpoints(p *Process, s *session, e *environment, folder string) error {
	gateway, err := c.gateway(p, c.login)
	if err != nil {
		return err
	}
	e.set("AWS_ENDPOINT_URL", s.sts)
	e.set("AWS_ENDPOINT_URL_STS", s.sts)
	if gateway != "" {
		e.set("AWS_ENDPOINT_URL_S3", gateway)
	}
	return e.setOldEndpoints(folder, s.sts, gateway)
}

// s3Gateway is embedded in the commands whose credentials are for S3.
type s3Gateway struct {
	S3           string `name:"s3" help:"The S3 gateway. Default: COUNTERSIGN_S3_URL, then the server's." placeholder:"URL"`
	AWSEndpoints bool   `name:"aws-endpoints" help:"Leave AWS's own endpoints: the role brokers credentials of the real AWS."`
}

// endpoints says to a shell where credentials of ours are good, and a region: without them a
// program takes them to AWS, or asks for a region. Nothing with --aws-endpoints.
//
// Errors: usageError.
func (g s3Gateway) endpoints(p *Process, l login, sts string) ([][2]string, error) {
	if g.AWSEndpoints {
		return nil, nil
	}
	at, err := g.gateway(p, l)
	if err != nil {
		return nil, err
	}
	region, err := awsRegionOf(p, "")
	if err != nil {
		return nil, err
	}
	variables := [][2]string{{"AWS_ENDPOINT_URL_STS", sts}}
	if at != "" {
		variables = append(variables, [2]string{"AWS_ENDPOINT_URL_S3", at})
	}
	return append(variables, [2]string{"AWS_REGION", region}, [2]string{"AWS_DEFAULT_REGION", region}), nil
}

// gateway is the URL of the S3 gateway; "" = there is none. Only a server of this machine is
// asked where it is.
func (g s3Gateway) gateway(p *Process, l login) (string, error) {
	at := g.S3
	if at == "" {
		at = p.getenv("COUNTERSIGN_S3_URL")
	}
	if at != "" {
		if err := egress.CheckURL(at); err != nil {
			return "", usageError{"--s3: " + countersign.MessageOf(err)}
		}
		return at, nil
	}
	where, err := l.place(p)
	if err != nil || where.url != "" || l.STS != "" {
		return "", err
	}
	var listen struct {
		URL string `json:"s3_url"`
	}
	body, err := os.ReadFile(filepath.Join(where.folder, "listen.json"))
	if err != nil || json.Unmarshal(body, &listen) != nil {
		return "", nil //nolint:nilerr // this server has none
	}
	return listen.URL, nil
}
