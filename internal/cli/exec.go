package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/internal/agent"
	"github.com/countersign/countersign/internal/telemetry"
)

// handedOn is when credentials that programs of others are given are replaced: the AWS
// SDKs take what has less than 15 minutes left for as good as expired.
const handedOn = 16 * time.Minute

type execCommand struct {
	login
	s3Gateway
	Role    string   `required:"" help:"The role, by its name or its ARN." placeholder:"ROLE"`
	Region  string   `help:"The AWS region. Default: AWS_REGION, AWS_DEFAULT_REGION, then us-east-1." placeholder:"REGION"`
	Static  bool     `help:"Give the credentials in the environment, for programs that know no container endpoint. They end and are not replaced."`
	Command []string `arg:"" passthrough:"" name:"command" help:"The command to run, behind --."`
}

// Help implements kong.HelpProvider.
func (execCommand) Help() string {
	return loginHelp + `
Runs a command with the credentials of a role. It gets a region, our endpoints, an AWS
config file (s3v4 signatures) and, at an endpoint on loopback that lives as long as it,
credentials that stay fresh. All else of its environment stays, and its exit code is ours.

Example:
  countersign exec --role document-writer --web-identity-token-file token.jwt -- aws s3 ls s3://documents/
  countersign exec --service nightly --role document-writer -- ./backup.sh`
}

// Run implements the command.
func (c *execCommand) Run(ctx context.Context, p *Process) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		return usageError{"say what to run, behind --"}
	}
	session, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer session.close()
	session.early = handedOn
	provider, arn, err := session.assume(c.Role)
	if err != nil {
		return err
	}
	// Before anything is started: a refusal is said here and not by an SDK.
	credentials, err := provider.Retrieve(ctx)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "countersign-exec-") // 0700
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "there is no place for the command's files", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	environ, err := c.environment(p, session, folder)
	if err != nil {
		return err
	}
	if c.Static {
		environ.setStatic(credentials)
		return run(ctx, p, command, environ.list())
	}
	return c.runServed(ctx, p, command, environ, arn, provider)
}

// runServed runs the command beside an endpoint that serves its credentials.
func (c *execCommand) runServed(ctx context.Context, p *Process, command []string, environ *environment, arn string, provider *awscreds.Provider) error {
	secret := countersign.NewSecret(rand.Text()) // 130 bits
	served, err := agent.New(ctx, agent.Config{
		Listen: "127.0.0.1:0", Authorization: secret,
		Roles:  []agent.Role{{Name: pathName(arn), ARN: arn, Credentials: provider}},
		Logger: telemetry.NewLogger(p.Stderr, slog.LevelError),
	})
	if err != nil {
		return err
	}
	environ.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", served.URL(pathName(arn)))
	// Not in a file: SDKs of before 2024 know none, and others warn when there are both.
	environ.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", secret.Reveal())
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); _ = served.Run(serving) }()
	defer func() { stop(); <-ended }()
	return run(ctx, p, command, environ.list())
}

// run runs the command to its end and fails with its exit code.
func run(ctx context.Context, p *Process, command, environ []string) error {
	program, err := lookPath(command[0], environ)
	if err != nil {
		return exitError{127, err}
	}
	child := exec.Command(program, command[1:]...) //nolint:gosec,noctx // the user's own words; it ends by signals, below
	child.Args[0] = command[0]
	child.Env, child.Stdin, child.Stdout, child.Stderr = environ, p.Stdin, p.Stdout, p.Stderr
	child.WaitDelay = time.Second // a grandchild that keeps a pipe open
	if err := child.Start(); err != nil {
		return exitError{126, countersign.WrapError(countersign.Unavailable, "", command[0]+" can't be started", err)}
	}
	stop := passSignals(ctx, p, child.Process)
	err = child.Wait()
	stop()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError{128 + int(status.Signal()), silentError{}} // as shells have it
	}
	return exitError{exit.ExitCode(), silentError{}}
}

// lookPath finds the program where the child's own PATH says.
func lookPath(name string, environ []string) (string, error) {
	if filepath.Base(name) != name {
		return name, nil
	}
	child := Process{Environ: environ}
	for _, folder := range filepath.SplitList(child.getenv("PATH")) {
		path := filepath.Join(folder, name)
		if folder == "" || !filepath.IsAbs(path) {
			continue // never the working directory
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", countersign.NewError(countersign.NotFound, "", "there is no program "+printable(name))
}

// passSignals hands signals on to the child until stop is called. What a terminal's user
// types reaches the child by itself.
func passSignals(ctx context.Context, p *Process, child *os.Process) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		cancelled := ctx.Done()
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if !p.Terminal || s != syscall.SIGINT && s != syscall.SIGQUIT {
					_ = child.Signal(s)
				}
				cancelled = nil // the signal is why
			case <-cancelled:
				cancelled = nil
				select {
				case s := <-signals:
					signals <- s // the context learnt of it first
				case <-done:
				case <-time.After(100 * time.Millisecond):
					_ = child.Signal(syscall.SIGTERM)
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}
