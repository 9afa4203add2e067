package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
)

const secretCanary = "csk_canary-secret-value"

// fakeSTS is a server with a token endpoint and an STS. refuse is the error code that it
// answers with; "" = credentials.
type fakeSTS struct {
	*httptest.Server
	mu     sync.Mutex
	refuse string
	tokens []url.Values // forms at the token endpoint
	basic  []string     // user and password of each
	forms  []url.Values // forms at the STS
	server string       // the last server id
}

func newFakeSTS(t *testing.T) *fakeSTS {
	t.Helper()
	f := &fakeSTS{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		user, password, _ := r.BasicAuth()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tokens, f.basic = append(f.tokens, r.PostForm), append(f.basic, user+" "+password)
		fmt.Fprint(w, `{"access_token":"service-token","token_type":"Bearer","expires_in":900}`)
	})
	mux.HandleFunc("POST /sts", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.forms, f.server = append(f.forms, r.PostForm), r.Header.Get("X-Countersign-Server-Id")
		if f.refuse != "" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `<ErrorResponse><Error><Code>%s</Code><Message>you may not</Message></Error></ErrorResponse>`, f.refuse)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId><SecretAccessKey>se/cr+et</SecretAccessKey><SessionToken>session==</SessionToken>
<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeSTS) form(t *testing.T) url.Values {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.forms) == 0 {
		t.Fatal("the sts was not asked")
	}
	return f.forms[len(f.forms)-1]
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAssumePrints(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	token := write(t, "web-token\n")
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL}}
	env := sh.want(cli.ExitOK, nil, "assume", "--role", "document-writer", "--web-identity-token-file", token).stdout
	for _, line := range []string{
		"export AWS_ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00\n", "export AWS_SECRET_ACCESS_KEY=se/cr+et\n",
		"export AWS_SESSION_TOKEN=session==\n", "export AWS_CREDENTIAL_EXPIRATION=2",
	} {
		if !strings.Contains(env, line) {
			t.Errorf("no %q in\n%s", line, env)
		}
	}
	want := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleSessionName": {"countersign"},
		"RoleArn": {"arn:aws:iam::000000000000:role/document-writer"}, "WebIdentityToken": {"web-token"}}
	if diff := cmp.Diff(want, f.form(t)); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	for form, keys := range map[string]int{"json": 5, "process": 5} {
		out := sh.want(cli.ExitOK, nil, "assume", "--role", "document-writer", "--web-identity-token-file", token, "--output", form).stdout
		var got map[string]any
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != keys || got["AccessKeyId"] != "ASIAEXAMPLEEXAMPLE00" ||
			got["SecretAccessKey"] != "se/cr+et" || got["SessionToken"] != "session==" {
			t.Errorf("%s: %v\n%s", form, err, out)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got["Expiration"])); err != nil || time.Until(at) < 59*time.Minute {
			t.Errorf("%s: expires %v", form, got["Expiration"])
		}
		if form == "process" && got["Version"] != 1.0 {
			t.Errorf("credential_process wants version 1:\n%s", out)
		}
	}
}

// TestAssumeSaysWhereTheCredentialsAreGood: programs that are given nothing else would take
// them to AWS.
func TestAssumeSaysWhereTheCredentialsAreGood(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	token := write(t, "web-token\n")
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL}}
	const sts, s3 = "export AWS_ENDPOINT_URL_STS=", "export AWS_ENDPOINT_URL_S3="
	for name, test := range map[string]struct {
		environ []string
		args    []string
		want    []string
	}{
		"no gateway":            {nil, nil, []string{sts + f.URL + "/sts\n"}},
		"a gateway":             {nil, []string{"--s3", "https://s3.example.com"}, []string{sts + f.URL + "/sts\n", s3 + "https://s3.example.com\n"}},
		"of the environment":    {[]string{"COUNTERSIGN_S3_URL=http://127.0.0.1:8441"}, nil, []string{sts, s3 + "http://127.0.0.1:8441\n"}},
		"AWS's own":             {nil, []string{"--aws-endpoints", "--s3", "https://s3.example.com"}, nil},
		"for a machine to read": {nil, []string{"--output", "json", "--s3", "https://s3.example.com"}, nil},
	} {
		sh := sh
		sh.environ = append(sh.environ[:1:1], test.environ...)
		out := sh.want(cli.ExitOK, nil, append([]string{"assume", "--role", "document-writer", "--web-identity-token-file", token}, test.args...)...).stdout
		for _, line := range test.want {
			if !strings.Contains(out, line) {
				t.Errorf("%s: no %q in\n%s", name, line, out)
			}
		}
		regions := strings.Contains(out, "export AWS_REGION=us-east-1\nexport AWS_DEFAULT_REGION=us-east-1\n")
		if regions != (len(test.want) > 0) {
			t.Errorf("%s: a region is said: %t", name, regions)
		}
		if got := strings.Count(out, "AWS_ENDPOINT_URL"); got != len(test.want) {
			t.Errorf("%s: %d endpoints in\n%s", name, got, out)
		}
	}
	sh.want(cli.ExitUsage, []string{"--s3"}, "assume", "--role", "document-writer", "--web-identity-token-file", token, "--s3", "http://s3.example.com")
}

