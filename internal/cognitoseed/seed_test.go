package cognitoseed_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cip "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/cognitoseed"
)

// cloud is the smallest Cognito and Parameter Store that can break off anywhere. The
// emulators of test/emulators show that real ones are called right.
type cloud struct {
	schema     []types.SchemaAttributeType
	clients    []types.UserPoolClientType
	users      map[string]*user
	parameters map[string]string
	pool       types.UserPoolType

	writes []string
	// fail is the error of the n-th write, counted from 1.
	fail map[int]error
	// described makes what a client is described as differ from what was asked.
	described func(*types.UserPoolClientType)
	challenge types.ChallengeNameType
}

type user struct {
	attributes []types.AttributeType
	password   string
	status     types.UserStatusType
	disabled   bool
}

func newCloud() *cloud {
	return &cloud{users: make(map[string]*user), parameters: make(map[string]string)}
}

func (c *cloud) write(what string) error {
	c.writes = append(c.writes, what)
	return c.fail[len(c.writes)]
}

func refusal(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }

func (c *cloud) DescribeUserPool(context.Context, *cip.DescribeUserPoolInput, ...func(*cip.Options)) (*cip.DescribeUserPoolOutput, error) {
	pool := c.pool
	pool.SchemaAttributes = c.schema
	return &cip.DescribeUserPoolOutput{UserPool: &pool}, nil
}

func (c *cloud) AddCustomAttributes(_ context.Context, in *cip.AddCustomAttributesInput, _ ...func(*cip.Options)) (*cip.AddCustomAttributesOutput, error) {
	if err := c.write("attribute"); err != nil {
		return nil, err
	}
	for _, a := range in.CustomAttributes {
		a.Name = aws.String("custom:" + *a.Name)
		c.schema = append(c.schema, a)
	}
	return &cip.AddCustomAttributesOutput{}, nil
}

func (c *cloud) ListUserPoolClients(_ context.Context, in *cip.ListUserPoolClientsInput, _ ...func(*cip.Options)) (*cip.ListUserPoolClientsOutput, error) {
	out := &cip.ListUserPoolClientsOutput{}
	for i := range c.clients { // one a page
		if in.NextToken == nil || *in.NextToken == *c.clients[i].ClientId {
			out.UserPoolClients = []types.UserPoolClientDescription{{ClientId: c.clients[i].ClientId}}
			if i+1 < len(c.clients) {
				out.NextToken = c.clients[i+1].ClientId
			}
			break
		}
	}
	return out, nil
}

func (c *cloud) DescribeUserPoolClient(_ context.Context, in *cip.DescribeUserPoolClientInput, _ ...func(*cip.Options)) (*cip.DescribeUserPoolClientOutput, error) {
	for i := range c.clients {
		if *c.clients[i].ClientId == *in.ClientId {
			found := c.clients[i]
			return &cip.DescribeUserPoolClientOutput{UserPoolClient: &found}, nil
		}
	}
	return nil, refusal("ResourceNotFoundException")
}

func (c *cloud) CreateUserPoolClient(_ context.Context, in *cip.CreateUserPoolClientInput, _ ...func(*cip.Options)) (*cip.CreateUserPoolClientOutput, error) {
	if err := c.write("client"); err != nil {
		return nil, err
	}
	made := types.UserPoolClientType{
		ClientId: aws.String("made"), ClientName: in.ClientName, ClientSecret: aws.String("client-secret"),
		ExplicitAuthFlows: in.ExplicitAuthFlows, ReadAttributes: in.ReadAttributes, WriteAttributes: in.WriteAttributes,
	}
	if c.described != nil {
		c.described(&made)
	}
	c.clients = append(c.clients, made)
	return &cip.CreateUserPoolClientOutput{UserPoolClient: &made}, nil
}

func (c *cloud) AdminGetUser(_ context.Context, in *cip.AdminGetUserInput, _ ...func(*cip.Options)) (*cip.AdminGetUserOutput, error) {
	u, known := c.users[*in.Username]
	if !known {
		return nil, refusal("UserNotFoundException")
	}
	return &cip.AdminGetUserOutput{Enabled: !u.disabled, UserStatus: u.status, UserAttributes: u.attributes}, nil
}

func (c *cloud) AdminCreateUser(_ context.Context, in *cip.AdminCreateUserInput, _ ...func(*cip.Options)) (*cip.AdminCreateUserOutput, error) {
	if err := c.write("account"); err != nil {
		return nil, err
	}
	c.users[*in.Username] = &user{attributes: in.UserAttributes, password: *in.TemporaryPassword, status: types.UserStatusTypeForceChangePassword}
	return &cip.AdminCreateUserOutput{}, nil
}

