package cli_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/cli"
)

// result is what a command left behind.
type result struct {
	code           int
	stdout, stderr string
}

// shell runs commands in an environment of their own.
type shell struct {
	t        *testing.T
	environ  []string
	stdin    string
	terminal bool
}

func (s shell) run(args ...string) result {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	code := cli.Run(s.t.Context(), cli.Process{
		Args: args, Environ: s.environ, Stdin: strings.NewReader(s.stdin), Stdout: &stdout, Stderr: &stderr, Terminal: s.terminal,
	})
	return result{code, stdout.String(), stderr.String()}
}

// want fails the test unless the command ended with that code and said all of that, on
// either stream.
func (s shell) want(code int, says []string, args ...string) result {
	s.t.Helper()
	got := s.run(args...)
	if got.code != code {
		s.t.Fatalf("%v: exit %d, want %d\n%s%s", args, got.code, code, got.stdout, got.stderr)
	}
	for _, text := range says {
		if !strings.Contains(got.stdout+got.stderr, text) {
			s.t.Fatalf("%v: no %q in\n%s%s", args, text, got.stdout, got.stderr)
		}
	}
	return got
}

// request is what reached the fake server.
type request struct {
	method, path, ifMatch string
	body                  map[string]any
}

// answering is a fake server on the socket of a data folder: it answers everything with
// what handler returns, and remembers what was asked.
type answering struct {
	folder string
	mu     sync.Mutex
	asked  []request
}

func fakeServer(t *testing.T, handler func(request) (status int, answer any)) *answering {
	t.Helper()
	// A socket's address is short: the folder of the test may not be.
	folder, err := os.MkdirTemp("", "cs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	listener, err := net.Listen("unix", filepath.Join(folder, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	f := &answering{folder: folder}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := request{method: r.Method, path: r.URL.Path, ifMatch: r.Header.Get("If-Match")}
		_ = json.NewDecoder(r.Body).Decode(&in.body)
		f.mu.Lock()
		f.asked = append(f.asked, in)
		f.mu.Unlock()
		status, answer := handler(in)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return f
}

func (f *answering) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}
