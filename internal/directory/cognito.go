package directory

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

const (
	// cognitoCalls is how many calls of one lookup are under way at a time.
	cognitoCalls = 8
	// cognitoPage is Cognito's longest page.
	cognitoPage = 60
	// cognitoPages bounds the calls of one search.
	cognitoPages = 10
	// cognitoTimeout bounds a lookup or search as a whole, and cognitoCall one call of it.
	cognitoTimeout = 20 * time.Second
	cognitoCall    = 5 * time.Second
	// cognitoAnswer bounds one answer, in bytes: 60 people with all that may be said of them.
	cognitoAnswer = 4 << 20
	// cognitoGiveUp is after how many failures of a lookup the rest is not asked for.
	cognitoGiveUp = 5
)

// cognitoTenant is the attribute of a person's tenant.
const cognitoTenant = "custom:tenant_id"

var poolForm = regexp.MustCompile(`^([a-z]+(?:-[a-z]+)*(?:-[0-9]+)?)_[A-Za-z0-9]{1,55}$`)

// CognitoConfig of a [Cognito]. Pool and Credentials are required.
type CognitoConfig struct {
	// Pool is the id of the user pool: its region stands before the "_".
	Pool string
	// Credentials may call ListUsers and AdminGetUser.
	Credentials aws.CredentialsProvider
	// Endpoint is a base URL instead of AWS's, for tests: https, or http on a loopback. The
	// issuer of its people begins with it then.
	Endpoint string
}

// Cognito is a user pool.
type Cognito struct {
	pool, issuer string
	client       *cognitoidentityprovider.Client
	http         *http.Client
}

// NewCognito returns the directory of a pool; it calls nobody.
//
// Errors: countersign.Invalid.
func NewCognito(cfg CognitoConfig) (*Cognito, error) {
	parts := poolForm.FindStringSubmatch(cfg.Pool)
	if parts == nil || cfg.Credentials == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "a user pool has an id like us-east-1_AbCdEf, and is asked with credentials")
	}
	if cfg.Endpoint != "" {
		if err := egress.CheckURL(cfg.Endpoint); err != nil {
			return nil, err
		}
	}
	region := parts[1]
	c := &Cognito{pool: cfg.Pool, issuer: "https://cognito-idp." + region + ".amazonaws.com/" + cfg.Pool}
	if cfg.Endpoint != "" {
		c.issuer = strings.TrimRight(cfg.Endpoint, "/") + "/" + cfg.Pool
	}
	c.http = egress.New(egress.Config{Timeout: cognitoCall, MaxBodyBytes: cognitoAnswer})
	c.client = cognitoidentityprovider.New(cognitoidentityprovider.Options{
		Region: region, Credentials: cfg.Credentials, HTTPClient: c.http, RetryMaxAttempts: 2,
	}, func(o *cognitoidentityprovider.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
	})
	return c, nil
}

// Close closes idle connections.
//
// Errors: none.
func (c *Cognito) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Name implements [Directory].
func (c *Cognito) Name() string { return "cognito:" + c.pool }

// Issuer implements [Directory].
func (c *Cognito) Issuer() string { return c.issuer }

// Lookup implements [Directory]. Each value that comes several times is asked for once; what
// fails fails alone, until it is clear that Cognito does not answer.
func (c *Cognito) Lookup(ctx context.Context, field Field, values []string) []Result {
	ctx, cancel := context.WithTimeout(ctx, cognitoTimeout)
	defer cancel()
	answers := make(map[string]*Result, len(values))
	for _, value := range values {
		answers[value] = &Result{}
	}
	tickets := make(chan struct{}, cognitoCalls)
	var running sync.WaitGroup
	var failures failureCount
	for value, answer := range answers {
		tickets <- struct{}{}
		if failures.tooMany() || ctx.Err() != nil {
			answer.Err = errCognitoGivenUp
			<-tickets
			continue
		}
		running.Go(func() {
			defer func() { <-tickets }()
			answer.People, answer.Err = c.find(ctx, field, value)
			failures.note(answer.Err)
		})
	}
	running.Wait()
	results := make([]Result, len(values))
	for i, value := range values {
		results[i] = *answers[value]
	}
	return results
}

// failureCount counts the failures of one lookup. Safe for concurrent use.
type failureCount struct {
	mu    sync.Mutex
	count int
}

func (f *failureCount) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.count++
	}
}

func (f *failureCount) tooMany() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count >= cognitoGiveUp
}

