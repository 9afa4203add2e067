//go:build clients

package clients

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// agentRig is a countersign agent of the world's service, with a second role.
type agentRig struct {
	stsWorld

	base, authorization, tokenFile string
}

const readerRole = "document-reader"

func newAgent(t *testing.T) agentRig {
	t.Helper()
	w := newSTSWorld(t)
	w.srv.Apply(t, `
kind: Role
name: document-reader
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	folder := filepath.Join(t.TempDir(), "agent")
	r := agentRig{stsWorld: w, tokenFile: filepath.Join(t.TempDir(), "token.jwt")}
	command := foreign.Countersign(t, foreign.Environ("COUNTERSIGN_CLIENT_SECRET="+w.service.Secret.Reveal()), "agent",
		"--server", w.srv.URL, "--service", "document-service", "--role", "document-writer", "--role", readerRole,
		"--listen", "127.0.0.1:0", "--folder", folder, "--token-file", r.tokenFile)
	r.base = foreign.Start(t, command, regexp.MustCompile(`http://127\.0\.0\.1:\d+`))
	r.authorization = filepath.Join(folder, "authorization")
	return r
}

// environ is what the agent prints, for clients of both generations.
func (r agentRig) environ(t *testing.T, base string, old bool) []string {
	t.Helper()
	environ := foreign.Environ("AWS_CONTAINER_CREDENTIALS_FULL_URI="+base+"/role/document-writer", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_STS="+r.endpoint())
	if !old {
		return append(environ, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+r.authorization)
	}
	value, err := os.ReadFile(r.authorization)
	if err != nil {
		t.Fatal(err)
	}
	return append(environ, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+strings.TrimSpace(string(value)))
}

// ending stands before the agent and says of all credentials that they end in two
// minutes. From the second question on it asks for the other role: who is that one then
// has refreshed.
func (r agentRig) ending(t *testing.T) string {
	t.Helper()
	address, err := url.Parse(r.base)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	return serve(t, &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(address)
			if asked.Add(1) > 1 {
				p.Out.URL.Path = "/role/" + readerRole
			}
		},
		ModifyResponse: shorten,
	})
}

// TestAgentGivesCredentialsToAWSsClients: each of them by the environment alone but for
// the endpoint of our STS, which the older ones must be told. Each is asked twice: at
// the agent itself, and where it must refresh.
func TestAgentGivesCredentialsToAWSsClients(t *testing.T) {
	t.Parallel()
	r := newAgent(t)
	cli := func(program string, args ...string) func(*testing.T, []string) string {
		return func(t *testing.T, environ []string) string {
			var who caller
			decode(t, foreign.Output(t, foreign.Command(t, environ, program, append(args, "sts", "get-caller-identity")...)), &who)
			return who.Arn
		}
	}
	python := func(program string, args ...string) func(*testing.T, []string) string {
		return func(t *testing.T, environ []string) string {
			args := append([]string{filepath.Join("testdata", "boto3_client.py"), "2"}, args...)
			lines := decodeLines(t, foreign.Output(t, foreign.Command(t, environ, program, args...)))
			return lines[1].Arn
		}
	}
	tests := map[string]struct {
		run func(*testing.T, []string) string
		old bool
	}{
		"Debian's CLI":   {cli(debianCLI, "--endpoint-url", r.endpoint()), true},
		"Debian's boto3": {python(debianPython, r.endpoint()), true},
		"JavaScript": {func(t *testing.T, environ []string) string {
			lines := r.node(t, environ, "http", "2")
			return lines[1].Arn
		}, false},
		"the newer CLI": {func(t *testing.T, environ []string) string {
			return cli(newer(t, "aws", debianCLI))(t, environ)
		}, false},
		"the newer boto3": {func(t *testing.T, environ []string) string {
			return python(newer(t, "python3", debianPython))(t, environ)
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isSession(t, test.run(t, r.environ(t, r.base, test.old)))
			if arn := test.run(t, r.environ(t, r.ending(t), test.old)); !strings.Contains(arn, ":assumed-role/"+readerRole+"/") {
				t.Errorf("it did not refresh: %s", arn)
			}
		})
	}
}

