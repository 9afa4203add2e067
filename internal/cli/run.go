package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/countersign/countersign"
)

// Process is what the operating system gives to a program.
type Process struct {
	// Args are the arguments without the program's name; Environ is NAME=VALUE.
	Args, Environ  []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal: Stdin is one, so that what needs a yes may ask there.
	Terminal bool
	// Demo runs the demo command. It comes from outside, since package demo stands
	// beside this one.
	Demo func(ctx context.Context, out io.Writer, once bool) error
}

// Exit codes of the program.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// commands is the whole command line.
type commands struct {
	Serve      serveCommand      `cmd:"" help:"Run the server."`
	Demo       demoCommand       `cmd:"" help:"Play the whole story on this machine."`
	Init       initCommand       `cmd:"" help:"Write a config file with every key and its default."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database's schema up to date."`
	Backup     backupCommand     `cmd:"" help:"Write the whole database into a file."`
	Restore    restoreCommand    `cmd:"" help:"Make the database from a backup; a new epoch begins."`
	Apply      applyCommand      `cmd:"" help:"Make resource documents hold."`
	Diff       diffCommand       `cmd:"" help:"Show what apply would change."`
	Check      checkCommand      `cmd:"" help:"Find dangerous trust and mistakes in resource documents."`
	Get        getCommand        `cmd:"" help:"Show one object, or all of a kind."`
	Delete     deleteCommand     `cmd:"" help:"Delete an object."`
	Service    serviceCommand    `cmd:"" help:"Create, rotate, disable and enable services."`
	AccessKey  accessKeyCommand  `cmd:"" help:"Make long-lived keys for the S3 gateway."`
	Token      tokenCommand      `cmd:"" help:"Get a service token."`
	Assume     assumeCommand     `cmd:"" help:"Trade a proof of identity for temporary credentials."`
	Exec       execCommand       `cmd:"" help:"Run a command with the credentials of a role."`
	Agent      agentCommand      `cmd:"" help:"Serve the credentials of roles to the programs of this machine."`
	Verify     verifyCommand     `cmd:"" help:"Say who a token is about and whether it is valid."`
	Revoke     revokeCommand     `cmd:"" help:"End tokens before they expire."`
	Keys       keysCommand       `cmd:"" help:"List and rotate signing keys."`
	Audit      auditCommand      `cmd:"" help:"Read and verify the audit log."`
	Cognito    cognitoCommand    `cmd:"" help:"Set up Amazon Cognito as the source of services' identities."`
	Login      loginCommand      `cmd:"" help:"Administer a server elsewhere, by a one-time code."`
	LoginCode  loginCodeCommand  `cmd:"" help:"Make a one-time code for a login from elsewhere."`
	Logout     logoutCommand     `cmd:"" help:"End a login, and forget its key."`
	Context    contextCommand    `cmd:"" help:"Name servers, and choose the one to talk to."`
	Completion completionCommand `cmd:"" help:"Print the completion script of a shell."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// Run parses the arguments and runs one command. It returns the exit code; errors
// have been printed by then. A cancelled ctx ends serve and demo gracefully.
func Run(ctx context.Context, p Process) int {
	var grammar commands
	exit := -1
	parser, err := kong.New(&grammar,
		kong.Name("countersign"),
		kong.Description("Service-to-service authentication: every service proves who it is, and the receiver checks user and calling service at every call."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(code int) { exit = code; panic(exited{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&p),
	)
	if err != nil {
		_, _ = fmt.Fprintln(p.Stderr, "countersign:", err)
		return ExitFailed
	}
	parsed, err := parse(parser, p.Args)
	if exit >= 0 {
		return exit // --help
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.Stderr, "countersign: %s\n  try: countersign --help\n", err)
		return ExitUsage
	}
	if err := parsed.Run(); err != nil {
		return report(p.Stderr, err)
	}
	return ExitOK
}

// exited unwinds out of kong, whose Exit hook is expected not to return.
type exited struct{}

func parse(parser *kong.Kong, args []string) (parsed *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exited); !ok {
				panic(r)
			}
		}
	}()
	return parser.Parse(args)
}

// usageError is a wrong combination of arguments that the grammar can't express.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// silentError fails a command whose output has said everything already.
type silentError struct{}

func (silentError) Error() string { return "failed" }

// exitError fails a command with another exit code than its error would.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }

func (e exitError) Unwrap() error { return e.err }

func report(stderr io.Writer, err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		report(stderr, exit.err)
		return exit.code
	}
	var usage usageError
	if errors.As(err, &usage) {
		_, _ = fmt.Fprintf(stderr, "countersign: %s\n", usage.text)
		return ExitUsage
	}
	var silent silentError
	if !errors.As(err, &silent) {
		_, _ = fmt.Fprintf(stderr, "countersign: %s\n", describe(err))
	}
	return ExitFailed
}

// describe prefers the message that is meant for people, with the cause behind it
// where that says more: whoever runs the command line may see both.
func describe(err error) string {
	var e *countersign.Error
	if errors.As(err, &e) {
		text := e.Error()
		if e.Reason != "" && !strings.Contains(text, string(e.Reason)) {
			text += " (" + string(e.Reason) + ")"
		}
		return text
	}
	return err.Error()
}

// getenv returns the last value of an environment variable.
func (p *Process) getenv(name string) string {
	value := ""
	for _, entry := range p.Environ {
		if key, v, ok := strings.Cut(entry, "="); ok && key == name {
			value = v
		}
	}
	return value
}