// find asks for one value: by AdminGetUser for a user name, which is unique, else by a list.
func (c *Cognito) find(ctx context.Context, field Field, value string) ([]Person, error) {
	if !Askable(value) {
		return nil, nil // nobody is called so
	}
	if field == Username {
		out, err := c.client.AdminGetUser(ctx, &cognitoidentityprovider.AdminGetUserInput{UserPoolId: &c.pool, Username: &value})
		if isCode(err, "UserNotFoundException") {
			return nil, nil
		}
		if err != nil {
			return nil, cognitoError(err)
		}
		p := c.person(aws.ToString(out.Username), out.UserAttributes, out.Enabled)
		// By an alias (an address, a subject) Cognito finds people too: that was not asked.
		return exactly(Filter{Username, Equals, value}, []Person{p}), nil
	}
	by := Filter{field, Equals, value}
	out, err := c.client.ListUsers(ctx, &cognitoidentityprovider.ListUsersInput{UserPoolId: &c.pool, Filter: cognitoFilter(by), Limit: aws.Int32(cognitoPage)})
	if err != nil {
		return nil, cognitoError(err)
	}
	return exactly(by, c.people(out.Users)), nil
}

func exactly(f Filter, people []Person) (left []Person) {
	for _, p := range people {
		if f.Fits(p) {
			left = append(left, p)
		}
	}
	return left
}

// Search implements [Directory]. Cognito takes one filter; the others are held against what
// it answers.
func (c *Cognito) Search(ctx context.Context, q Query) (Page, error) {
	if err := CheckFilters(q.Filters); err != nil {
		return Page{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, cognitoTimeout)
	defer cancel()
	in := &cognitoidentityprovider.ListUsersInput{UserPoolId: &c.pool}
	for _, f := range q.Filters {
		if in.Filter = cognitoFilter(f); in.Filter != nil {
			break
		}
	}
	made := Page{Next: q.After}
	for range cognitoPages {
		left := q.Limit - len(made.People)
		if left <= 0 {
			return made, nil
		}
		in.Limit, in.PaginationToken = aws.Int32(int32(min(left, cognitoPage))), nil
		if made.Next != "" {
			in.PaginationToken = aws.String(made.Next)
		}
		out, err := c.client.ListUsers(ctx, in)
		if err != nil {
			return Page{}, cognitoError(err)
		}
		for _, p := range c.people(out.Users) {
			if fits(q.Filters, p) && (q.Tenant == "" || p.Tenant == q.Tenant) {
				made.People = append(made.People, p)
			}
		}
		if made.Next = aws.ToString(out.PaginationToken); made.Next == "" {
			return made, nil
		}
	}
	return made, nil
}

// cognitoAttributes are the names of fields by which Cognito filters.
var cognitoAttributes = map[Field]string{Subject: "sub", Username: "username", Email: "email", DisplayName: "name"}

// cognitoFilter writes a filter in Cognito's words; nil = it knows none such. The value is
// quoted, so that it can't say anything else.
func cognitoFilter(f Filter) *string {
	name, op := cognitoAttributes[f.Field], " = "
	if name == "" {
		return nil
	}
	if f.Op == StartsWith {
		op = " ^= "
	}
	return aws.String(name + op + `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(f.Value) + `"`)
}

func (c *Cognito) people(users []types.UserType) []Person {
	people := make([]Person, 0, len(users))
	for _, u := range users {
		people = append(people, c.person(aws.ToString(u.Username), u.Attributes, u.Enabled))
	}
	return people
}

func (c *Cognito) person(username string, attributes []types.AttributeType, enabled bool) Person {
	p := Person{Issuer: c.issuer, Username: username, Enabled: enabled}
	for _, a := range attributes {
		value := aws.ToString(a.Value)
		switch aws.ToString(a.Name) {
		case "sub":
			p.Subject = value
		case "email":
			p.Email = value
		case "name":
			p.DisplayName = value
		case cognitoTenant:
			p.Tenant = value
		}
	}
	return p
}

// cognitoError says what a failure of Cognito means for who asked.
func cognitoError(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "TooManyRequestsException", "LimitExceededException", "ThrottlingException":
			return countersign.WrapError(countersign.Throttled, countersign.ReasonUpstreamUnavailable, "the user directory asks to wait", err)
		case "InvalidParameterException":
			return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, "the user directory does not take the question", err)
		}
	}
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "the user directory does not answer", err)
}

var errCognitoGivenUp = countersign.NewError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "the user directory does not answer")

func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