func TestAssumePassesOn(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	policy := write(t, "{\"Version\":\"2012-10-17\"}\n")
	sh := shell{t: t, stdin: "from-stdin\n", environ: []string{"COUNTERSIGN_ACCOUNT_ID=111122223333"}}
	sh.want(cli.ExitOK, nil, "assume", "--sts", f.URL+"/sts", "--role", "a", "--web-identity-token-file", "-",
		"--duration", "30m", "--session-name", "me@here", "--policy-file", policy)
	form := f.form(t)
	for name, want := range map[string]string{
		"WebIdentityToken": "from-stdin", "DurationSeconds": "1800", "RoleSessionName": "me@here",
		"Policy": `{"Version":"2012-10-17"}`, "RoleArn": "arn:aws:iam::111122223333:role/a",
	} {
		if got := form.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, role := range [][2]string{
		{"arn:aws:iam::123456789012:role/path/Real", "arn:aws:iam::123456789012:role/path/Real"},
		{"b", "arn:aws:iam::999999999999:role/b"},
	} {
		sh.want(cli.ExitOK, nil, "assume", "--sts", f.URL+"/sts", "--role", role[0], "--web-identity-token-file", "-", "--account-id", "999999999999")
		if got := f.form(t).Get("RoleArn"); got != role[1] {
			t.Errorf("role %s became %s", role[0], got)
		}
	}
}

func TestAssumeAsAService(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL, "COUNTERSIGN_CLIENT_SECRET=" + secretCanary}}
	for _, args := range [][]string{{"--service", "nightly"}, {}} {
		if len(args) == 0 {
			sh.environ = append(sh.environ, "COUNTERSIGN_CLIENT_ID=nightly")
		}
		sh.want(cli.ExitOK, nil, append([]string{"assume", "--role", "document-writer"}, args...)...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.basic) != 2 || f.basic[0] != "nightly "+secretCanary || f.tokens[0].Get("audience") != "sts" || f.forms[1].Get("WebIdentityToken") != "service-token" {
		t.Errorf("token endpoint: %v %v; sts: %v", f.basic, f.tokens, f.forms)
	}
}

// A service by its key: the assertion is for the server that was named, whatever that says.
func TestAssumeAsAServiceByItsKey(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL + "/", "COUNTERSIGN_CLIENT_SECRET=" + secretCanary}}
	for _, test := range [][2]string{{"assume", f.URL}, {"token", f.URL}, {"assume", "https://auth.example.com"}} {
		args := []string{test[0], "--service", "nightly", "--private-key-file", path, "--key-id", "2026-11"}
		if test[0] == "assume" {
			args = append(args, "--role", "a")
		}
		if test[1] != f.URL {
			args = append(args, "--issuer", test[1])
		}
		sh.want(cli.ExitOK, nil, args...)
		form := f.tokens[len(f.tokens)-1]
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(form.Get("client_assertion")+"..", ".")[1])
		if !strings.Contains(string(payload), `"aud":"`+test[1]+`"`) || strings.Contains(fmt.Sprint(f.basic), secretCanary) {
			t.Errorf("%s: assertion %s, basic %v", test[0], payload, f.basic)
		}
	}
}

// TestAssumeAdministratorIsNobody: whoever administers the server has no identity that
// mints.
func TestAssumeAdministratorIsNobody(t *testing.T) {
	t.Parallel()
	folder := fakeServer(t, func(request) (int, any) { return 200, nil }).folder
	for _, command := range [][]string{{"assume"}, {"exec", "--", "true"}, {"agent"}} {
		args := append([]string{command[0], "--data", folder, "--role", "document-writer"}, command[1:]...)
		shell{t: t}.want(cli.ExitUsage, []string{"say who proves itself"}, args...)
	}
}

func TestAssumeUsage(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	token := write(t, "web-token")
	file := []string{"--web-identity-token-file", token}
	for name, args := range map[string][]string{
		"no role":              {"--web-identity-token-file", token},
		"two identities":       append([]string{"--role", "a", "--service", "b"}, file...),
		"aws and a file":       append([]string{"--role", "a", "--aws-identity"}, file...),
		"role in capitals":     append([]string{"--role", "Writer"}, file...),
		"role is a path":       append([]string{"--role", "a/b"}, file...),
		"account is no number": append([]string{"--role", "a", "--account-id", "me"}, file...),
		"duration is no time":  append([]string{"--role", "a", "--duration", "3600"}, file...),
		"another output":       append([]string{"--role", "a", "--output", "text"}, file...),
		"aws's flag alone":     append([]string{"--role", "a", "--server-id", "x"}, file...),
		"presigned alone":      append([]string{"--role", "a", "--presigned"}, file...),
		"key id alone":         {"--role", "a", "--service", "b", "--key-id", "x"},
		"no secret":            {"--role", "a", "--service", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL}}.want(cli.ExitUsage, nil, append([]string{"assume"}, args...)...)
		})
	}
	shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL, "COUNTERSIGN_CLIENT_ID=a"}}.
		want(cli.ExitUsage, []string{"contradict"}, "assume", "--role", "a", "--service", "b")
}

