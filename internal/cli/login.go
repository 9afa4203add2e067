package cli

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/tokensource"
)

// login is embedded in the commands that assume roles: who proves what, and where.
type login struct {
	target
	serviceIdentity
	WebIdentityTokenFile string `help:"A file with a token that the role trusts, or - for stdin." placeholder:"FILE"`
	AWSIdentity          bool   `name:"aws-identity" help:"Prove who this is at AWS: the ambient AWS credentials sign, and stay here."`
	ServerID             string `name:"server-id" help:"The server's sts.server_id, for --aws-identity. Default: COUNTERSIGN_STS_SERVER_ID, then the host of the STS." placeholder:"ID"`
	AWSSTS               string `name:"aws-sts" help:"The STS of AWS that vouches, for --aws-identity: a VPC endpoint or an emulator that the server lists. Default: that of the region." placeholder:"URL"`
	Presigned            bool   `help:"With --aws-identity: send a presigned URL instead of a signed POST."`

	STS         string `name:"sts" help:"The STS to ask. Default: the server's." placeholder:"URL"`
	AccountID   string `name:"account-id" help:"The account of a role that is named without one. Default: COUNTERSIGN_ACCOUNT_ID, then 000000000000." placeholder:"ID"`
	Duration    string `help:"How long the credentials live: 15m to the role's maximum. Default: the STS's." placeholder:"1h"`
	SessionName string `help:"Shown in the session's ARN; proves nothing. Default: who proves itself." placeholder:"NAME"`
	PolicyFile  string `help:"A session policy (IAM JSON) that narrows the role's permissions." placeholder:"FILE" type:"path"`
}

// loginHelp is what their help has in common.
const loginHelp = `Who proves itself is one of: a service of ours (--service, or COUNTERSIGN_CLIENT_ID, with
COUNTERSIGN_CLIENT_SECRET, COUNTERSIGN_CLIENT_SECRET_FILE or --private-key-file), whoever a
token says (--web-identity-token-file), or an AWS principal (--aws-identity). An
administrator can't mint as a service.
`

// session is a login that is set up: it makes the providers of roles.
type session struct {
	login   login
	process *Process
	sts     string
	policy  string
	life    time.Duration
	early   time.Duration // see awscreds: RefreshBefore
	// source or principal is who proves itself.
	source    tokensource.Source
	principal aws.CredentialsProvider
	region    string
	serverID  string
	ends      []func()
}

