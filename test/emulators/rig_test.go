//go:build clients

package emulators

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/countersign/countersign/test/foreign"
)

func TestMain(m *testing.M) { foreign.Main(m) }

const region = "us-east-1"

// rig is a Cognito and, in moto's case, an SSM.
type rig struct {
	url     string
	cognito *cognitoidentityprovider.Client
	ssm     *ssm.Client
	pool    string
}

// newRig makes a pool at the Cognito of one emulator, with the SSM of another.
func newRig(t *testing.T, cognitoURL, ssmURL string, adminOnly bool) *rig {
	t.Helper()
	cfg := aws.Config{Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")}
	r := &rig{
		url:     cognitoURL,
		cognito: cognitoidentityprovider.NewFromConfig(cfg, func(o *cognitoidentityprovider.Options) { o.BaseEndpoint = &cognitoURL }),
		ssm:     ssm.NewFromConfig(cfg, func(o *ssm.Options) { o.BaseEndpoint = &ssmURL }),
	}
	made, err := r.cognito.CreateUserPool(t.Context(), &cognitoidentityprovider.CreateUserPoolInput{
		PoolName:              aws.String("services"),
		AdminCreateUserConfig: &types.AdminCreateUserConfigType{AllowAdminCreateUserOnly: adminOnly},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.pool = *made.UserPool.Id
	return r
}

// seed runs countersign cognito seed in a folder.
func (r *rig) seed(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	environ := foreign.Environ("AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER="+r.url, "AWS_ENDPOINT_URL_SSM="+*r.ssm.Options().BaseEndpoint)
	command := foreign.Countersign(t, environ, append([]string{"cognito", "seed", "--user-pool-id", r.pool, "--region", region, "--output", "json"}, args...)...)
	command.Dir = folder
	return command
}

type seeded struct {
	UserPoolID string `json:"user_pool_id"`
	ClientID   string `json:"client_id"`
	DryRun     bool   `json:"dry_run"`
	Steps      []struct{ Action, Target string }
}

func (r *rig) mustSeed(t *testing.T, folder string, args ...string) (seeded, []string) {
	t.Helper()
	out := foreign.Output(t, r.seed(t, folder, args...))
	var result seeded
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	steps := make([]string, len(result.Steps))
	for i, s := range result.Steps {
		steps[i] = s.Action + " " + s.Target
	}
	return result, steps
}

// refuse runs a seed that must be refused, and changes nothing.
func (r *rig) refuse(t *testing.T, code int, args ...string) string {
	t.Helper()
	folder := t.TempDir()
	out, errOut, err := foreign.Try(r.seed(t, folder, args...))
	var exit *exec.ExitError
	if !asExit(err, &exit) || exit.ExitCode() != code {
		t.Errorf("seed %v: %v, want exit code %d\n%s%s", args, err, code, out, errOut)
	}
	if strings.Contains(out, "\"action\"") {
		t.Errorf("seed %v was refused after steps: %s", args, out)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("seed %v was refused and left %v", args, left)
	}
	return errOut
}

func asExit(err error, target **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError) //nolint:errorlint // exec returns it bare
	*target = e
	return ok
}

func (r *rig) parameter(t *testing.T, name string) string {
	t.Helper()
	out, err := r.ssm.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	if out.Parameter.Type != "SecureString" {
		t.Errorf("%s is a %s", name, out.Parameter.Type)
	}
	return *out.Parameter.Value
}

const prefix = "/countersign/cognito/document-service/"

// envrc reads the variables of an .envrc as a shell does.
func envrc(t *testing.T, path string) map[string]string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %o", path, info.Mode().Perm())
	}
	out := foreign.Output(t, foreign.Command(t, nil, "/bin/sh", "-c", ". "+path+" && exec env"))
	values := make(map[string]string)
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[name] = value
	}
	return values
}