func TestAssumeRefused(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	f.refuse = "AccessDenied"
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL, "COUNTERSIGN_CLIENT_SECRET=" + secretCanary}}
	got := sh.want(cli.ExitFailed, []string{"AccessDenied", "you may not"}, "assume", "--role", "a", "--service", "nightly")
	if got.stdout != "" || strings.Contains(got.stderr, secretCanary) || strings.Contains(got.stderr, "service-token") {
		t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
	}
	token := write(t, "web-token")
	for name, args := range map[string][]string{
		"plain http":      {"--sts", "http://auth.example.com/sts", "--web-identity-token-file", token},
		"no such file":    {"--web-identity-token-file", token + "x"},
		"no policy":       {"--web-identity-token-file", token, "--policy-file", token + "x"},
		"session name":    {"--web-identity-token-file", token, "--session-name", "a b"},
		"a day":           {"--web-identity-token-file", token, "--duration", "1d"},
		"nothing on it":   {"--sts", "http://127.0.0.1:1/sts", "--web-identity-token-file", token},
		"empty stdin":     {"--web-identity-token-file", "-"},
		"key is no key":   {"--service", "a", "--private-key-file", token},
		"no server there": {"--server", "http://127.0.0.1:1", "--service", "a"},
	} {
		if got := sh.run(append([]string{"assume", "--role", "a"}, args...)...); got.code != cli.ExitFailed || got.stdout != "" {
			t.Errorf("%s: exit %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
}

// Who gives a policy wants a session that is narrowed: one that is empty, or a file name that is, is
// never taken for none.
func TestRuleD7EmptyPolicyIsNotNone(t *testing.T) {
	t.Parallel()
	f := newFakeSTS(t)
	sh := shell{t: t, environ: []string{"COUNTERSIGN_SERVER=" + f.URL}}
	token := write(t, "web-token")
	for _, text := range []string{"", " \n", "\r\n\t\u00a0\u2028"} {
		sh.want(cli.ExitUsage, []string{"--policy-file", "empty"}, "assume", "--role", "a", "--web-identity-token-file", token, "--policy-file", write(t, text))
	}
	got := sh.run("assume", "--role", "a", "--web-identity-token-file", token, "--policy-file", "")
	f.mu.Lock()
	defer f.mu.Unlock()
	if got.code == cli.ExitOK || got.stdout != "" || len(f.forms) > 0 {
		t.Errorf("exit %d, %d requests\n%s%s", got.code, len(f.forms), got.stdout, got.stderr)
	}
}

// The ambient AWS credentials are those of the process, so this test runs alone.
func TestAssumeAWSIdentity(t *testing.T) {
	f := newFakeSTS(t)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "aws-secret-canary", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	sh := shell{t: t}
	args := []string{"assume", "--sts", f.URL + "/sts", "--role", "document-writer", "--aws-identity"}
	sh.want(cli.ExitUsage, []string{"--server-id"}, args...) // a loopback has no name to bind to
	got := sh.want(cli.ExitOK, nil, append(args, "--server-id", "auth.example.com")...)
	form := f.form(t)
	at, _ := base64.StdEncoding.DecodeString(form.Get("IamRequestUrl"))
	if form.Get("Action") != "AssumeRoleWithAWSIdentity" || f.server != "auth.example.com" || string(at) != "https://sts.eu-central-1.amazonaws.com/" {
		t.Errorf("%v for %q", form, f.server)
	}
	headers, _ := base64.StdEncoding.DecodeString(form.Get("IamRequestHeaders"))
	if all := fmt.Sprint(form, string(headers), got); strings.Contains(all, "aws-secret-canary") {
		t.Error("the secret access key has left the process")
	}
	sh.environ = []string{"COUNTERSIGN_STS_SERVER_ID=from-the-environment"}
	sh.want(cli.ExitOK, nil, append(args, "--presigned", "--aws-sts", "http://127.0.0.1:5000")...)
	at, _ = base64.StdEncoding.DecodeString(f.form(t).Get("IamRequestUrl"))
	if f.server != "from-the-environment" || !strings.HasPrefix(string(at), "http://127.0.0.1:5000/?Action=GetCallerIdentity&") {
		t.Errorf("%s for %q", at, f.server)
	}
}