// open sets the login up. Close the session.
//
// Errors: usageError, and as target.baseURL.
func (l login) open(ctx context.Context, p *Process) (*session, error) {
	s := &session{login: l, process: p}
	service, err := l.name(p)
	if err != nil {
		return nil, err
	}
	explicit := 0
	for _, given := range []bool{l.Service != "", l.WebIdentityTokenFile != "", l.AWSIdentity} {
		if given {
			explicit++
		}
	}
	switch {
	case explicit > 1:
		return nil, usageError{"--service, --web-identity-token-file and --aws-identity exclude each other"}
	case explicit == 0 && service == "":
		return nil, usageError{"say who proves itself: --service NAME, --web-identity-token-file FILE or --aws-identity"}
	case !l.AWSIdentity && (l.ServerID != "" || l.AWSSTS != "" || l.Presigned):
		return nil, usageError{"--server-id, --aws-sts and --presigned belong to --aws-identity"}
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	switch {
	case l.AWSIdentity:
		err = s.ambient(ctx)
	case l.WebIdentityTokenFile != "":
		err = s.tokenFile()
	default:
		var source *tokensource.ClientCredentials
		if source, err = l.serviceIdentity.source(ctx, p, l.target, nil); err == nil {
			s.source = source
			s.ends = append(s.ends, func() { _ = source.Close() })
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// settle reads what all kinds of login have in common.
func (s *session) settle() error {
	if s.login.Duration != "" {
		life, err := iamclient.ParseDuration(s.login.Duration)
		if err != nil {
			return usageError{"--duration: " + countersign.MessageOf(err)}
		}
		s.life = time.Duration(life)
	}
	if s.login.PolicyFile != "" {
		text, err := os.ReadFile(s.login.PolicyFile)
		if err != nil {
			return countersign.WrapError(countersign.Unavailable, "", "the session policy can't be read", err)
		}
		if s.policy = strings.TrimSpace(string(text)); s.policy == "" {
			// It would be left out of the request, and the session unrestricted.
			return usageError{"--policy-file: the file is empty, which narrows nothing: leave the flag out for that"}
		}
	}
	s.sts = s.login.STS
	if s.sts == "" {
		base, err := s.login.baseURL(s.process)
		if err != nil {
			return err
		}
		s.sts = strings.TrimRight(base, "/") + "/sts"
	}
	return nil
}

func (s *session) tokenFile() error {
	if path := s.login.WebIdentityTokenFile; path != "-" {
		s.source = &tokensource.File{Path: path}
		return nil
	}
	token, err := secretArgument(s.process, "-")
	if err != nil {
		return err
	}
	s.source = tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
		return tokensource.Token{Value: token}, nil
	})
	return nil
}

// ambient takes the credentials that AWS's own tools would take here.
func (s *session) ambient(ctx context.Context) error {
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return countersign.WrapError(countersign.Invalid, "", "the configuration of AWS's tools can't be read", err)
	}
	s.principal, s.region = cfg.Credentials, cfg.Region
	if s.serverID = s.login.ServerID; s.serverID == "" {
		s.serverID = s.process.getenv("COUNTERSIGN_STS_SERVER_ID")
	}
	if s.serverID != "" {
		return nil
	}
	// Never what the server says of itself: it could name another one, and show it the
	// proof.
	at, err := url.Parse(s.sts)
	if err != nil || at.Hostname() == "" || egress.IsLoopbackHost(at.Hostname()) {
		return usageError{"say which server the proof is for: --server-id or COUNTERSIGN_STS_SERVER_ID (its sts.server_id)"}
	}
	s.serverID = at.Hostname()
	return nil
}

// close frees what the session holds.
func (s *session) close() {
	for _, end := range s.ends {
		end()
	}
}

// bareRole is a role that is named without its account.
var bareRole = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// defaultAccount is the server's account where the config names none.
const defaultAccount = "000000000000"

// arn makes the ARN of a role that is named by it or by its bare name.
//
// Errors: usageError.
func (s *session) arn(role string) (string, error) {
	if strings.HasPrefix(role, "arn:") {
		return role, nil
	}
	if !bareRole.MatchString(role) {
		return "", usageError{"--role is the name of a role or its ARN: arn:aws:iam::ACCOUNT:role/NAME"}
	}
	account := s.login.AccountID
	if account == "" {
		account = s.process.getenv("COUNTERSIGN_ACCOUNT_ID")
	}
	if account == "" {
		account = defaultAccount
	}
	if !accountID.MatchString(account) {
		return "", usageError{"--account-id has 12 digits"}
	}
	return "arn:aws:iam::" + account + ":role/" + role, nil
}

// assume returns the provider of a role's credentials; the session closes it.
//
// Errors: usageError.
func (s *session) assume(role string) (*awscreds.Provider, string, error) {
	arn, err := s.arn(role)
	if err != nil {
		return nil, "", err
	}
	var provider *awscreds.Provider
	if s.principal != nil {
		provider = awscreds.NewAWSIdentity(awscreds.AWSIdentityConfig{
			STS: s.sts, RoleARN: arn, ServerID: s.serverID, Credentials: s.principal, Region: s.region,
			AWSSTS: s.login.AWSSTS, Presigned: s.login.Presigned, RoleSessionName: s.login.SessionName,
			Duration: s.life, Policy: s.policy, RefreshBefore: s.early,
		})
	} else {
		provider = awscreds.NewWebIdentity(awscreds.WebIdentityConfig{
			STS: s.sts, RoleARN: arn, Source: s.source, RoleSessionName: s.login.SessionName,
			Duration: s.life, Policy: s.policy, RefreshBefore: s.early,
		})
	}
	// Before the source that it asks.
	s.ends = append([]func(){func() { _ = provider.Close() }}, s.ends...)
	return provider, arn, nil
}
