package authtest

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// AWSSTS is a double of AWS's STS on loopback, for everything that asks AWS who
// somebody is or has it issue credentials. It verifies what AWS verifies: the SigV4
// signature, its date and session token, and for AssumeRoleWithWebIdentity the JWT
// by the issuer's discovery document and keys. It answers with AWS's XML and error
// codes. It serves GetCallerIdentity and AssumeRoleWithWebIdentity, and one account
// that the test fills with users and roles. Safe for concurrent use.
//
// It differs from AWS in what a test needs: plain http, issuers on loopback, any
// region, and in RS256 as the only algorithm of a web identity.
type AWSSTS struct {
	// URL is the endpoint: what AWS_ENDPOINT_URL_STS is set to.
	URL string
	// Account and Partition are in every ARN.
	Account, Partition string

	clock  *Clock
	client *http.Client

	mu       sync.Mutex
	keys     map[string]awsKey
	roles    map[string]awsRole // by ARN
	calls    []AWSCall
	sessions []AWSSession
	next     []AWSReply
	always   AWSReply
}

// AWSSTSConfig of a double; the zero value is complete.
type AWSSTSConfig struct {
	// Account has 12 digits; "" = 123456789012.
	Account string
	// Partition is aws, aws-cn or aws-us-gov; "" = aws.
	Partition string
	// Clock decides about dates and expiry; nil = real time.
	Clock *Clock
}

// AWSIdentity is somebody whom the double knows, with credentials to sign with.
type AWSIdentity struct {
	// ARN, UserID and Account are what GetCallerIdentity says.
	ARN, UserID, Account string

	AccessKeyID string
	// SessionToken and ExpiresAt are zero for long-lived keys.
	SecretAccessKey, SessionToken countersign.Secret
	ExpiresAt                     time.Time
}

// AWSRole is a role of the double's account.
type AWSRole struct {
	Name string
	// Path is "" or "/some/path/": in the role's ARN, and not in that of a session.
	Path string
	// Trust says whose web identities may assume it; empty = nobody's.
	Trust []AWSTrust
	// MaxSessionDuration; 0 = 1 hour.
	MaxSessionDuration time.Duration
}

// AWSTrust is what an account says in an OIDC provider and in the trust policy of a role.
type AWSTrust struct {
	// Issuer is the exact issuer URL.
	Issuer string
	// Audiences: one of them must be in the token; empty = sts.amazonaws.com.
	Audiences []string
	// Subjects are patterns with AWS's * (anything) and ?; empty = every subject.
	Subjects []string
}

// AWSSession is what AssumeRoleWithWebIdentity was asked for and granted.
type AWSSession struct {
	Identity AWSIdentity
	RoleARN  string
	// Issuer, Subject, Audience and Claims are of the verified token.
	Issuer, Subject, Audience string
	Claims                    map[string]any
	// Policy is the session policy as it came; "" = none.
	Policy   string
	Duration time.Duration
}

// AWSCall is a request that reached the double.
type AWSCall struct {
	Method, Path, Action string
	AccessKeyID          string
	Header               http.Header
	// Error is AWS's code of the refusal; "" = answered.
	Error string
}

// maxAWSCalls bounds the memory of a double: calls beyond it are not remembered.
const maxAWSCalls = 10_000

type awsKey struct {
	identity AWSIdentity
	role     string // unique id of the role of a session; "" for others
}

type awsRole struct {
	AWSRole

	arn, uniqueID string
}

// NewAWSSTS starts a double that ends with the test.
func NewAWSSTS(tb TB, c AWSSTSConfig) *AWSSTS {
	tb.Helper()
	if c.Account == "" {
		c.Account = "123456789012"
	}
	if c.Partition == "" {
		c.Partition = "aws"
	}
	s := &AWSSTS{
		Account: c.Account, Partition: c.Partition, clock: c.Clock,
		client: egress.New(egress.Config{AllowPrivateAddresses: true}),
		keys:   make(map[string]awsKey), roles: make(map[string]awsRole),
	}
	server := httptest.NewServer(s)
	s.URL = server.URL
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		s.client.CloseIdleConnections()
	})
	return s
}

// AddUser makes an IAM user with an access key. A second user of the same name is
// another one with another unique id, as after a deletion.
func (s *AWSSTS) AddUser(tb TB, name string) AWSIdentity {
	tb.Helper()
	return s.addKey("AKIA", "", AWSIdentity{ARN: s.arn("iam", "user/"+name), UserID: "AIDA" + awsID(17)}, 0)
}

