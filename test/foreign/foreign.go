//go:build clients

// Package foreign starts the programs that nobody here wrote: AWS's own clients and
// emulators of AWS, each of them without what the machine's environment would tell it.
package foreign

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/demo"
)

// asProgram makes a test binary behave as countersign.
const asProgram = "RUN_AS_COUNTERSIGN"

// Main is the TestMain of a package that calls [Countersign].
func Main(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, cli.Process{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Demo: demo.Run,
	}))
}

// Countersign is the program itself, as a command.
func Countersign(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	return Command(t, append(environ, asProgram+"=1"), os.Args[0], args...)
}

// Root is the folder of the repository.
func Root(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// NPM is the folder of what scripts/install-tools.sh installed from npm.
func NPM(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(Root(t), ".tools", "npm")
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		t.Fatalf("scripts/install-tools.sh .tools has not run: %v", err)
	}
	return folder
}

// hidden begins the variables that children do not inherit: whose certificates, which
// region and credentials this machine uses is no part of a test.
var hidden = []string{
	"AWS_", "REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE=", "COUNTERSIGN_", "HTTP_PROXY=", "HTTPS_PROXY=", "ALL_PROXY=",
	"http_proxy=", "https_proxy=", "all_proxy=", "NO_PROXY=", "no_proxy=",
}

// Environ is the environment of a foreign program: this one's without what is hidden,
// and with more.
func Environ(more ...string) []string {
	environ := []string{
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "NO_PROXY=127.0.0.1,localhost",
	}
next:
	for _, entry := range os.Environ() {
		for _, prefix := range hidden {
			if strings.HasPrefix(entry, prefix) {
				continue next
			}
		}
		environ = append(environ, entry)
	}
	return append(environ, more...)
}

// commandTime bounds every foreign program.
const commandTime = 5 * time.Minute

// Command is a foreign program that the test ends if it doesn't end by itself. Its home is a
// folder of the test: the AWS CLI keeps the credentials of web identities in ~/.aws, and
// would take those of another run for its own.
func Command(t *testing.T, environ []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // tests choose what they run
	command.Env = append(slices.Clone(environ), "HOME="+t.TempDir())
	command.WaitDelay = 10 * time.Second
	return command
}

// Output runs a command that must succeed and returns what it prints to stdout.
func Output(t *testing.T, command *exec.Cmd) string {
	t.Helper()
	stdout, stderr, err := Try(command)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(command.Path), strings.Join(command.Args[1:], " "), err, stdout, stderr)
	}
	return stdout
}

// Try runs a command and returns what it prints.
func Try(command *exec.Cmd) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	err = command.Run()
	return out.String(), errOut.String(), err
}

// Start runs a server until the test ends, and returns what matches address in its
// first lines, once it is there.
func Start(t *testing.T, command *exec.Cmd, address *regexp.Regexp) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = write, write
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	if err := command.Start(); err != nil {
		_, _ = read.Close(), write.Close()
		t.Fatalf("start %s: %v", command.Path, err)
	}
	_ = write.Close()
	log := &lines{address: address, found: make(chan string, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		log.follow(read)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		_ = read.Close()
		<-done
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(command.Path), log.text())
		}
	})
	select {
	case found := <-log.found:
		return found
	case <-done:
		t.Fatalf("%s ended:\n%s", command.Path, log.text())
	case <-time.After(time.Minute):
		t.Fatalf("%s did not say where it listens:\n%s", command.Path, log.text())
	}
	return ""
}

// maxLog bounds what is kept of what a server prints.
const maxLog = 64 << 10

type lines struct {
	address *regexp.Regexp
	found   chan string

	mu   sync.Mutex
	kept bytes.Buffer
}

func (l *lines) follow(r io.Reader) {
	scanner := bufio.NewScanner(r)
	searching := true
	for scanner.Scan() {
		l.mu.Lock()
		if l.kept.Len() < maxLog {
			l.kept.WriteString(scanner.Text() + "\n")
		}
		l.mu.Unlock()
		if match := l.address.FindString(scanner.Text()); searching && match != "" {
			searching = false
			l.found <- match
		}
	}
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

// FreePort is a port of loopback that nobody used a moment ago, for programs that must
// be told one.
func FreePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

var loopbackURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// Moto starts the AWS emulator moto and returns its URL. It is the only program of these
// tests that Debian and npm don't have: where neither moto_server nor pip can bring it,
// the test is skipped, and says so.
func Moto(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath(filepath.Join(Root(t), ".tools", "moto", "bin", "moto_server"))
	if err != nil {
		program, err = exec.LookPath("moto_server")
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		t.Skip("SKIPPED: there is no moto_server here and pip could not install it: nothing of moto is tested")
	}
	return Start(t, Command(t, Environ(), program, "-H", "127.0.0.1", "-p", "0"), loopbackURL)
}

// MotoChecksSignatures switches the SigV4 and IAM checks of a moto on: from now on it
// refuses who is not an IAM user or session of its own.
func MotoChecksSignatures(t *testing.T, moto string) {
	t.Helper()
	response, err := http.Post(moto+"/moto-api/reset-auth", "text/plain", strings.NewReader("0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("reset-auth: %s", response.Status)
	}
}

// CognitoLocal starts the Cognito emulator cognito-local, whose users have names, and
// returns its URL.
func CognitoLocal(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, ".cognito"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := `{"UserPoolDefaults": {"UsernameAttributes": []}}`
	if err := os.WriteFile(filepath.Join(folder, ".cognito", "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command := Command(t, Environ("HOST=127.0.0.1", "PORT="+FreePort(t)), "node",
		filepath.Join(NPM(t), "node_modules", "cognito-local", "lib", "bin", "start.js"))
	command.Dir = folder
	return Start(t, command, loopbackURL)
}