// TestRuleG7TheAgentsEndpointIsClosed to whoever does not know the value, and to pages
// of browsers.
func TestRuleG7TheAgentsEndpointIsClosed(t *testing.T) {
	t.Parallel()
	r := newAgent(t)
	value, err := os.ReadFile(r.authorization)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.authorization); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the value: %v %v", info, err)
	}
	ask := func(change func(*http.Request)) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.base+"/role/document-writer", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", strings.TrimSpace(string(value)))
		change(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if got := ask(func(*http.Request) {}); got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	for name, change := range map[string]func(*http.Request){
		"no value":       func(r *http.Request) { r.Header.Del("Authorization") },
		"another value":  func(r *http.Request) { r.Header.Set("Authorization", strings.Repeat("A", 26)) },
		"another host":   func(r *http.Request) { r.Host = "agent.example.com" },
		"localhost":      func(r *http.Request) { r.Host = "localhost:" + r.URL.Port() },
		"a page":         func(r *http.Request) { r.Header.Set("Origin", "https://example.com") },
		"a browser":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
		"a proxy":        func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
		"another method": func(r *http.Request) { r.Method = http.MethodPost },
		"another role":   func(r *http.Request) { r.URL.Path = "/role/none" },
	} {
		if got := ask(change); got < 400 || got > 499 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// TestAgentsTokenFileIsAWebIdentity for a client that knows nothing else.
func TestAgentsTokenFileIsAWebIdentity(t *testing.T) {
	t.Parallel()
	r := newAgent(t)
	lines := r.node(t, r.stsWorld.environ("AWS_WEB_IDENTITY_TOKEN_FILE="+r.tokenFile), "token", "1")
	isSession(t, lines[0].Arn)
}

// TestExecRunsBothAWSCLIs: what `countersign exec` sets is enough for the older one too.
func TestExecRunsBothAWSCLIs(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	run := func(t *testing.T, command ...string) string {
		t.Helper()
		args := append([]string{"exec", "--server", w.srv.URL, "--role", "document-writer", "--web-identity-token-file", w.tokenFile, "--"}, command...)
		return foreign.Output(t, foreign.Countersign(t, foreign.Environ(), args...))
	}
	for name, find := range map[string]func(*testing.T) string{
		"Debian's":  func(*testing.T) string { return debianCLI },
		"the newer": func(t *testing.T) string { return newer(t, "aws", debianCLI) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cli := find(t)
			var who caller
			decode(t, run(t, cli, "sts", "get-caller-identity"), &who)
			isSession(t, who.Arn)
		})
	}
}

// TestCredentialProcessOfBothAWSCLIs: `countersign assume --output process` in the config
// file of AWS's tools.
func TestCredentialProcessOfBothAWSCLIs(t *testing.T) {
	t.Parallel()
	w := newSTSWorld(t)
	config := filepath.Join(t.TempDir(), "config")
	line := strings.Join([]string{"env", "RUN_AS_COUNTERSIGN=1", os.Args[0], "assume", "--server", w.srv.URL, "--role", "document-writer",
		"--web-identity-token-file", w.tokenFile, "--output", "process"}, " ")
	if err := os.WriteFile(config, []byte("[default]\nregion = us-east-1\ncredential_process = "+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, find := range map[string]func(*testing.T) string{
		"Debian's":  func(*testing.T) string { return debianCLI },
		"the newer": func(t *testing.T) string { return newer(t, "aws", debianCLI) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var who caller
			decode(t, foreign.Output(t, foreign.Command(t, foreign.Environ("AWS_CONFIG_FILE="+config), find(t),
				"--endpoint-url", w.endpoint(), "sts", "get-caller-identity")), &who)
			isSession(t, who.Arn)
		})
	}
}
