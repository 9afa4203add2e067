package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

// listing is a server that has one service of that name.
func listing(t *testing.T, name string) *answering {
	t.Helper()
	return fakeServer(t, func(request) (int, any) {
		return http.StatusOK, iamclient.ServiceList{Items: []iamclient.Service{{Name: name}}}
	})
}

// The order is --server, COUNTERSIGN_SERVER, --data, COUNTERSIGN_DATA, the context, the
// default data folder.
func TestContextOrder(t *testing.T) {
	t.Parallel()
	flag, env, current, named := listing(t, "by-flag"), listing(t, "by-variable"), listing(t, "by-use"), listing(t, "by-name")
	home := t.TempDir()
	s := shell{t: t, environ: []string{"HOME=" + home}}
	s.want(cli.ExitOK, []string{"set context here in " + home}, "context", "set", "here", "--data", current.folder)
	s.want(cli.ExitOK, nil, "context", "set", "other", "--data", named.folder)
	s.want(cli.ExitOK, nil, "context", "set", "far", "--server", "https://auth.example.com")
	s.want(cli.ExitOK, nil, "context", "use", "here")

	s.want(cli.ExitOK, []string{"by-use"}, "get", "service")
	s.want(cli.ExitOK, []string{"by-name"}, "get", "service", "--context", "other")
	s.want(cli.ExitOK, []string{"by-flag"}, "get", "service", "--data", flag.folder)
	with := s
	with.environ = append(with.environ, "COUNTERSIGN_CONTEXT=other")
	with.want(cli.ExitOK, []string{"by-name"}, "get", "service")
	with.want(cli.ExitOK, []string{"by-use"}, "get", "service", "--context", "here")
	with.environ = append(with.environ, "COUNTERSIGN_DATA="+env.folder)
	with.want(cli.ExitOK, []string{"by-variable"}, "get", "service")
	with.want(cli.ExitOK, []string{"by-flag"}, "get", "service", "--data", flag.folder)
	with.want(cli.ExitUsage, []string{"contradict"}, "get", "service", "--context", "here")
	with.environ = append(with.environ, "COUNTERSIGN_SERVER=http://127.0.0.1:1")
	with.want(cli.ExitFailed, []string{"http://127.0.0.1:1"}, "get", "service", "--data", flag.folder)
	with.want(cli.ExitFailed, []string{"https://b.example.com"}, "get", "service", "--server", "https://b.example.com")

	// A context with a URL is a server too, and no server that is near takes its place.
	s.want(cli.ExitFailed, []string{"https://auth.example.com"}, "get", "service", "--context", "far")
	for _, args := range [][]string{{"--server", "https://a.example.com"}, {"--data", flag.folder}} {
		s.want(cli.ExitUsage, []string{"contradict"}, append([]string{"get", "service", "--context", "here"}, args...)...)
	}
}

func TestContextThatIsGoneIsNoDefault(t *testing.T) {
	t.Parallel()
	s := shell{t: t, environ: []string{"HOME=" + t.TempDir()}}
	s.want(cli.ExitFailed, []string{"no context"}, "get", "service", "--context", "none")
	s.want(cli.ExitFailed, []string{"no context"}, "context", "use", "none")
	s.want(cli.ExitFailed, []string{"no context"}, "context", "delete", "none")
	with := s
	with.environ = append(with.environ, "COUNTERSIGN_CONTEXT=none")
	for _, args := range [][]string{{"get", "service"}, {"verify", "x.y.z"}, {"revoke", "token", "x.y.z"}, {"token", "--service", "a"}, {"keys", "list"}} {
		with.want(cli.ExitFailed, []string{"no context"}, args...)
	}
	s.want(cli.ExitOK, nil, "context", "set", "a", "--data", t.TempDir())
	s.want(cli.ExitOK, nil, "context", "use", "a")
	s.want(cli.ExitOK, nil, "context", "delete", "a")
	got := s.want(cli.ExitOK, nil, "context", "list", "--output", "json")
	if strings.Contains(got.stdout, "current") {
		t.Errorf("a deleted context is in use: %s", got.stdout)
	}
}

func TestContextSetRefuses(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := shell{t: t, environ: []string{"HOME=" + home}}
	for name, args := range map[string][]string{
		"no server":      {"a"},
		"both":           {"a", "--data", "d", "--server", "https://x"},
		"bad name":       {"A b", "--data", "d"},
		"no URL":         {"a", "--server", "auth.example.com"},
		"a secret in it": {"a", "--server", "https://u:p@auth.example.com"},
		"a query":        {"a", "--server", "https://auth.example.com?token=x"},
		"other scheme":   {"a", "--server", "ftp://auth.example.com"},
	} {
		if got := s.run(append([]string{"context", "set"}, args...)...); got.code != cli.ExitUsage {
			t.Errorf("%s: exit %d, %s", name, got.code, got.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(home, ".config")); err == nil {
		t.Error("something was written")
	}
	shell{t: t}.want(cli.ExitFailed, []string{"HOME"}, "context", "set", "a", "--data", "d")
}

// The file says where tokens and secrets go: it must be the user's own and whole.
func TestContextFileOfOthersIsRefused(t *testing.T) {
	t.Parallel()
	good := `{"current":"a","contexts":{"a":{"data":"/nowhere"}}}`
	for name, test := range map[string]struct {
		body string
		mode os.FileMode
	}{
		"open to others":  {good, 0o666},
		"open to a group": {good, 0o620},
		"half":            {`{"current":"a","cont`, 0o600},
		"unknown field":   {`{"contexts":{"a":{"data":"/nowhere","token":"x"}}}`, 0o600},
		"two places":      {`{"contexts":{"a":{"data":"/nowhere","server":"https://a"}}}`, 0o600},
		"no place":        {`{"contexts":{"a":{}}}`, 0o600},
		"relative":        {`{"contexts":{"a":{"data":"nowhere"}}}`, 0o600},
		"bad name":        {`{"contexts":{"A B":{"data":"/nowhere"}}}`, 0o600},
		"two documents":   {good + good, 0o600},
		"too large":       {`{"contexts":{}` + strings.Repeat(" ", 256<<10) + `}`, 0o600},
	} {
		home := t.TempDir()
		path := filepath.Join(home, "countersign", "contexts.json")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(test.body), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		s := shell{t: t, environ: []string{"XDG_CONFIG_HOME=" + home, "HOME=/nowhere"}}
		for _, args := range [][]string{{"get", "service"}, {"context", "list"}, {"context", "set", "b", "--data", "d"}} {
			if got := s.run(args...); got.code != cli.ExitFailed || !strings.Contains(got.stderr, path) {
				t.Errorf("%s: %v: exit %d, %s", name, args, got.code, got.stderr)
			}
		}
		if body, err := os.ReadFile(path); err != nil || string(body) != test.body {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestContextFileIsPrivateAndWhole(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := shell{t: t, environ: []string{"HOME=" + home}}
	s.want(cli.ExitOK, nil, "context", "set", "a", "--data", "relative")
	path := filepath.Join(home, ".config", "countersign", "contexts.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	working, _ := os.Getwd()
	s.want(cli.ExitOK, []string{filepath.Join(working, "relative")}, "context", "list")
}
