package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// errStory fails a run in which a step ended otherwise than it should.
var errStory = countersign.NewError(countersign.Internal, "", "the demo did not end as it should: see the steps marked WRONG")

// Run plays the story and prints it to out. With once it returns then; otherwise it
// stays up, says what to try, and returns when ctx ends.
//
// Errors: any failure to start, and one if a step ended otherwise than it should.
func Run(ctx context.Context, out io.Writer, once bool) (err error) {
	folder, err := newSecretFolder()
	if err != nil {
		return err
	}
	s := &stage{folder: folder}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fatal)
			if !ok {
				panic(r)
			}
			err = f.err
		}
		err = errors.Join(err, s.close(ctx))
	}()
	if err := s.setUp(ctx); err != nil {
		return err
	}
	p := printer{out: out}
	p.printf("Countersign is up at %s, with its data in %s.\n", s.server.BaseURL(), folder)
	p.printf("Users come from a foreign issuer, %s, that knows nothing of it.\n\n", s.users.URL)
	alice := s.users.Token(s, "alice", map[string]any{"tenant": "acme", "roles": []string{"administrators"}})
	if err := s.keep("alice.token", alice); err != nil {
		return err
	}
	wrong := s.tell(ctx, &p, s.story(alice))
	if err := s.printTrail(ctx, &p); err != nil {
		return err
	}
	if wrong > 0 {
		return errors.Join(errStory, p.err)
	}
	if !once {
		s.printCommands(&p)
		<-ctx.Done()
	}
	return p.err
}

// tell plays the steps and returns how many ended otherwise than they should.
func (s *stage) tell(ctx context.Context, p *printer, steps []step) (wrong int) {
	for i, step := range steps {
		got, err := step.play(ctx)
		verdict := "as it should"
		if err != nil || got.status != step.status || got.Reason != step.reason || got.Service != step.service || got.User != step.user {
			wrong++
			verdict = fmt.Sprintf("WRONG: should be %d %s service=%q user=%q", step.status, step.reason, step.service, step.user)
		}
		p.printf("%2d  %s\n      -> %s   (%s)\n", i+1, step.title, outcome(got, err), verdict)
	}
	return wrong
}

func outcome(r reply, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	words := []string{fmt.Sprint(r.status), "allowed"}
	if r.status >= 300 {
		words[1] = "refused"
	}
	for _, word := range []struct{ name, value string }{{"reason", string(r.Reason)}, {"service", r.Service}, {"user", r.User}} {
		if word.value != "" {
			words = append(words, word.name+"="+word.value)
		}
	}
	if r.note != "" {
		words = append(words, r.note)
	}
	return strings.Join(words, "  ")
}

// printTrail shows what the audit log knows of the story.
func (s *stage) printTrail(ctx context.Context, p *printer) error {
	page, err := s.admin.AuditEvents(ctx, iamclient.AuditQuery{Limit: 1000})
	if err != nil {
		return fmt.Errorf("read the audit trail: %w", err)
	}
	p.printf("\nWhat the audit log says (countersign audit query):\n")
	for _, e := range page.Events {
		who := []string{}
		for _, word := range []struct{ name, value string }{
			{"service", e.Service}, {"user", e.User}, {"actor", e.Actor}, {"target", e.Target},
			{"call", strings.TrimSpace(e.Method + " " + e.Route)}, {"reported by", e.ReportedBy},
		} {
			if word.value != "" {
				who = append(who, word.name+" "+word.value)
			}
		}
		p.printf("  %-8s %-15s %-20s %s\n", e.Decision, e.Action, e.Reason, strings.Join(who, ", "))
	}
	return nil
}

// printCommands names what can be tried by hand. The credentials are in files of the
// demo's folder, so none is printed.
func (s *stage) printCommands(p *printer) {
	file := func(name string) string { return filepath.Join(s.folder, name) }
	p.printf(`
It stays up until Ctrl-C. Try:

  # a service gets a token
  curl -s -u "document-service:$(cat %s)" -d grant_type=client_credentials -d audience=parse-service %s/oauth2/token

  # the stolen user token, straight to document-service: refused
  curl -s -i -H "Authorization: Bearer $(cat %s)" %s/v1/documents/7

  # the same user through backend-actor: allowed, and both identities arrive
  curl -s -H "Authorization: Bearer $(cat %s)" %s/v1/my/documents/7

  # who was refused, and why
  go run ./cmd/countersign audit query --data %s --decision denied
`, file("document-service.secret"), s.server.BaseURL(), file("alice.token"), s.documents.url,
		file("alice.token"), s.actor.url, filepath.Join(s.folder, "data"))
}

// printer keeps the first error, so that each line need not be checked.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}
