package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/agent"
	"github.com/countersign/countersign/internal/telemetry"
	"github.com/countersign/countersign/tokensource"
)

type agentCommand struct {
	login
	s3Gateway
	Role          []string `help:"A role whose credentials it serves, by its name or its ARN; may be repeated." placeholder:"ROLE"`
	Listen        string   `help:"Where it serves them: a loopback address." default:"127.0.0.1:8442" placeholder:"HOST:PORT"`
	Folder        string   `help:"The agent's own folder (mode 0700): the value of the Authorization header is in it." default:"countersign-agent" type:"path" placeholder:"FOLDER"`
	TokenFile     string   `help:"Keep a fresh token of the service in this file, for AWS_WEB_IDENTITY_TOKEN_FILE." type:"path" placeholder:"FILE"`
	TokenAudience string   `help:"The audience of the token in --token-file." default:"sts" placeholder:"NAME"`
	LogLevel      string   `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error"`
}

// Help implements kong.HelpProvider.
func (agentCommand) Help() string {
	return loginHelp + `
Serves the credentials of roles to programs of this machine, in any language: every AWS SDK
asks the agent by itself, and again before they end. It prints the environment that they
need, and ends gracefully on Ctrl-C or SIGTERM. A secret, key or token file is read anew
whenever it is needed.

Example:
  COUNTERSIGN_CLIENT_SECRET_FILE=nightly.secret countersign agent --service nightly --role document-writer
  countersign agent --aws-identity --server https://auth.example.com --role document-writer --role reader
  countersign agent --service nightly --private-key-file nightly.pem --key-id 2026-11 --token-file /run/nightly/token.jwt`
}

// Run implements the command.
func (c *agentCommand) Run(ctx context.Context, p *Process) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return usageError{"--log-level: " + err.Error()}
	}
	logger := telemetry.NewLogger(p.Stderr, level)
	if len(c.Role) == 0 && c.TokenFile == "" {
		return usageError{"say what it serves: --role ROLE, --token-file FILE or both"}
	}
	session, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer session.close()
	session.early = handedOn
	cfg := agent.Config{Listen: c.Listen, Logger: logger}
	if cfg.Roles, err = c.roles(session); err != nil {
		return err
	}
	if cfg.TokenFile, err = c.tokenFile(session, logger); err != nil {
		return err
	}
	header := filepath.Join(c.Folder, "authorization")
	if len(cfg.Roles) > 0 {
		if err := agent.Folder(c.Folder); err != nil {
			return err
		}
		if cfg.Authorization, err = agent.Authorization(header); err != nil {
			return err
		}
	}
	running, err := agent.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := c.firstToken(ctx, cfg.TokenFile); err != nil {
		running.Close()
		return err
	}
	if err := c.say(p, session, running, cfg.Roles, header); err != nil {
		running.Close()
		return err
	}
	keepSmall(p)
	return running.Run(ctx)
}

// keepSmall makes the process small: it works for milliseconds an hour, beside every
// program that it serves. Whoever has set GOGC is left alone.
func keepSmall(p *Process) {
	if p.getenv("GOGC") == "" {
		debug.SetGCPercent(agentGrowth)
	}
	debug.FreeOSMemory() // what the start needed
	dropProgramPages()
}

// agentGrowth is how far the heap of an agent grows between two collections, in percent.
const agentGrowth = 50

func (c *agentCommand) roles(s *session) ([]agent.Role, error) {
	var roles []agent.Role
	for _, name := range c.Role {
		provider, arn, err := s.assume(name)
		if err != nil {
			return nil, err
		}
		for _, other := range roles {
			if other.Name == pathName(arn) {
				return nil, usageError{fmt.Sprintf("two roles are called %s: run an agent for each", other.Name)}
			}
		}
		roles = append(roles, agent.Role{Name: pathName(arn), ARN: arn, Credentials: provider})
	}
	return roles, nil
}

// tokenFile is kept fresh by tokens of a service of ours: others have no source that
// makes any.
func (c *agentCommand) tokenFile(s *session, logger *slog.Logger) (*agent.TokenFile, error) {
	if c.TokenFile == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	source, ok := s.source.(*tokensource.ClientCredentials)
	if !ok {
		return nil, usageError{"--token-file holds a token of a service: say which with --service"}
	}
	return &agent.TokenFile{Path: c.TokenFile, Source: source, Audience: c.TokenAudience, Logger: logger}, nil
}

// firstToken writes the token file before its name is told. A server that is down now does
// not keep the agent from starting: a machine may start in any order.
func (c *agentCommand) firstToken(ctx context.Context, file *agent.TokenFile) error {
	if file == nil {
		return nil
	}
	_, err := file.Write(ctx)
	switch countersign.CodeOf(err) { //nolint:exhaustive // all others are for people
	case countersign.Unavailable, countersign.Upstream, countersign.Throttled:
		return nil // it is tried again, and logged then
	}
	return err
}

// pathName is the last part of a role's ARN: how it is called in a path.
func pathName(arn string) string { return arn[strings.LastIndexAny(arn, "/:")+1:] }

// say prints what programs need in their environment, as lines of a shell.
func (c *agentCommand) say(p *Process, s *session, running *agent.Agent, roles []agent.Role, header string) error {
	endpoints, err := c.endpoints(p, c.login, s.sts)
	if err != nil {
		return err
	}
	var lines []string
	for i, role := range roles {
		if i == 0 {
			lines = append(lines, "export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+shellWord(header),
				`# SDKs of before 2024: export AWS_CONTAINER_AUTHORIZATION_TOKEN="$(cat `+shellWord(header)+`)"`)
		}
		lines = append(lines, "# "+printable(role.ARN), "export AWS_CONTAINER_CREDENTIALS_FULL_URI="+shellWord(running.URL(role.Name)))
	}
	switch line := "export AWS_WEB_IDENTITY_TOKEN_FILE=" + shellWord(c.TokenFile); {
	case c.TokenFile == "":
	case len(roles) > 0: // an SDK with both takes this one, and fails without AWS_ROLE_ARN
		lines = append(lines, "# instead of the container's, with AWS_ROLE_ARN: "+line)
	default:
		lines = append(lines, line)
	}
	for _, pair := range endpoints {
		lines = append(lines, "export "+pair[0]+"="+shellWord(pair[1]))
	}
	if _, err := fmt.Fprintln(p.Stdout, strings.Join(lines, "\n")); err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "the output can't be written", err)
	}
	return nil
}

// shellWord quotes a value for a shell.
func shellWord(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/_.:=+@%-", r)
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
