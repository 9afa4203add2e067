//go:build clients

// Package emulators lets the real program talk to doubles of AWS, and of an identity
// provider, that nobody here wrote: moto, cognito-local and oidc-provider.
package emulators

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/countersign/countersign/test/foreign"
)

func TestSeedAtMoto(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, moto, moto, true)
	folder := t.TempDir()

	planned, plan := r.mustSeed(t, folder, "--dry-run", "document-service")
	want := []string{
		"add attribute custom:service_id", "create client countersign-services", "create account service-document-service",
		"put parameter " + prefix + "username", "put parameter " + prefix + "password",
		"put parameter " + prefix + "client_id", "put parameter " + prefix + "client_secret",
		"set password service-document-service", "write file .envrc",
	}
	if !slices.Equal(plan, want) || !planned.DryRun || planned.ClientID != "" {
		t.Errorf("dry run: %+v", planned)
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Errorf("the dry run left %v", left)
	}

	done, steps := r.mustSeed(t, folder, "document-service")
	if !slices.Equal(steps, want) || done.ClientID == "" {
		t.Errorf("first run: %+v", done)
	}
	r.checkClient(t, done.ClientID)
	r.checkSignIn(t, filepath.Join(folder, ".envrc"))

	if _, again := r.mustSeed(t, folder, "document-service"); len(again) > 0 {
		t.Errorf("second run: %v", again)
	}
	if _, again := r.mustSeed(t, folder, "document-service", "--dry-run"); len(again) > 0 {
		t.Errorf("dry run afterwards: %v", again)
	}
	old := r.parameter(t, prefix+"password")
	_, rotated := r.mustSeed(t, folder, "document-service", "--rotate")
	if !slices.Equal(rotated, []string{"put parameter " + prefix + "password", "set password service-document-service", "write file .envrc"}) {
		t.Errorf("rotation: %v", rotated)
	}
	if r.parameter(t, prefix+"password") == old {
		t.Error("the rotated password is the old one")
	}
	r.checkSignIn(t, filepath.Join(folder, ".envrc"))
}

// checkClient looks at the app client as Cognito has it.
func (r *rig) checkClient(t *testing.T, id string) {
	t.Helper()
	out, err := r.cognito.DescribeUserPoolClient(t.Context(), &cognitoidentityprovider.DescribeUserPoolClientInput{UserPoolId: &r.pool, ClientId: &id})
	if err != nil {
		t.Fatal(err)
	}
	c := out.UserPoolClient
	if len(c.WriteAttributes) == 0 || slices.Contains(c.WriteAttributes, "custom:service_id") || !slices.Contains(c.ReadAttributes, "custom:service_id") {
		t.Errorf("attributes: write %v, read %v", c.WriteAttributes, c.ReadAttributes)
	}
	if aws.ToString(c.ClientSecret) == "" || !slices.Contains(c.ExplicitAuthFlows, types.ExplicitAuthFlowsTypeAllowUserPasswordAuth) {
		t.Errorf("secret or flow: %v", c.ExplicitAuthFlows)
	}
}

// checkSignIn uses what the .envrc and the Parameter Store say.
func (r *rig) checkSignIn(t *testing.T, path string) {
	t.Helper()
	values := envrc(t, path)
	for name, parameter := range map[string]string{
		"COUNTERSIGN_COGNITO_USERNAME": "username", "COUNTERSIGN_COGNITO_PASSWORD": "password",
		"COUNTERSIGN_COGNITO_CLIENT_ID": "client_id", "COUNTERSIGN_COGNITO_CLIENT_SECRET": "client_secret",
	} {
		if stored := r.parameter(t, prefix+parameter); values[name] != stored || stored == "" {
			t.Errorf("%s differs from %s", name, prefix+parameter)
		}
	}
	if values["COUNTERSIGN_COGNITO_USER_POOL_ID"] != r.pool || values["COUNTERSIGN_COGNITO_REGION"] != region {
		t.Errorf("pool and region: %s %s", values["COUNTERSIGN_COGNITO_USER_POOL_ID"], values["COUNTERSIGN_COGNITO_REGION"])
	}
	user, err := r.cognito.AdminGetUser(t.Context(), &cognitoidentityprovider.AdminGetUserInput{UserPoolId: &r.pool, Username: aws.String("service-document-service")})
	if err != nil {
		t.Fatal(err)
	}
	if user.UserStatus != types.UserStatusTypeConfirmed || !slices.ContainsFunc(user.UserAttributes, func(a types.AttributeType) bool {
		return *a.Name == "custom:service_id" && *a.Value == "document-service"
	}) {
		t.Errorf("the account: %s %+v", user.UserStatus, user.UserAttributes)
	}
}