func (c *cloud) AdminSetUserPassword(_ context.Context, in *cip.AdminSetUserPasswordInput, _ ...func(*cip.Options)) (*cip.AdminSetUserPasswordOutput, error) {
	if err := c.write("password"); err != nil {
		return nil, err
	}
	c.users[*in.Username].password, c.users[*in.Username].status = *in.Password, types.UserStatusTypeConfirmed
	return &cip.AdminSetUserPasswordOutput{}, nil
}

func (c *cloud) AdminUserGlobalSignOut(context.Context, *cip.AdminUserGlobalSignOutInput, ...func(*cip.Options)) (*cip.AdminUserGlobalSignOutOutput, error) {
	return &cip.AdminUserGlobalSignOutOutput{}, c.write("sign out")
}

func (c *cloud) InitiateAuth(_ context.Context, in *cip.InitiateAuthInput, _ ...func(*cip.Options)) (*cip.InitiateAuthOutput, error) {
	u, known := c.users[in.AuthParameters["USERNAME"]]
	if !known || u.password != in.AuthParameters["PASSWORD"] || in.AuthParameters["SECRET_HASH"] == "" {
		return nil, refusal("NotAuthorizedException")
	}
	return &cip.InitiateAuthOutput{ChallengeName: c.challenge}, nil
}

func (c *cloud) GetParameter(_ context.Context, in *ssm.GetParameterInput, _ ...func(*ssm.Options)) (*ssm.GetParameterOutput, error) {
	value, known := c.parameters[*in.Name]
	if !known {
		return nil, refusal("ParameterNotFound")
	}
	return &ssm.GetParameterOutput{Parameter: &ssmtypes.Parameter{Type: ssmtypes.ParameterTypeSecureString, Value: &value}}, nil
}

func (c *cloud) PutParameter(_ context.Context, in *ssm.PutParameterInput, _ ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	if err := c.write("parameter"); err != nil {
		return nil, err
	}
	if _, known := c.parameters[*in.Name]; known && !*in.Overwrite {
		return nil, refusal("ParameterAlreadyExists")
	}
	c.parameters[*in.Name] = *in.Value
	return &ssm.PutParameterOutput{}, nil
}

