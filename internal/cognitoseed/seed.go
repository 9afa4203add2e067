package cognitoseed

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/countersign/countersign"
)

// Config of a run.
type Config struct {
	// UserPoolID is the pool; it must exist.
	UserPoolID string
	// ClientName is the app client's name; ClientID names it where several have the same.
	ClientName, ClientID string
	// Services are the names of the services.
	Services []string
	// ParameterPrefix is where the parameters are: PREFIX/SERVICE/username and so on.
	ParameterPrefix string
	// KMSKeyID encrypts them; "" = the account's key for the Parameter Store.
	KMSKeyID string
	// Envrc is the file that gets the environment of a service; {service} in it is
	// replaced. "" = none.
	Envrc string
	// Region goes into the .envrc.
	Region string
	// Rotate gives every account a new password; SignOut ends the refresh tokens of
	// its accounts, too.
	Rotate, SignOut bool
	// DryRun says what would be done and does nothing.
	DryRun bool

	Cognito    Cognito
	Parameters Parameters
}

// Pools is what is asked of the user pool itself.
type Pools interface {
	DescribeUserPool(context.Context, *cognitoidentityprovider.DescribeUserPoolInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.DescribeUserPoolOutput, error)
	AddCustomAttributes(context.Context, *cognitoidentityprovider.AddCustomAttributesInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.AddCustomAttributesOutput, error)
}

// Clients is what is asked of its app clients.
type Clients interface {
	ListUserPoolClients(context.Context, *cognitoidentityprovider.ListUserPoolClientsInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.ListUserPoolClientsOutput, error)
	DescribeUserPoolClient(context.Context, *cognitoidentityprovider.DescribeUserPoolClientInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.DescribeUserPoolClientOutput, error)
	CreateUserPoolClient(context.Context, *cognitoidentityprovider.CreateUserPoolClientInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.CreateUserPoolClientOutput, error)
}

// Accounts is what is asked of its accounts.
type Accounts interface {
	AdminGetUser(context.Context, *cognitoidentityprovider.AdminGetUserInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.AdminGetUserOutput, error)
	AdminCreateUser(context.Context, *cognitoidentityprovider.AdminCreateUserInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.AdminCreateUserOutput, error)
	AdminSetUserPassword(context.Context, *cognitoidentityprovider.AdminSetUserPasswordInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.AdminSetUserPasswordOutput, error)
	AdminUserGlobalSignOut(context.Context, *cognitoidentityprovider.AdminUserGlobalSignOutInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.AdminUserGlobalSignOutOutput, error)
	InitiateAuth(context.Context, *cognitoidentityprovider.InitiateAuthInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.InitiateAuthOutput, error)
}

// Cognito is a *cognitoidentityprovider.Client.
type Cognito interface {
	Pools
	Clients
	Accounts
}

// Parameters is a *ssm.Client.
type Parameters interface {
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
}

// Step is one change, made or, in a dry run, to be made. No secret is in it.
type Step struct {
	// Action is one of the Action constants.
	Action Action `json:"action"`
	// Target is what it changes: an attribute, a client, an account, a parameter, a file.
	Target string `json:"target"`
}

// Action says what a step does.
type Action string

// The actions.
const (
	AddAttribute  Action = "add attribute"
	CreateClient  Action = "create client"
	CreateAccount Action = "create account"
	SetPassword   Action = "set password"
	SignOut       Action = "sign out"
	PutParameter  Action = "put parameter"
	WriteFile     Action = "write file"
)

// Result is what there is after the run; in a dry run ClientID is "" where the client
// would be made.
type Result struct {
	UserPoolID string   `json:"user_pool_id"`
	ClientID   string   `json:"client_id"`
	DryRun     bool     `json:"dry_run"`
	Services   []string `json:"services"`
	// Steps are the changes; none when everything was as it should be.
	Steps []Step `json:"steps"`
}

// seed is a run.
type seed struct {
	Config

	result Result
	pool   pool
	client client
}

// Run makes the pool, the parameters and the files as the configuration says. After an
// error the result holds the steps that were made.
//
// Errors: [countersign.Invalid] for the configuration, [countersign.Conflict] for what is
// there and must not be used, [countersign.Denied], [countersign.NotFound],
// [countersign.Throttled] and [countersign.Upstream] for what AWS says.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.check(); err != nil {
		return Result{}, err
	}
	s := &seed{Config: c, result: Result{
		UserPoolID: c.UserPoolID, DryRun: c.DryRun, Services: c.Services, Steps: []Step{},
	}}
	accounts, err := s.inspect(ctx)
	if err != nil {
		return s.result, err
	}
	err = s.apply(ctx, accounts)
	s.result.ClientID = s.client.id
	return s.result, err
}

// inspect reads everything and refuses; it writes nothing.
func (s *seed) inspect(ctx context.Context) ([]*account, error) {
	if err := s.inspectPool(ctx); err != nil {
		return nil, err
	}
	if err := s.inspectClients(ctx); err != nil {
		return nil, err
	}
	accounts := make([]*account, 0, len(s.Services))
	for _, name := range s.Services {
		a, err := s.inspectAccount(ctx, name)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

func (s *seed) apply(ctx context.Context, accounts []*account) error {
	if err := s.ensureAttribute(ctx); err != nil {
		return err
	}
	if err := s.ensureClient(ctx); err != nil {
		return err
	}
	for _, a := range accounts {
		if err := s.ensureAccount(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// step records a change and makes it, unless this is a dry run.
func (s *seed) step(action Action, target string, change func() error) error {
	if !s.DryRun {
		if err := change(); err != nil {
			return failed(string(action)+" "+target, err)
		}
	}
	s.result.Steps = append(s.result.Steps, Step{action, target})
	return nil
}

func (c *Config) check() error {
	switch {
	case c.Cognito == nil || c.Parameters == nil:
		return countersign.NewError(countersign.Internal, "", "the clients of Cognito and SSM are missing")
	case !validPoolID(c.UserPoolID):
		return invalid("the id of a user pool looks like us-east-1_AbCdEf012")
	case c.ClientName == "" && c.ClientID == "":
		return invalid("the app client needs a name")
	case len(c.Services) == 0:
		return invalid("name at least one service")
	case c.SignOut && !c.Rotate:
		return invalid("accounts are signed out with a rotation only")
	}
	if err := checkPrefix(c.ParameterPrefix); err != nil {
		return err
	}
	for i, name := range c.Services {
		if !countersign.ValidName(name) {
			return invalid("a service's name is [a-z0-9][a-z0-9-]{0,62}: " + name)
		}
		if slices.Contains(c.Services[:i], name) {
			return invalid("the service " + name + " is named twice")
		}
	}
	return c.checkEnvrc()
}

func invalid(message string) error {
	return countersign.NewError(countersign.Invalid, "", message)
}

func conflict(message string) error {
	return countersign.NewError(countersign.Conflict, "", message)
}
