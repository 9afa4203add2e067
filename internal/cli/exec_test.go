package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/cli"
)

// execShell runs commands as role document-writer of a fake STS.
func execShell(t *testing.T, f *fakeSTS) (shell, []string) {
	t.Helper()
	sh := shell{t: t, environ: []string{
		"PATH=" + os.Getenv("PATH"), "KEPT=as it was", "AWS_PROFILE=mine", "AWS_ACCESS_KEY_ID=AKIAMINE", "AWS_SECRET_ACCESS_KEY=mine",
		"AWS_SESSION_TOKEN=mine", "AWS_WEB_IDENTITY_TOKEN_FILE=mine", "AWS_ROLE_ARN=mine", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/mine",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_CONFIG_FILE=/mine", "AWS_REGION=eu-central-1", "AWS_DATA_PATH=/mine",
		"AWS_CA_BUNDLE=/kept",
	}}
	return sh, []string{"exec", "--sts", f.URL + "/sts", "--role", "document-writer", "--web-identity-token-file", write(t, "web-token")}
}

func variables(out string) map[string]string {
	got := make(map[string]string)
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		got[name] = value
	}
	return got
}

func TestExecEnvironment(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh, args := execShell(t, f)
	got := variables(sh.want(cli.ExitOK, nil, append(args, "--s3", "http://127.0.0.1:8441", "--", "env")...).stdout)
	for name, want := range map[string]string{
		"KEPT": "as it was", "AWS_CA_BUNDLE": "/kept", "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-central-1",
		"AWS_ENDPOINT_URL_STS": f.URL + "/sts", "AWS_ENDPOINT_URL": f.URL + "/sts", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8441",
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"} {
		if value, there := got[name]; there {
			t.Errorf("%s=%s would go before the role's credentials", name, value)
		}
	}
	if !strings.HasPrefix(got["AWS_CONTAINER_CREDENTIALS_FULL_URI"], "http://127.0.0.1:") || len(got["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) < 26 {
		t.Errorf("no endpoint: %v", got)
	}
	if path, theirs, _ := strings.Cut(got["AWS_DATA_PATH"], ":"); theirs != "/mine" || path == "" {
		t.Errorf("AWS_DATA_PATH %q", got["AWS_DATA_PATH"])
	}
	if _, err := os.Stat(filepath.Dir(got["AWS_CONFIG_FILE"])); !os.IsNotExist(err) || got["AWS_CONFIG_FILE"] == "/mine" {
		t.Errorf("the generated files stay behind: %v", err)
	}
}

// What is not ours goes to the STS, which refuses it, and never to AWS.
func TestExecWithoutAGatewayFailsClosed(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh, args := execShell(t, f)
	const show = `env; cat "$AWS_CONFIG_FILE" "$AWS_SHARED_CREDENTIALS_FILE"; cat "${AWS_DATA_PATH%%:*}"/s3/*/*.json`
	out := sh.want(cli.ExitOK, []string{"signature_version = s3v4", "region = eu-central-1"}, append(args, "--", "sh", "-c", show)...).stdout
	if _, there := variables(out)["AWS_ENDPOINT_URL_S3"]; there || strings.Contains(out, "amazonaws.com") || strings.Count(out, f.URL) < 3 {
		t.Errorf("where does S3 go?\n%s", out)
	}
	out = sh.want(cli.ExitOK, nil, append(args, "--aws-endpoints", "--", "sh", "-c", `env; cat "$AWS_CONFIG_FILE"`)...).stdout
	if strings.Contains(out, "AWS_ENDPOINT_URL") || strings.Contains(out, f.URL) {
		t.Errorf("--aws-endpoints leaves AWS's own:\n%s", out)
	}
}

func TestExecServesTheCredentials(t *testing.T) {
	t.Parallel()
	curl := "curl -s -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\" $AWS_CONTAINER_CREDENTIALS_FULL_URI"
	f := newFakeSTS(t)
	sh, args := execShell(t, f)
	var got map[string]string
	out := sh.want(cli.ExitOK, nil, append(args, "--", "sh", "-c", curl)...).stdout
	if err := json.Unmarshal([]byte(out), &got); err != nil || got["AccessKeyId"] != "ASIAEXAMPLEEXAMPLE00" || got["Token"] != "session==" {
		t.Errorf("%v: %s", err, out)
	}
	all := variables(sh.want(cli.ExitOK, nil, append(args, "--static", "--", "env")...).stdout)
	if all["AWS_SESSION_TOKEN"] != "session==" || all["AWS_ACCESS_KEY_ID"] != "ASIAEXAMPLEEXAMPLE00" || all["AWS_CONTAINER_CREDENTIALS_FULL_URI"] != "" {
		t.Errorf("static: %v", all)
	}
}

func TestExecEndsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh, args := execShell(t, f)
	for name, test := range map[string]struct {
		command []string
		want    int
	}{
		"well":         {[]string{"--", "true"}, 0},
		"badly":        {[]string{"--", "sh", "-c", "exit 7"}, 7},
		"by a signal":  {[]string{"--", "sh", "-c", "kill -9 $$"}, 137},
		"no program":   {[]string{"--", "no-such-program"}, 127},
		"no dashes":    {[]string{"sh", "-c", "exit 3"}, 3},
		"no execution": {[]string{"--", "/etc/passwd"}, 126},
		"nothing":      {[]string{"--"}, cli.ExitUsage},
		"no command":   {nil, cli.ExitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sh := sh
			sh.t = t
			sh.want(test.want, nil, append(args, test.command...)...)
		})
	}
	sh.stdin = "what comes in\n"
	sh.want(0, []string{"what comes in", "and out"}, append(args, "--", "sh", "-c", "cat; echo and out >&2")...)
	sh.want(0, []string{"--role x --help"}, append(args, "--", "echo", "--role", "x", "--help")...)
}

