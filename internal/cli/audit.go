package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/iamclient"
)

type auditCommand struct {
	Query  auditQuery  `cmd:"" help:"Show audit events."`
	Verify auditVerify `cmd:"" help:"Check that no event was edited, removed or cut off."`
}

type auditQuery struct {
	target
	output
	Since    string `help:"Only events since then: a time (2026-11-23T06:00:00Z) or an age (24h)." placeholder:"TIME"`
	Until    string `help:"Only events until then." placeholder:"TIME"`
	Service  string `help:"Only events with this calling service."`
	User     string `help:"Only events with this user (the subject)."`
	Target   string `help:"Only events about this target."`
	Action   string `help:"Only this action: token, introspect, call, service.create, …"`
	Decision string `help:"Only this decision: issued, refused, allowed, denied, changed."`
	Reason   string `help:"Only this reason: service_not_allowed, secret_wrong, …"`
	ID       string `help:"Only the event with this id: the request id that a caller was told."`
	Limit    int    `help:"At most so many events: the newest." default:"100"`
	Follow   bool   `help:"Go on and show events as they come, until Ctrl-C."`
}

// Help implements kong.HelpProvider.
func (auditQuery) Help() string {
	return `With --output json it prints JSON Lines, one event a line.

Example:
  countersign audit query --follow
  countersign audit query --decision denied --since 24h --output json`
}

// Run implements the command.
func (c *auditQuery) Run(ctx context.Context, p *Process) error {
	query, err := c.query(time.Now())
	if err != nil {
		return err
	}
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		page, err := client.AuditEvents(ctx, query)
		if err != nil {
			if c.Follow && errors.Is(ctx.Err(), context.Canceled) {
				return nil // Ctrl-C is how following ends
			}
			return err
		}
		if err := c.print(p.Stdout, page.Events); err != nil {
			return err
		}
		if !c.Follow {
			return nil
		}
		query.After, query.Newest, query.Wait, query.Limit = page.After, false, 20*time.Second, 1000
	}
}

func (c *auditQuery) query(now time.Time) (iamclient.AuditQuery, error) {
	if c.Limit < 1 || c.Limit > 1000 {
		return iamclient.AuditQuery{}, usageError{"--limit is 1 to 1000"}
	}
	q := iamclient.AuditQuery{
		Service: c.Service, User: c.User, Target: c.Target, Action: c.Action, Decision: c.Decision,
		Reason: c.Reason, ID: c.ID, Limit: c.Limit, Newest: true,
	}
	var err error
	if q.Since, err = parseTime(c.Since, now); err != nil {
		return q, usageError{"--since: " + err.Error()}
	}
	if q.Until, err = parseTime(c.Until, now); err != nil {
		return q, usageError{"--until: " + err.Error()}
	}
	return q, nil
}

func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	age, err := iamclient.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a time like 2026-11-23T06:00:00Z nor an age like 24h", text)
	}
	return now.Add(-time.Duration(age)), nil
}

func (c *auditQuery) print(w io.Writer, events []iamclient.AuditEvent) error {
	for _, event := range events {
		line := describeEvent(event)
		if c.json() {
			body, err := json.Marshal(event)
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
			line = string(body)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}

// describeEvent writes an event on one line, what matters most first.
func describeEvent(e iamclient.AuditEvent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-8s %-15s %-20s", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.Decision, e.Action, e.Reason)
	for _, field := range [][2]string{
		{"service", e.Service}, {"user", e.User}, {"actor", e.Actor}, {"target", e.Target}, {"scope", e.Scope}, {"role", e.Role}, {"session", e.Session},
		{"call", strings.TrimSpace(e.Method + " " + e.Route)}, {"rule", e.Rule}, {"by", e.ReportedBy},
		{"token", otherThan(e.TokenID, e.ID)}, {"from", e.ClientAddr}, {"detail", e.Detail},
	} {
		if field[1] != "" {
			fmt.Fprintf(&b, " %s=%s", field[0], quoteIfNeeded(field[1]))
		}
	}
	if e.Count > 1 {
		fmt.Fprintf(&b, " count=%d", e.Count)
	}
	fmt.Fprintf(&b, " id=%s", e.ID)
	return b.String()
}

// otherThan leaves out a token id that is the event's own: that of a fresh token.
func otherThan(tokenID, eventID string) string {
	if tokenID == eventID {
		return ""
	}
	return tokenID
}

// quoteIfNeeded keeps one event on one line and control characters off the terminal.
func quoteIfNeeded(value string) string {
	for _, r := range value {
		if r <= ' ' || r == '"' || r == 0x7f || r >= 0x80 && r <= 0x9f {
			return fmt.Sprintf("%q", value)
		}
	}
	return value
}

type auditVerify struct {
	target
	output
}

// Help implements kong.HelpProvider.
func (auditVerify) Help() string {
	return `Exit code 0 when every chain is whole, 1 when anything was found.

Example:
  countersign audit verify`
}

// Run implements the command.
func (c *auditVerify) Run(ctx context.Context, p *Process) error {
	client, err := c.admin(p)
	if err != nil {
		return err
	}
	defer client.Close()
	report, err := client.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	if c.json() {
		err = printJSON(p.Stdout, report)
	} else {
		err = printReport(p.Stdout, report)
	}
	if err == nil && !report.OK {
		return silentError{}
	}
	return err
}

func printReport(w io.Writer, report iamclient.AuditReport) error {
	verdict := "ok: every chain is whole"
	if !report.OK {
		verdict = "NOT OK"
	}
	_, err := fmt.Fprintf(w, "%s (%d events in %d blocks, %d chains, %d signed heads)\n",
		verdict, report.Events, report.Blocks, report.Chains, report.Heads)
	for _, finding := range report.Findings {
		_, err = fmt.Fprintf(w, "  %s  chain %s block %d: %s\n", finding.Problem, finding.Replica, finding.Seq, finding.Detail)
	}
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