// AddRoot makes an access key of the account's root user.
func (s *AWSSTS) AddRoot(tb TB) AWSIdentity {
	tb.Helper()
	return s.addKey("AKIA", "", AWSIdentity{ARN: s.arn("iam", "root"), UserID: s.Account}, 0)
}

// AddFederatedUser makes credentials as GetFederationToken does.
func (s *AWSSTS) AddFederatedUser(tb TB, name string, lifetime time.Duration) AWSIdentity {
	tb.Helper()
	return s.addKey("ASIA", "", AWSIdentity{ARN: s.arn("sts", "federated-user/"+name), UserID: s.Account + ":" + name}, lifetime)
}

// AddRole makes a role and returns its ARN. One of the same name and path is deleted
// with its sessions: the new one has another unique id.
func (s *AWSSTS) AddRole(tb TB, role AWSRole) string {
	tb.Helper()
	if role.Name == "" || strings.Contains(role.Name, "/") {
		tb.Fatalf("authtest: %q is no name of a role", role.Name)
	}
	if role.Path == "" {
		role.Path = "/"
	}
	if role.MaxSessionDuration == 0 {
		role.MaxSessionDuration = time.Hour
	}
	added := awsRole{AWSRole: role, arn: s.arn("iam", "role"+role.Path+role.Name), uniqueID: "AROA" + awsID(17)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleteRole(added.arn)
	s.roles[added.arn] = added
	return added.arn
}

// DeleteRole ends a role and its sessions.
func (s *AWSSTS) DeleteRole(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleteRole(arn)
}

func (s *AWSSTS) deleteRole(arn string) {
	deleted, known := s.roles[arn]
	if !known {
		return
	}
	delete(s.roles, arn)
	for id, key := range s.keys {
		if key.role == deleted.uniqueID {
			delete(s.keys, id)
		}
	}
}

// AssumeRole makes a session of a role, as something that runs at AWS has one.
func (s *AWSSTS) AssumeRole(tb TB, roleARN, sessionName string, lifetime time.Duration) AWSIdentity {
	tb.Helper()
	s.mu.Lock()
	role, known := s.roles[roleARN]
	s.mu.Unlock()
	if !known {
		tb.Fatalf("authtest: there is no role %s", roleARN)
	}
	return s.assume(role, sessionName, lifetime)
}

func (s *AWSSTS) assume(role awsRole, sessionName string, lifetime time.Duration) AWSIdentity {
	return s.addKey("ASIA", role.uniqueID, AWSIdentity{
		ARN:    s.arn("sts", "assumed-role/"+role.Name+"/"+sessionName),
		UserID: role.uniqueID + ":" + sessionName,
	}, lifetime)
}

// DeleteKey ends an access key or a session.
func (s *AWSSTS) DeleteKey(accessKeyID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, accessKeyID)
}

// addKey draws the credentials; a lifetime makes them temporary.
func (s *AWSSTS) addKey(prefix, role string, i AWSIdentity, lifetime time.Duration) AWSIdentity {
	i.Account = s.Account
	i.AccessKeyID = prefix + awsID(16)
	i.SecretAccessKey = countersign.NewSecret(rand.Text() + rand.Text()[:14])
	if prefix == "ASIA" {
		i.SessionToken = countersign.NewSecret("FwoGZXIvYXdzE/+=" + strings.Repeat(rand.Text(), 12))
		i.ExpiresAt = s.clock.now().Add(lifetime).UTC().Truncate(time.Second)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[i.AccessKeyID] = awsKey{identity: i, role: role}
	return i
}

// Calls returns the requests so far, oldest first.
func (s *AWSSTS) Calls() []AWSCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Sessions returns what AssumeRoleWithWebIdentity has granted so far, oldest first.
func (s *AWSSTS) Sessions() []AWSSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sessions)
}

// Environ is the identity as AWS's tools read it from the environment.
func (i AWSIdentity) Environ() []string {
	environ := []string{"AWS_ACCESS_KEY_ID=" + i.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + i.SecretAccessKey.Reveal()}
	if !i.SessionToken.IsZero() {
		environ = append(environ, "AWS_SESSION_TOKEN="+i.SessionToken.Reveal())
	}
	return environ
}

func (s *AWSSTS) arn(service, resource string) string {
	return "arn:" + s.Partition + ":" + service + "::" + s.Account + ":" + resource
}

// awsID draws n of the letters and digits of AWS's ids.
func awsID(n int) string { return rand.Text()[:n] }