func TestExecRefusedStartsNothing(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	f.refuse = "AccessDenied"
	sh, args := execShell(t, f)
	touched := filepath.Join(t.TempDir(), "touched")
	sh.want(cli.ExitFailed, []string{"AccessDenied"}, append(args, "--", "touch", touched)...)
	if _, err := os.Stat(touched); !os.IsNotExist(err) {
		t.Error("the command ran without credentials")
	}
}

// lineWriter tells of each line that is written.
type lineWriter struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	for {
		line, err := w.text.ReadString('\n')
		if err != nil {
			w.text.WriteString(line)
			return len(p), nil
		}
		w.lines <- strings.TrimSuffix(line, "\n")
	}
}

// start runs a command beside the test until stop.
func (s shell) start(args ...string) (out *lineWriter, stop func() int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	out = &lineWriter{lines: make(chan string, 100)}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Process{Args: args, Environ: s.environ, Stdin: strings.NewReader(s.stdin), Stdout: out, Stderr: io.Discard})
	}()
	return out, func() int { cancel(); return <-ended }
}

// The end of the program reaches the command, which may clean up.
func TestExecPassesTheEndOn(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh, args := execShell(t, f)
	out, stop := sh.start(append(args, "--", "sh", "-c", `trap 'echo cleaned; exit 9' TERM; echo ready; while :; do sleep 0.05; done`)...)
	if line := <-out.lines; line != "ready" {
		t.Fatal(line)
	}
	if code := stop(); code != 9 {
		t.Errorf("exit %d, want the command's own", code)
	}
	if line := <-out.lines; line != "cleaned" {
		t.Errorf("%q: it was not let clean up", line)
	}
}

func TestAgentCommand(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	folder := filepath.Join(t.TempDir(), "agent")
	token := filepath.Join(t.TempDir(), "token.jwt")
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL, "COUNTERSIGN_CLIENT_SECRET=" + secretCanary}}
	out, stop := sh.start("agent", "--service", "nightly", "--role", "document-writer", "--role", "arn:aws:iam::123456789012:role/path/Real",
		"--listen", "127.0.0.1:0", "--folder", folder, "--token-file", token, "--s3", "http://127.0.0.1:8441")
	got := make(map[string][]string)
	instead := ""
	for len(got["AWS_DEFAULT_REGION"]) == 0 {
		line := <-out.lines
		if strings.HasSuffix(line, "export AWS_WEB_IDENTITY_TOKEN_FILE="+token) {
			instead = line
		}
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok && !strings.HasPrefix(line, "#") {
			got[name] = append(got[name], value)
		}
	}
	if len(got["AWS_CONTAINER_CREDENTIALS_FULL_URI"]) != 2 || got["AWS_ENDPOINT_URL_STS"][0] != f.URL+"/sts" ||
		got["AWS_ENDPOINT_URL_S3"][0] != "http://127.0.0.1:8441" || got["AWS_REGION"][0] != "us-east-1" {
		t.Fatalf("%v", got)
	}
	if !strings.HasPrefix(instead, "# ") { // an SDK that has it takes no container's credentials
		t.Errorf("beside the container's credentials: %q", instead)
	}
	secret, err := os.ReadFile(got["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"][0])
	if err != nil {
		t.Fatal(err)
	}
	for i, arn := range []string{"arn:aws:iam::000000000000:role/document-writer", "arn:aws:iam::123456789012:role/path/Real"} {
		r, err := http.NewRequest(http.MethodGet, got["AWS_CONTAINER_CREDENTIALS_FULL_URI"][i], nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", string(secret))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]string
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer["RoleArn"] != arn || answer["AccessKeyId"] != "ASIAEXAMPLEEXAMPLE00" {
			t.Errorf("%v %v", answer, err)
		}
		_ = resp.Body.Close()
	}
	if code := stop(); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
	// Both kinds of use asked for one token each and no more.
	if text, err := os.ReadFile(token); err != nil || string(text) != "service-token" || len(f.tokens) != 1 {
		t.Errorf("token file %q, %v, after %d requests", text, err, len(f.tokens))
	}
}

func TestAgentUsage(t *testing.T) {
	t.Parallel()
	token := write(t, "web-token")
	base := []string{"agent", "--sts", "http://127.0.0.1:1/sts", "--folder", filepath.Join(t.TempDir(), "agent"), "--web-identity-token-file", token}
	sh := shell{t: t}
	sh.want(cli.ExitUsage, []string{"--role"}, base...)
	sh.want(cli.ExitUsage, []string{"a token of a service"}, append(base, "--token-file", token+"x")...)
	sh.want(cli.ExitUsage, []string{"two roles"}, append(base, "--role", "a", "--role", "arn:aws:iam::123456789012:role/a")...)
	for _, listen := range []string{"0.0.0.0:0", ":0", "example.com:0", "127.0.0.1"} {
		sh.want(cli.ExitFailed, []string{"loopback"}, append(base, "--role", "a", "--listen", listen)...)
	}
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	sh.want(cli.ExitFailed, []string{"chmod 700"}, append(base, "--role", "a", "--folder", open)...)
}