// TestSeedCompletesWhatBrokeOff undoes single steps, as a run that ended early leaves
// them, and seeds again.
func TestSeedCompletesWhatBrokeOff(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, moto, moto, true)
	folder := t.TempDir()
	r.mustSeed(t, folder, "document-service")
	username := "service-document-service"
	path := filepath.Join(folder, ".envrc")

	// The password that is stored is not the account's.
	if _, err := r.cognito.AdminSetUserPassword(t.Context(), &cognitoidentityprovider.AdminSetUserPasswordInput{
		UserPoolId: &r.pool, Username: &username, Password: aws.String("Other-password-1"), Permanent: true,
	}); err != nil {
		t.Fatal(err)
	}
	if _, steps := r.mustSeed(t, folder, "document-service"); !slices.Equal(steps, []string{"set password " + username}) {
		t.Errorf("another password: %v", steps)
	}
	// The account has no password yet, and the file is not there.
	if _, err := r.cognito.AdminDeleteUser(t.Context(), &cognitoidentityprovider.AdminDeleteUserInput{UserPoolId: &r.pool, Username: &username}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.cognito.AdminCreateUser(t.Context(), &cognitoidentityprovider.AdminCreateUserInput{
		UserPoolId: &r.pool, Username: &username, MessageAction: types.MessageActionTypeSuppress,
		UserAttributes: []types.AttributeType{{Name: aws.String("custom:service_id"), Value: aws.String("document-service")}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, steps := r.mustSeed(t, folder, "document-service"); !slices.Equal(steps, []string{"set password " + username, "write file .envrc"}) {
		t.Errorf("no password yet: %v", steps)
	}
	r.checkSignIn(t, path)
	// The stored password is gone: only a rotation may replace it.
	if _, err := r.ssm.DeleteParameter(t.Context(), &ssm.DeleteParameterInput{Name: aws.String(prefix + "password")}); err != nil {
		t.Fatal(err)
	}
	r.refuse(t, 1, "document-service")
	r.mustSeed(t, folder, "document-service", "--rotate", "--sign-out")
	r.checkSignIn(t, path)
}

func TestSeedKeepsTheRestOfAnEnvrc(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, moto, moto, true)
	folder := t.TempDir()
	path := filepath.Join(folder, ".envrc")
	if err := os.WriteFile(path, []byte("export BEFORE=1"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.mustSeed(t, folder, "document-service")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("export AFTER=2\n"); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	r.mustSeed(t, folder, "document-service", "--rotate")
	values := envrc(t, path)
	if values["BEFORE"] != "1" || values["AFTER"] != "2" {
		t.Errorf("the file's own lines: %q %q", values["BEFORE"], values["AFTER"])
	}
	r.checkSignIn(t, path)
	// Several services, each with a folder.
	for _, name := range []string{"document-service", "parse-service"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.mustSeed(t, folder, "document-service", "parse-service", "--envrc", "{service}/.envrc")
	if got := envrc(t, filepath.Join(folder, "parse-service", ".envrc"))["COUNTERSIGN_COGNITO_USERNAME"]; got != "service-parse-service" {
		t.Errorf("parse-service: %q", got)
	}
}

// TestVulnerabilityServiceIDIsWritable: wire §1.4: whoever may write custom:service_id is
// every service.
func TestVulnerabilityServiceIDIsWritable(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	tests := map[string]struct {
		adminOnly bool
		client    cognitoidentityprovider.CreateUserPoolClientInput
		refused   bool
	}{
		"ours lets it be written": {true, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("countersign-services"), WriteAttributes: []string{"nickname", "custom:service_id"}}, true},
		"ours says nothing": {true, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("countersign-services")}, true},
		"another lets it be written where people sign up": {false, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("web"), WriteAttributes: []string{"custom:service_id"}}, true},
		"another says nothing where people sign up": {false, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("web")}, true},
		"another can't write what never changes": {true, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("web")}, false},
		"ours is right": {false, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("countersign-services"), WriteAttributes: []string{"nickname"}}, false},
		"ours has no secret": {true, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("countersign-services"), WriteAttributes: []string{"nickname"}, ExplicitAuthFlows: []types.ExplicitAuthFlowsType{"ALLOW_USER_PASSWORD_AUTH"}}, true},
		"ours has another flow": {true, cognitoidentityprovider.CreateUserPoolClientInput{
			ClientName: aws.String("countersign-services"), WriteAttributes: []string{"nickname"}, ExplicitAuthFlows: []types.ExplicitAuthFlowsType{"ALLOW_USER_SRP_AUTH"}}, true},
	}
	for name, test := range tests {
		r := newRig(t, moto, moto, test.adminOnly)
		test.client.UserPoolId = &r.pool
		test.client.GenerateSecret = name != "ours has no secret"
		if test.client.ExplicitAuthFlows == nil {
			test.client.ExplicitAuthFlows = []types.ExplicitAuthFlowsType{"ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
		}
		if _, err := r.cognito.CreateUserPoolClient(t.Context(), &test.client); err != nil {
			t.Fatal(err)
		}
		if test.refused {
			r.refuse(t, 1, "document-service")
		} else {
			_, _, err := foreign.Try(r.seed(t, t.TempDir(), "document-service", "--dry-run"))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSeedRefuses(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, moto, moto, true)
	for _, args := range [][]string{
		{"Document"}, {"a", "a"}, {"a", "b"}, {"a", "--parameter-prefix", "no-slash"}, {"a", "--client-id", "unknown"},
		{"a", "--sign-out"}, {"a", "--envrc", "missing/.envrc"}, {"a", "--client-name", ""},
	} {
		r.refuse(t, 1, args...)
	}
	r.refuse(t, 2)
	r.refuse(t, 2, "a", "--endpoint-url", "http://example.com")
	gone := *r
	gone.pool = "us-east-1_notthere"
	gone.refuse(t, 1, "a")
	// An account of that name which someone else made.
	if _, err := r.cognito.AdminCreateUser(t.Context(), &cognitoidentityprovider.AdminCreateUserInput{
		UserPoolId: &r.pool, Username: aws.String("service-taken"), MessageAction: types.MessageActionTypeSuppress,
	}); err != nil {
		t.Fatal(err)
	}
	r.refuse(t, 1, "taken")
	// A parameter that is there in clear.
	if _, err := r.ssm.PutParameter(t.Context(), &ssm.PutParameterInput{
		Name: aws.String("/countersign/cognito/clear/password"), Value: aws.String("x"), Type: "String",
	}); err != nil {
		t.Fatal(err)
	}
	r.refuse(t, 1, "clear")
	// A link where the file should be.
	folder := t.TempDir()
	if err := os.Symlink(filepath.Join(folder, "elsewhere"), filepath.Join(folder, ".envrc")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := foreign.Try(r.seed(t, folder, "linked")); err == nil {
		t.Error("the secrets went through a link")
	}
}

// TestSeedAtCognitoLocal uses another emulator of Cognito, with the SSM of moto.
func TestSeedAtCognitoLocal(t *testing.T) {
	t.Parallel()
	moto := foreign.Moto(t)
	r := newRig(t, foreign.CognitoLocal(t), moto, true)
	folder := t.TempDir()
	done, _ := r.mustSeed(t, folder, "document-service")
	r.checkClient(t, done.ClientID)
	r.checkSignIn(t, filepath.Join(folder, ".envrc"))
	if _, again := r.mustSeed(t, folder, "document-service"); len(again) > 0 {
		t.Errorf("second run: %v", again)
	}
}
