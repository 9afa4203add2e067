//go:build clients

package clients

import (
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/test/foreign"
)

func TestMain(m *testing.M) { foreign.Main(m) }

// Where the older generation of AWS's clients is: Debian's. The newer one is whatever
// comes first in the PATH, if that is another.
const (
	debianCLI    = "/usr/bin/aws"
	debianPython = "/usr/bin/python3"
)

const (
	roleARN = "arn:aws:iam::000000000000:role/document-writer"
	account = "000000000000"
)

// stsWorld is a server with a role for one service, which holds a token in a file, and
// for AWS identities of a double.
type stsWorld struct {
	srv       *authtest.Server
	aws       *authtest.AWSSTS
	service   *authtest.Identity
	tokenFile string
}

func newSTSWorld(t *testing.T) stsWorld {
	t.Helper()
	double := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	srv := authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=auth.example.com", "COUNTERSIGN_STS_AWS_ENDPOINTS="+double.URL)
	service := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"sts", "parse-service"}})
	srv.Apply(t, `
kind: Role
name: document-writer
trust:
  - service: {names: [document-service]}
  - aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/lambda/*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`)
	w := stsWorld{srv: srv, aws: double, service: service, tokenFile: filepath.Join(t.TempDir(), "token.jwt")}
	if err := os.WriteFile(w.tokenFile, []byte(service.Token(t, "sts").Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// endpoint is where the STS is.
func (w stsWorld) endpoint() string { return w.srv.URL + "/sts" }

// environ is what INTERFACE tells people to set.
func (w stsWorld) environ(more ...string) []string {
	return foreign.Environ(append([]string{
		"AWS_ENDPOINT_URL_STS=" + w.endpoint(), "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ROLE_ARN=" + roleARN, "AWS_WEB_IDENTITY_TOKEN_FILE=" + w.tokenFile, "NPM=" + filepath.Join(".tools", "npm"),
	}, more...)...)
}

// isSession fails unless arn is a session of the role.
func isSession(t *testing.T, arn string) {
	t.Helper()
	if !strings.HasPrefix(arn, "arn:aws:sts::"+account+":assumed-role/document-writer/") {
		t.Errorf("the session's ARN is %s", arn)
	}
}

// newer finds a program of the newer generation: one in the PATH that is not Debian's.
// The machine may have none: then Debian's is all there is.
func newer(t *testing.T, name, debians string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil || found == debians {
		t.Skipf("SKIPPED: there is no %s here besides Debian's own", name)
	}
	return found
}

type caller struct{ Arn, Account, UserId string }

// TestNewAWSCLIByEnvironmentAlone is the first line of the acceptance.
func TestNewAWSCLIByEnvironmentAlone(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	cli := newer(t, "aws", debianCLI)
	var who caller
	decode(t, foreign.Output(t, foreign.Command(t, w.environ(), cli, "sts", "get-caller-identity")), &who)
	isSession(t, who.Arn)
	if who.Account != account {
		t.Errorf("account %s", who.Account)
	}
	// With a session of its own: key info, and a secret that is wrong.
	session := w.assumeByCLI(t, cli)
	key := []string{"sts", "get-access-key-info", "--access-key-id", session.AccessKeyId, "--output", "text"}
	if got := foreign.Output(t, foreign.Command(t, session.environ(w), cli, key...)); strings.TrimSpace(got) != account {
		t.Errorf("account of the key: %q", got)
	}
	session.SecretAccessKey = "wrong"
	w.cliRefuses(t, cli, session.environ(w), "SignatureDoesNotMatch", "sts", "get-caller-identity")
	// A token that is revoked assumes nothing.
	w.srv.DisableService(t, "document-service")
	w.cliRefuses(t, cli, w.environ(), "", "sts", "get-caller-identity")
}

// TestOldAWSCLIByEndpointURL: Debian's ignores AWS_ENDPOINT_URL_STS.
func TestOldAWSCLIByEndpointURL(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	session := w.assumeByCLI(t, debianCLI)
	var who caller
	decode(t, foreign.Output(t, foreign.Command(t, session.environ(w), debianCLI, "--endpoint-url", w.endpoint(), "sts", "get-caller-identity")), &who)
	isSession(t, who.Arn)
	w.cliRefuses(t, debianCLI, foreign.Environ("AWS_DEFAULT_REGION=us-east-1"), "InvalidIdentityToken", "--endpoint-url", w.endpoint(), "sts", "assume-role-with-web-identity",
		"--role-arn", roleARN, "--role-session-name", "cli", "--web-identity-token", "not.a.token")
}

type cliSession struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }

func (s cliSession) environ(w stsWorld) []string {
	return foreign.Environ("AWS_ENDPOINT_URL_STS="+w.endpoint(), "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID="+s.AccessKeyId, "AWS_SECRET_ACCESS_KEY="+s.SecretAccessKey, "AWS_SESSION_TOKEN="+s.SessionToken)
}

func (w stsWorld) assumeByCLI(t *testing.T, cli string) cliSession {
	t.Helper()
	token, err := os.ReadFile(w.tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ Credentials cliSession }
	decode(t, foreign.Output(t, foreign.Command(t, foreign.Environ("AWS_DEFAULT_REGION=us-east-1"), cli, "--endpoint-url", w.endpoint(), "sts",
		"assume-role-with-web-identity", "--role-arn", roleARN, "--role-session-name", "cli", "--web-identity-token", strings.TrimSpace(string(token)),
		"--duration-seconds", "900")), &reply)
	if !strings.HasPrefix(reply.Credentials.AccessKeyId, "ASIA") {
		t.Errorf("access key %q", reply.Credentials.AccessKeyId)
	}
	return reply.Credentials
}

// cliRefuses runs a command that must fail with AWS's code.
func (w stsWorld) cliRefuses(t *testing.T, cli string, environ []string, code string, args ...string) {
	t.Helper()
	out, errOut, err := foreign.Try(foreign.Command(t, environ, cli, args...))
	if err == nil || !strings.Contains(errOut, code) {
		t.Errorf("aws %v: %v, want %s\n%s%s", args, err, code, out, errOut)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// line is one line of what the scripts of testdata print.
type line struct {
	Arn, Account, Key, Refused, Version string
	Sent, Path, Assumed, WebToken       string
	Hash                                bool
	Query                               int
	Expires                             int64
}

func decodeLines(t *testing.T, text string) []line {
	t.Helper()
	var all []line
	for text := range strings.Lines(text) {
		var l line
		decode(t, text, &l)
		all = append(all, l)
	}
	return all
}

// TestNewBoto3ByEnvironmentAlone also refreshes: what gives it credentials says that they
// end soon.
func TestNewBoto3ByEnvironmentAlone(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	python := newer(t, "python3", debianPython)
	short := shortLived(t, w.srv.URL)
	script := filepath.Join("testdata", "boto3_client.py")
	for _, endpoint := range []string{w.endpoint(), short + "/sts"} {
		lines := decodeLines(t, foreign.Output(t, foreign.Command(t, w.environ("AWS_ENDPOINT_URL_STS="+endpoint), python, script, "2")))
		if len(lines) != 3 || lines[2].Refused != "SignatureDoesNotMatch" {
			t.Fatalf("%+v", lines)
		}
		isSession(t, lines[0].Arn)
		if refreshed := lines[0].Key != lines[1].Key; refreshed != strings.HasPrefix(endpoint, short) {
			t.Errorf("%s: keys %s %s", endpoint, lines[0].Key, lines[1].Key)
		}
	}
}

func TestOldBoto3ByEndpointURL(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	lines := decodeLines(t, foreign.Output(t, foreign.Command(t, foreign.Environ("AWS_DEFAULT_REGION=us-east-1", "ROLE_ARN="+roleARN, "TOKEN_FILE="+w.tokenFile),
		debianPython, filepath.Join("testdata", "boto3_client.py"), "1", w.endpoint())))
	if len(lines) != 2 || lines[1].Refused != "SignatureDoesNotMatch" {
		t.Fatalf("%+v", lines)
	}
	isSession(t, lines[0].Arn)
}

func (w stsWorld) node(t *testing.T, environ []string, args ...string) []line {
	t.Helper()
	command := foreign.Command(t, append(environ, "NPM="+foreign.NPM(t)), "node", append([]string{filepath.Join("testdata", "aws_client.mjs")}, args...)...)
	return decodeLines(t, foreign.Output(t, command))
}

// TestJavaScriptTakesTheStepsOfAWSsCIAction: AssumeRoleWithWebIdentity, then a signed
// GetCallerIdentity. The SDK puts a slash behind the path; the hash of the body is sent by
// this version of it, and not by others.
func TestJavaScriptTakesTheStepsOfAWSsCIAction(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	var sent, refused []line
	var assumed, who, web line
	for _, l := range w.node(t, w.environ(), "ci") {
		switch {
		case l.Sent != "":
			sent = append(sent, l)
		case l.Refused != "":
			refused = append(refused, l)
		case l.Assumed != "":
			assumed = l
		case l.WebToken != "":
			web = l
		default:
			who = l
		}
	}
	if assumed.Assumed != "arn:aws:sts::000000000000:assumed-role/document-writer/GitHubActions" || who.Arn != assumed.Assumed || who.Account != account {
		t.Errorf("assumed %+v, is %+v", assumed, who)
	}
	if left := time.Until(time.UnixMilli(assumed.Expires)); left < 55*time.Minute || left > time.Hour+time.Second {
		t.Errorf("expires in %s", left)
	}
	if !strings.HasPrefix(web.WebToken, "ASIA") {
		t.Errorf("fromWebToken: %+v", web)
	}
	if len(sent) < 3 || sent[1].Path != "/sts/" || sent[2].Path != "/sts/" || sent[2].Sent != http.MethodPost || sent[2].Hash || sent[2].Query != 0 {
		t.Errorf("what the SDK sends is not what this test is about: %+v", sent)
	}
	if len(refused) != 3 || refused[0].Refused != "InvalidIdentityTokenException" || refused[1].Refused != "ValidationError" || refused[2].Refused != "AccessDenied" {
		t.Errorf("refusals: %+v", refused)
	}
}

func TestJavaScriptByEnvironmentAlone(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	lines := w.node(t, w.environ("AWS_ENDPOINT_URL_STS="+shortLived(t, w.srv.URL)+"/sts"), "token", "2")
	if len(lines) != 2 || lines[0].Key == lines[1].Key {
		t.Errorf("not refreshed: %+v", lines)
	}
	for _, l := range lines {
		isSession(t, l.Arn)
	}
}

// TestGoSDKByEnvironmentAlone reads the real environment, so it runs alone.
func TestGoSDKByEnvironmentAlone(t *testing.T) {
	w := newSTSWorld(t)
	for _, name := range []string{"AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	for _, entry := range w.environ() {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, value)
		}
	}
	// The window is wider than the life of a session: each use gets another one.
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 2 * time.Hour
	}))
	if err != nil {
		t.Fatal(err)
	}
	client := sts.NewFromConfig(cfg)
	keys := make(map[string]bool)
	for range 2 {
		who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		isSession(t, *who.Arn)
		credentials, err := cfg.Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		keys[credentials.AccessKeyID] = true
	}
	if len(keys) != 2 {
		t.Errorf("keys: %v", keys)
	}
}

var (
	xmlExpiration  = regexp.MustCompile(`<Expiration>[^<]*</Expiration>`)
	jsonExpiration = regexp.MustCompile(`"Expiration"\s*:\s*"[^"]*"`)
)

// shortLived stands before a server and says of all credentials that they end in two
// minutes: too soon for any client to keep them.
func shortLived(t *testing.T, target string) string {
	t.Helper()
	address, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(address)
			if r.In.Header.Get("Authorization") != "" && !strings.HasPrefix(r.In.Header.Get("Authorization"), "AWS4") {
				return // the container endpoint, which wants its own host
			}
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: shorten,
	}
	return serve(t, proxy)
}
