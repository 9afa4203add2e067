package tokensource_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func TestCognitoConfig(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tokensource.Cognito){
		"no region":         func(c *tokensource.Cognito) { c.Region = "" },
		"region is a host":  func(c *tokensource.Cognito) { c.Region = "evil.example.com/" },
		"plain http":        func(c *tokensource.Cognito) { c.Endpoint = "http://cognito.example.com" },
		"no client":         func(c *tokensource.Cognito) { c.ClientID = "" },
		"no user":           func(c *tokensource.Cognito) { c.Username = "" },
		"no password":       func(c *tokensource.Cognito) { c.Password = countersign.Secret{} },
		"two passwords":     func(c *tokensource.Cognito) { c.PasswordFile = "x" },
		"two secrets":       func(c *tokensource.Cognito) { c.ClientSecret, c.ClientSecretFile = countersign.NewSecret("s"), "x" },
		"unknown token use": func(c *tokensource.Cognito) { c.TokenUse = "refresh" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pool{}
			source := newAccount(p)
			change(source)
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Invalid)
			source.Invalidate("a", tokensource.Token{})
			_ = source.Close()
			if len(p.flows()) != 0 {
				t.Error("it asked nevertheless")
			}
		})
	}
}

func TestCognitoForOneAudience(t *testing.T) {
	t.Parallel()
	source := newAccount(&pool{})
	source.Audience = "a"
	defer source.Close()
	mustToken(t, source, "a")
	_, err := source.Token(t.Context(), "b")
	wantCode(t, err, countersign.BadTarget)
}

func TestCognitoSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"password": "from a file\n", "secret": "s\n", "empty": "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &pool{}
	source := newAccount(p)
	source.Password, source.PasswordFile, source.ClientSecretFile = countersign.Secret{}, filepath.Join(dir, "password"), filepath.Join(dir, "secret")
	mustToken(t, source, "a")
	_ = source.Close()
	if got := p.asked[0].AuthParameters; got["PASSWORD"] != "from a file" || got["SECRET_HASH"] == "" {
		t.Errorf("parameters %v", got)
	}
	for _, bad := range []string{"none", "empty"} {
		for _, password := range []bool{true, false} {
			source := newAccount(&pool{})
			if path := filepath.Join(dir, bad); password {
				source.Password, source.PasswordFile = countersign.Secret{}, path
			} else {
				source.ClientSecretFile = path
			}
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, countersign.Unavailable)
			_ = source.Close()
		}
	}
}

// TestRuleC5NoPasswordOnARedirect: a 307 would carry the password to wherever it points.
func TestRuleC5NoPasswordOnARedirect(t *testing.T) {
	t.Parallel()
	var leaked atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked.Add(1) }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for name, client := range map[string]*http.Client{"guarded": nil, "own": server.Client()} {
		source := newAccount(nil)
		source.Region, source.Endpoint, source.HTTPClient = "", server.URL, client
		_, err := source.Token(t.Context(), "a")
		wantCode(t, err, countersign.Upstream)
		_ = source.Close()
		if leaked.Load() != 0 {
			t.Errorf("%s client: the password followed a redirect", name)
		}
	}
}