func (c *cloud) config(t *testing.T, change func(*cognitoseed.Config)) cognitoseed.Config {
	t.Helper()
	cfg := cognitoseed.Config{
		UserPoolID: "us-east-1_AbCdEf012", ClientName: "countersign-services", Services: []string{"document-service"},
		ParameterPrefix: "/countersign/cognito", Region: "us-east-1", Envrc: filepath.Join(t.TempDir(), ".envrc"),
		Cognito: c, Parameters: c,
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// TestRunCompletesARunThatBrokeOffAnywhere fails each write in turn, and then runs again:
// what is stored must be what signs in, without a rotation.
func TestRunCompletesARunThatBrokeOffAnywhere(t *testing.T) {
	t.Parallel()
	whole := newCloud()
	if _, err := cognitoseed.Run(t.Context(), whole.config(t, nil)); err != nil {
		t.Fatal(err)
	}
	if len(whole.writes) != 8 {
		t.Fatalf("writes: %v", whole.writes)
	}
	for n := 1; n <= len(whole.writes); n++ {
		c := newCloud()
		c.fail = map[int]error{n: refusal("TooManyRequestsException")}
		cfg := c.config(t, nil)
		result, err := cognitoseed.Run(t.Context(), cfg)
		if !errors.Is(err, countersign.Throttled) || len(result.Steps) != n-1 {
			t.Fatalf("write %d (%s): %v, %d steps", n, c.writes[n-1], err, len(result.Steps))
		}
		c.fail = nil
		if _, err := cognitoseed.Run(t.Context(), cfg); err != nil {
			t.Fatalf("after write %d: %v", n, err)
		}
		again, err := cognitoseed.Run(t.Context(), cfg)
		if err != nil || len(again.Steps) > 0 {
			t.Errorf("after write %d: %v %v", n, again.Steps, err)
		}
		stored := c.parameters["/countersign/cognito/document-service/password"]
		if account := c.users["service-document-service"]; account.password != stored || stored == "" {
			t.Errorf("after write %d the stored password is not the account's", n)
		}
	}
}

// TestRotationThatBreaksOff: the stored password is the new one, so the next run makes it
// the account's without another rotation.
func TestRotationThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := newCloud()
	cfg := c.config(t, nil)
	if _, err := cognitoseed.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	before := c.parameters["/countersign/cognito/document-service/password"]
	c.writes, c.fail = nil, map[int]error{2: refusal("InternalErrorException")}
	rotate := cfg
	rotate.Rotate = true
	if _, err := cognitoseed.Run(t.Context(), rotate); !errors.Is(err, countersign.Upstream) {
		t.Fatal(err)
	}
	after := c.parameters["/countersign/cognito/document-service/password"]
	c.fail = nil
	if _, err := cognitoseed.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if account := c.users["service-document-service"]; before == after || account.password != after {
		t.Error("the account has not the stored password")
	}
}

// TestVulnerabilityServiceIDIsWritableByAClient: wire §1.4, every page of clients is read.
func TestVulnerabilityServiceIDIsWritableByAClient(t *testing.T) {
	t.Parallel()
	good := types.UserPoolClientType{
		ClientId: aws.String("1"), ClientName: aws.String("countersign-services"), ClientSecret: aws.String("s"),
		ExplicitAuthFlows: []types.ExplicitAuthFlowsType{"ALLOW_USER_PASSWORD_AUTH"}, WriteAttributes: []string{"nickname"},
	}
	closed := types.UserPoolType{AdminCreateUserConfig: &types.AdminCreateUserConfigType{AllowAdminCreateUserOnly: true}}
	mutable := []types.SchemaAttributeType{{Name: aws.String("custom:service_id"), AttributeDataType: "String", Mutable: aws.Bool(true)}}
	with := func(change func(*types.UserPoolClientType)) types.UserPoolClientType {
		c := good
		change(&c)
		return c
	}
	other := func(write ...string) types.UserPoolClientType {
		return types.UserPoolClientType{ClientId: aws.String("2"), ClientName: aws.String("web"), WriteAttributes: write}
	}
	tests := map[string]struct {
		cloud cloud
		ok    bool
	}{
		"right":                       {cloud{clients: []types.UserPoolClientType{good}}, true},
		"no list":                     {cloud{pool: closed, clients: []types.UserPoolClientType{with(func(c *types.UserPoolClientType) { c.WriteAttributes = nil })}}, false},
		"empty list":                  {cloud{pool: closed, clients: []types.UserPoolClientType{with(func(c *types.UserPoolClientType) { c.WriteAttributes = []string{} })}}, false},
		"in the list":                 {cloud{pool: closed, clients: []types.UserPoolClientType{with(func(c *types.UserPoolClientType) { c.WriteAttributes = []string{"a", "custom:service_id"} })}}, false},
		"in capitals":                 {cloud{pool: closed, clients: []types.UserPoolClientType{with(func(c *types.UserPoolClientType) { c.WriteAttributes = []string{"custom:Service_ID"} })}}, false},
		"other client on page 2":      {cloud{clients: []types.UserPoolClientType{good, other()}}, false},
		"other client, mutable":       {cloud{pool: closed, schema: mutable, clients: []types.UserPoolClientType{good, other()}}, false},
		"other client, closed pool":   {cloud{pool: closed, clients: []types.UserPoolClientType{good, other()}}, true},
		"other client can't":          {cloud{schema: mutable, clients: []types.UserPoolClientType{good, other("email")}}, true},
		"two of the name":             {cloud{clients: []types.UserPoolClientType{good, with(func(c *types.UserPoolClientType) { c.ClientId = aws.String("3") })}}, false},
		"can't read it":               {cloud{clients: []types.UserPoolClientType{with(func(c *types.UserPoolClientType) { c.ReadAttributes = []string{"email"} })}}, false},
		"emulator without the lists":  {cloud{described: func(c *types.UserPoolClientType) { c.WriteAttributes = nil }}, false},
		"attribute that is a number":  {cloud{schema: []types.SchemaAttributeType{{Name: aws.String("custom:service_id"), AttributeDataType: "Number"}}}, false},
		"attribute of other spelling": {cloud{schema: []types.SchemaAttributeType{{Name: aws.String("custom:Service_Id"), AttributeDataType: "String"}}}, false},
		"e-mail is required":          {cloud{schema: []types.SchemaAttributeType{{Name: aws.String("email"), Required: aws.Bool(true)}}}, false},
		"e-mail signs in":             {cloud{pool: types.UserPoolType{UsernameAttributes: []types.UsernameAttributeType{"email"}}}, false},
		"second factor":               {cloud{pool: types.UserPoolType{MfaConfiguration: "ON"}}, false},
	}
	for name, test := range tests {
		c := test.cloud
		c.users, c.parameters = make(map[string]*user), make(map[string]string)
		_, err := cognitoseed.Run(t.Context(), c.config(t, nil))
		if test.ok != (err == nil) || (!test.ok && !errors.Is(err, countersign.Conflict)) {
			t.Errorf("%s: %v", name, err)
		}
		if !test.ok && (len(c.users) > 0 || len(c.parameters) > 0) {
			t.Errorf("%s: refused after writing %v", name, c.writes)
		}
	}
}

func TestRunLeavesAccountsThatAreNotItsOwn(t *testing.T) {
	t.Parallel()
	attribute := func(name, value string) []types.AttributeType {
		return []types.AttributeType{{Name: &name, Value: &value}}
	}
	for name, u := range map[string]user{
		"without the attribute": {status: "CONFIRMED"},
		"another service":       {status: "CONFIRMED", attributes: attribute("custom:service_id", "parse-service")},
		"other letters":         {status: "CONFIRMED", attributes: attribute("custom:Service_id", "document-service")},
		"disabled":              {status: "CONFIRMED", attributes: attribute("custom:service_id", "document-service"), disabled: true},
		"password of somebody":  {status: "CONFIRMED", attributes: attribute("custom:service_id", "document-service")},
	} {
		c := newCloud()
		c.users["service-document-service"] = &u
		if _, err := cognitoseed.Run(t.Context(), c.config(t, nil)); !errors.Is(err, countersign.Conflict) || len(c.writes) > 0 {
			t.Errorf("%s: %v, %v", name, err, c.writes)
		}
	}
	c := newCloud()
	cfg := c.config(t, nil)
	if _, err := cognitoseed.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c.writes, c.challenge = nil, types.ChallengeNameTypeSmsMfa
	if _, err := cognitoseed.Run(t.Context(), cfg); !errors.Is(err, countersign.Conflict) || len(c.writes) > 0 {
		t.Errorf("a challenge: %v", err)
	}
}

func TestRunShowsNoSecret(t *testing.T) {
	t.Parallel()
	c := newCloud()
	c.pool.Policies = &types.UserPoolPolicyType{PasswordPolicy: &types.PasswordPolicyType{MinimumLength: aws.Int32(99)}}
	cfg := c.config(t, nil)
	result, err := cognitoseed.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	password := c.parameters["/countersign/cognito/document-service/password"]
	if len(password) < 99 {
		t.Errorf("%d characters, the pool wants 99", len(password))
	}
	if slices.ContainsFunc(result.Steps, func(s cognitoseed.Step) bool {
		return strings.Contains(s.Target, password) || strings.Contains(s.Target, "client-secret")
	}) {
		t.Error("a secret is in the result")
	}
	other := newCloud()
	if _, err := cognitoseed.Run(t.Context(), other.config(t, nil)); err != nil {
		t.Fatal(err)
	}
	if other.parameters["/countersign/cognito/document-service/password"] == password {
		t.Error("two accounts got one password")
	}
}

func TestRunRefusesAnEnvrcThatItCannotKeepWhole(t *testing.T) {
	t.Parallel()
	const begin, end = "# begin: written by countersign cognito seed; keep this file out of version control\n", "# end: countersign cognito seed\n"
	for name, text := range map[string]string{
		"no end": begin + "export A=1\n", "two": begin + end + begin + end, "too large": strings.Repeat("#", 1<<20+1),
	} {
		c := newCloud()
		cfg := c.config(t, nil)
		if err := os.WriteFile(cfg.Envrc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cognitoseed.Run(t.Context(), cfg); !errors.Is(err, countersign.Conflict) || len(c.writes) > 0 {
			t.Errorf("%s: %v %v", name, err, c.writes)
		}
		if body, err := os.ReadFile(cfg.Envrc); err != nil || string(body) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestRunRefusesConfigurations(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cognitoseed.Config){
		"no pool":         func(c *cognitoseed.Config) { c.UserPoolID = "" },
		"pool":            func(c *cognitoseed.Config) { c.UserPoolID = "a/b_c" },
		"no client":       func(c *cognitoseed.Config) { c.ClientName = "" },
		"no service":      func(c *cognitoseed.Config) { c.Services = nil },
		"service":         func(c *cognitoseed.Config) { c.Services = []string{"../x"} },
		"twice":           func(c *cognitoseed.Config) { c.Services = []string{"a", "a"} },
		"prefix":          func(c *cognitoseed.Config) { c.ParameterPrefix = "/a/" },
		"one file of two": func(c *cognitoseed.Config) { c.Services = []string{"a", "b"} },
		"sign out":        func(c *cognitoseed.Config) { c.SignOut = true },
	} {
		c := newCloud()
		if _, err := cognitoseed.Run(t.Context(), c.config(t, change)); !errors.Is(err, countersign.Invalid) || len(c.writes) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
