package cli_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestRevokeManySaysWhatIsMeant(t *testing.T) {
	t.Parallel()
	const issuer, time = "https://login.example.com", "2026-11-23T06:00:00Z"
	for name, test := range map[string]struct {
		args     []string
		stdin    string
		terminal bool
		want     map[string]any
		says     string
	}{
		"subject":        {args: []string{"subject", issuer, "alice"}, want: map[string]any{"issuer": issuer, "subject": "alice"}, says: "subject alice at issuer " + issuer},
		"subject before": {args: []string{"subject", issuer, "alice", "--before", time}, want: map[string]any{"issuer": issuer, "subject": "alice", "before": time}, says: "until " + time},
		"odd subject":    {args: []string{"subject", issuer, "a b\x1b"}, want: map[string]any{"issuer": issuer, "subject": "a b\x1b"}, says: `"a b\x1b"`},
		"issuer":         {args: []string{"issuer", issuer}, want: map[string]any{"issuer": issuer}, says: "issuer " + issuer},
		"issuer before":  {args: []string{"issuer", issuer, "--before", "2026-11-23T07:00:00+01:00"}, want: map[string]any{"issuer": issuer, "before": "2026-11-23T07:00:00+01:00"}, says: "until " + time},
		"all":            {args: []string{"all", "--yes"}, want: map[string]any{"all": true}, says: "revoked every token and session at unix:"},
		"all, asked":     {args: []string{"all"}, stdin: "yes\n", terminal: true, want: map[string]any{"all": true}, says: "revoked every token"},
		"service":        {args: []string{"service", "a"}, want: map[string]any{"service": "a"}, says: "service a"},
		"service before": {args: []string{"service", "a", "--before", time}, want: map[string]any{"service": "a", "before": time}, says: "until " + time},
		"session":        {args: []string{"session", "ASIAQZ3R5T7B2X4W6Y2A"}, want: map[string]any{"session": "ASIAQZ3R5T7B2X4W6Y2A"}, says: "session ASIAQZ3R5T7B2X4W6Y2A"},
		"session here":   {args: []string{"session", "ASIAQZ3R5T7B2X4W6Y2A", "--local"}, want: map[string]any{"session": "ASIAQZ3R5T7B2X4W6Y2A", "local": true}, says: "session ASIA"},
		"role":           {args: []string{"role", "writer"}, want: map[string]any{"role": "writer"}, says: "all sessions of role writer"},
		"role before":    {args: []string{"role", "writer", "--before", time}, want: map[string]any{"role": "writer", "before": time}, says: "until " + time},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakeServer(t, func(request) (int, any) {
				return http.StatusOK, iamclient.Revocation{Status: iamclient.Revoked}
			})
			s := shell{t: t, stdin: test.stdin, terminal: test.terminal}
			s.want(cli.ExitOK, []string{test.says, " as local:"}, append(append([]string{"revoke"}, test.args...), "--data", server.folder)...)
			if diff := cmp.Diff(test.want, server.requests()[0].body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, func(request) (int, any) {
		return http.StatusOK, iamclient.Revocation{Status: iamclient.Revoked}
	})
	for name, test := range map[string]struct {
		args     []string
		stdin    string
		terminal bool
		code     int
	}{
		"all without a yes":     {args: []string{"all"}, code: 1},
		"all, yes from a pipe":  {args: []string{"all"}, stdin: "yes\n", code: 1},
		"all, asked, no":        {args: []string{"all"}, stdin: "n\n", terminal: true, code: 1},
		"all, asked, silence":   {args: []string{"all"}, terminal: true, code: 1},
		"subject alone":         {args: []string{"subject", "https://login.example.com"}, code: 2},
		"empty subject":         {args: []string{"subject", "https://login.example.com", ""}, code: 2},
		"empty issuer":          {args: []string{"issuer", ""}, code: 2},
		"no time":               {args: []string{"issuer", "https://login.example.com", "--before", "yesterday"}, code: 2},
		"all with a wrong time": {args: []string{"all", "--yes", "--before", "7"}, code: 2},
		"service, no time":      {args: []string{"service", "a", "--before", "yesterday"}, code: 2},
		"session before":        {args: []string{"session", "ASIAQZ3R5T7B2X4W6Y2A", "--before", "24h"}, code: 2},
		"session of a user":     {args: []string{"session", "AIDAQZ3R5T7B2X4W6Y2A"}, code: 2},
		"empty role":            {args: []string{"role", ""}, code: 2},
	} {
		s := shell{t: t, stdin: test.stdin, terminal: test.terminal}
		if got := s.run(append(append([]string{"revoke"}, test.args...), "--data", server.folder)...); got.code != test.code {
			t.Errorf("%s: exit %d, want %d: %s", name, got.code, test.code, got.stderr)
		}
	}
	if asked := server.requests(); len(asked) != 0 {
		t.Errorf("the server was asked: %v", asked)
	}
}
