// Package scripts tests the program from outside, as its user types it: each file in
// testdata is a session at a shell, with the real server on ports of its own.
package scripts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/demo"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"countersign": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Run(ctx, cli.Process{
			Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Demo: demo.Run,
		}))
	}})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("COUNTERSIGN_LISTEN_API", "127.0.0.1:0")
			env.Setenv("COUNTERSIGN_LISTEN_S3", "127.0.0.1:0")
			env.Setenv("COUNTERSIGN_LISTEN_OPS", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready,
			"field": field,
			"cut":   cutTail,
			"kid":   keyID,

			"issuer": issuer,
			"signin": signin,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// ready [FOLDER] waits until the server of that data folder answers, and sets $API
// and $OPS to its URLs.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	folder := "countersign-data"
	if len(args) > 0 {
		folder = args[0]
	}
	if neg {
		ts.Fatalf("ready can't be negated")
	}
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		var listen struct{ API, Ops string }
		body, err := os.ReadFile(filepath.Join(ts.MkAbs(folder), "listen.json"))
		if err == nil && json.Unmarshal(body, &listen) == nil {
			if response, err := http.Get("http://" + listen.Ops + "/readyz"); err == nil {
				_ = response.Body.Close()
				if response.StatusCode == http.StatusOK {
					ts.Setenv("API", "http://"+listen.API)
					ts.Setenv("OPS", "http://"+listen.Ops)
					return
				}
			}
		}
		time.Sleep(5 * time.Millisecond) // another process gets ready: there is nothing to wait on
	}
	ts.Fatalf("the server of %s did not get ready", folder)
}

// field FILE NAME VARIABLE sets a variable to a field of a JSON document, and writes
// it to the file VARIABLE in the working folder too.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: field FILE NAME VARIABLE")
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &document); err != nil {
		ts.Fatalf("field: %v", err)
	}
	value, ok := document[args[1]]
	if !ok {
		ts.Fatalf("field: %s has no %s", args[0], args[1])
	}
	text := strings.TrimSpace(fmt.Sprint(value))
	ts.Setenv(args[2], text)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

// cut FROM TO N copies a file without its last N characters: a truncated token.
func cutTail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FROM TO CHARACTERS-TO-DROP")
	}
	text := strings.TrimSpace(ts.ReadFile(args[0]))
	var drop int
	if _, err := fmt.Sscan(args[2], &drop); err != nil || drop >= len(text) {
		ts.Fatalf("cut: %q", args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text[:len(text)-drop]), 0o600))
}

// kid FILE VARIABLE sets a variable to the id of the key that signed the access_token of
// a token answer.
func keyID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: kid FILE VARIABLE")
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &answer))
	head, _, _ := strings.Cut(answer.Token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	ts.Check(err)
	var header struct{ KID string }
	ts.Check(json.Unmarshal(text, &header))
	ts.Setenv(args[1], header.KID)
}
