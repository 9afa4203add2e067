package agent_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/agent"
	"github.com/countersign/countersign/tokensource"
)

func TestAgentServesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	hold, asked := make(chan struct{}), make(chan struct{})
	slow := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		close(asked)
		<-hold
		return giving(ctx)
	})
	a, err := agent.New(ctx, agent.Config{
		Listen: "127.0.0.1:0", Authorization: countersign.NewSecret(authorization),
		Roles: []agent.Role{{Name: "slow", Credentials: slow}, {Name: "fast", Credentials: aws.CredentialsProviderFunc(giving)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	get := func(role string) (int, error) {
		r, err := http.NewRequest(http.MethodGet, a.URL(role), nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	if status, err := get("fast"); status != 200 || err != nil {
		t.Errorf("%d %v", status, err)
	}
	late := make(chan int, 1)
	go func() { status, _ := get("slow"); late <- status }()
	<-asked
	stop()
	close(hold)
	if status := <-late; status != 200 {
		t.Errorf("a request under way got %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := get("fast"); err == nil {
		t.Error("it serves on after its end")
	}
}

func TestAgentConfig(t *testing.T) {
	t.Parallel()
	role := agent.Role{Name: "a", Credentials: aws.CredentialsProviderFunc(giving)}
	secret := countersign.NewSecret(authorization)
	for name, cfg := range map[string]agent.Config{
		"nothing to serve": {Listen: "127.0.0.1:0", Authorization: secret},
		"every address":    {Listen: "0.0.0.0:0", Authorization: secret, Roles: []agent.Role{role}},
		"no address":       {Listen: ":0", Authorization: secret, Roles: []agent.Role{role}},
		"a name":           {Listen: "example.com:0", Authorization: secret, Roles: []agent.Role{role}},
		"no port":          {Listen: "127.0.0.1", Authorization: secret, Roles: []agent.Role{role}},
		"no secret":        {Listen: "127.0.0.1:0", Roles: []agent.Role{role}},
	} {
		if _, err := agent.New(t.Context(), cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRuleG7AuthorizationFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "authorization")
	first, err := agent.Authorization(path)
	if err != nil || len(first.Reveal()) < 26 {
		t.Fatalf("%v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	if second, err := agent.Authorization(path); err != nil || !second.Equal(first) {
		t.Errorf("a restart locks the programs out that are running: %v", err)
	}
	if other, err := agent.Authorization(filepath.Join(dir, "other")); err != nil || other.Equal(first) {
		t.Errorf("not random: %v", err)
	}
	for name, bad := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"readable by others":     {authorization, 0o644},
		"readable by the group":  {authorization, 0o640},
		"writable by others":     {authorization, 0o602},
		"empty":                  {"", 0o600},
		"short":                  {"abc", 0o600},
		"two words":              {authorization + " " + authorization, 0o600},
		"no value of a header":   {authorization + "ü", 0o600},
		"too large":              {strings.Repeat("x", 2000), 0o600},
		"writable by the group":  {authorization, 0o620},
		"executable by somebody": {authorization, 0o601},
	} {
		path := filepath.Join(t.TempDir(), "authorization")
		if err := os.WriteFile(path, []byte(bad.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, bad.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := agent.Authorization(path); countersign.CodeOf(err) != countersign.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := agent.Authorization(filepath.Join(dir, "none", "x")); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("no folder: %v", err)
	}
}

func TestFolderIsOursAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := agent.Folder(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o777, 0o750, 0o701} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := agent.Folder(path); countersign.CodeOf(err) != countersign.Denied {
			t.Errorf("%v: %v", mode, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := agent.Folder(file); err == nil {
		t.Error("a file for a folder")
	}
}

// source gives tokens that a test sets.
type source struct {
	mu    sync.Mutex
	token tokensource.Token
	err   error
	asked atomic.Int64
}

func (s *source) Token(_ context.Context, audience string) (tokensource.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked.Add(1)
	if audience != "sts" {
		return tokensource.Token{}, countersign.BadTarget
	}
	return s.token, s.err
}

func (s *source) set(value string, life time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.err = tokensource.Token{Value: countersign.NewSecret(value), ExpiresAt: time.Now().Add(life)}, err
}

func TestTokenFileStaysFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := &source{}
		s.set("first", 15*time.Minute, nil)
		path := filepath.Join(t.TempDir(), "token")
		file := &agent.TokenFile{Path: path, Source: s, Audience: "sts"}
		done := make(chan struct{})
		go func() { defer close(done); file.Run(ctx) }()
		want := func(text string) {
			t.Helper()
			synctest.Wait()
			got, err := os.ReadFile(path)
			if err != nil || string(got) != text {
				t.Errorf("%q %v, want %q", got, err, text)
			}
		}
		want("first")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		s.set("second", 10*time.Second, nil)
		time.Sleep(30 * time.Second)
		want("second")
		s.set("", 0, countersign.NewError(countersign.Upstream, "", "down"))
		time.Sleep(time.Minute)
		want("second") // the last good one
		s.set("third", time.Hour, nil)
		time.Sleep(30 * time.Second)
		want("third")
		before := s.asked.Load()
		time.Sleep(10 * time.Minute)
		if n := s.asked.Load() - before; n < 19 || n > 21 {
			t.Errorf("the source was asked %d times in 10 minutes", n)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("left behind: %v %v", entries, err)
		}
		stop()
		<-done
	})
}

// A token that ends soon is looked after more often, but never without a pause.
func TestTokenFileOfShortTokens(t *testing.T) {
	t.Parallel()
	s := &source{}
	file := &agent.TokenFile{Path: filepath.Join(t.TempDir(), "token"), Source: s, Audience: "sts"}
	for life, want := range map[time.Duration][2]time.Duration{
		time.Hour:         {30 * time.Second, 30 * time.Second},
		100 * time.Second: {9 * time.Second, 10 * time.Second},
		time.Second:       {time.Second, time.Second},
		-time.Second:      {time.Second, time.Second},
	} {
		s.set("x", life, nil)
		if again, err := file.Write(t.Context()); err != nil || again < want[0] || again > want[1] {
			t.Errorf("%v: again after %v, %v", life, again, err)
		}
	}
}
