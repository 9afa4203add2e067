package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
)

// provider is somebody's identity provider with the device flow of RFC 8628: it answers the
// polls with what script says, and then with a token.
type provider struct {
	*httptest.Server
	signer jose.Signer
	mu     sync.Mutex
	script []string
	asked  []string // grant types, and the client
	says   map[string]any
	life   int
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{life: 3600}
	if p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT")); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		says := map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "device_authorization_endpoint": p.URL + "/device", "token_endpoint": p.URL + "/token"}
		maps.Copy(says, p.says)
		answer(w, http.StatusOK, says)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /device", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_id") != "countersign-cli" {
			answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"device_code": "d1", "user_code": "WDJB-MJHT", "verification_uri": p.URL + "/activate", "expires_in": 600, "interval": 1})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, r.FormValue("grant_type")+" "+r.FormValue("client_id")+" "+r.FormValue("device_code")+r.FormValue("refresh_token"))
		if len(p.script) > 0 {
			code := p.script[0]
			p.script = p.script[1:]
			answer(w, http.StatusBadRequest, map[string]any{"error": code})
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": p.token(t), "refresh_token": "r1", "expires_in": p.life, "token_type": "Bearer"})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) token(t *testing.T) string {
	now := time.Now()
	text, err := jwt.Signed(p.signer).Claims(map[string]any{
		"iss": p.URL, "sub": "olga", "aud": "iam-console", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

func (p *provider) at() iamclient.DeviceIssuer {
	return iamclient.DeviceIssuer{Name: "people", Issuer: p.URL, ClientID: "countersign-cli", Token: "access"}
}

// instant does not wait, and remembers for how long it would have.
func instant(d *deviceLogin) *[]time.Duration {
	var waited []time.Duration
	d.sleep = func(ctx context.Context, pause time.Duration) error {
		waited = append(waited, pause)
		return ctx.Err()
	}
	return &waited
}

// Source: RFC 8628 §3.5.
func TestDeviceLoginWaitsAsItIsTold(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.script = []string{"authorization_pending", "slow_down", "authorization_pending"}
	var out bytes.Buffer
	d := newDeviceLogin(&out)
	waited := instant(d)
	in, err := d.run(t.Context(), p.at())
	if err != nil || in.Token == "" || in.RefreshToken != "r1" || in.TokenEndpoint != p.URL+"/token" {
		t.Fatal(in, err)
	}
	if got := fmt.Sprint(*waited); got != "[1s 1s 6s 6s]" {
		t.Errorf("it waited %s", got)
	}
	if text := out.String(); !strings.Contains(text, "WDJB-MJHT") || !strings.Contains(text, p.URL+"/activate") || strings.Contains(text, "d1") {
		t.Errorf("it says %q", text)
	}
	for _, asked := range p.asked {
		if asked != deviceGrant+" countersign-cli d1" {
			t.Errorf("it asked %q", asked)
		}
	}
}

func TestDeviceLoginRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script []string
		says   map[string]any
		client string
		want   countersign.Code
	}{
		"refused by the user":       {[]string{"authorization_pending", "access_denied"}, nil, "countersign-cli", countersign.Denied},
		"too late":                  {[]string{"expired_token"}, nil, "countersign-cli", countersign.Expired},
		"an unknown error":          {[]string{"invalid_grant"}, nil, "countersign-cli", countersign.Upstream},
		"an unknown client":         {nil, nil, "somebody", countersign.Upstream},
		"another issuer":            {nil, map[string]any{"issuer": "https://evil.example"}, "countersign-cli", countersign.Upstream},
		"no device endpoint":        {nil, map[string]any{"device_authorization_endpoint": ""}, "countersign-cli", countersign.Upstream},
		"an endpoint in the clear":  {nil, map[string]any{"device_authorization_endpoint": "http://idp.example/device"}, "countersign-cli", countersign.Invalid},
		"a token endpoint likewise": {nil, map[string]any{"token_endpoint": "http://idp.example/token"}, "countersign-cli", countersign.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.script, p.says = c.script, c.says
			d := newDeviceLogin(new(bytes.Buffer))
			instant(d)
			at := p.at()
			at.ClientID = c.client
			if in, err := d.run(t.Context(), at); !errors.Is(err, c.want) || in.Token != "" {
				t.Errorf("got %+v, %v; want %s", in, err, c.want)
			}
		})
	}
}

// RULES G2: a login by the user's own issuer grants what role assignments name, and nothing
// before there are any.
func TestRuleG2DeviceLogin(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	folder, err := os.MkdirTemp("", "cs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	resources := filepath.Join(folder, "people.yaml")
	document := fmt.Sprintf("kind: Issuer\nname: people\nurl: %s\nsubject: user\nprofile: oidc\naudiences: [iam-console]\nalgorithms: [ES256]\nallow_private_addresses: true\ndevice_login: {client_id: countersign-cli, scopes: [openid]}\n", p.URL)
	if err := os.WriteFile(resources, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(folder, "data")
	cfg, err := config.Load("", []string{
		"COUNTERSIGN_DATA=" + data, "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0",
		"COUNTERSIGN_RESOURCES=" + resources,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: cfg, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	run := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		code := Run(t.Context(), Process{Args: args, Environ: []string{"XDG_CONFIG_HOME=" + folder + "/home"}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out})
		if code != want {
			t.Fatalf("%v: exit %d\n%s", args, code, out.String())
		}
		return out.String()
	}
	out := run(ExitOK, "login", "--server", s.BaseURL(), "--context", "production", "--device")
	if !strings.Contains(out, "WDJB-MJHT") || !strings.Contains(out, "as olga, with the roles: \n") {
		t.Errorf("it says %s", out)
	}
	path := filepath.Join(folder, "home", "countersign", "logins", "production.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// She has no role yet.
	run(ExitFailed, "service", "create", "document-service")
	run(ExitFailed, "keys", "list")
	assignSuperAdmin(t, s.AdminSocket(), p.URL)
	if out := run(ExitOK, "service", "create", "document-service"); !strings.Contains(out, "as user of "+p.URL) {
		t.Errorf("it says %s", out)
	}
	run(ExitOK, "keys", "list")
	// A token that has ended is made anew; one that can't be is the end of the login.
	expire := func() {
		t.Helper()
		process := &Process{Environ: []string{"XDG_CONFIG_HOME=" + folder + "/home"}}
		l, err := readLogin(process, "production")
		if err != nil {
			t.Fatal(err)
		}
		l.User.ExpiresAt, l.User.Token = time.Now().Add(-time.Minute), "x"
		if err := writeLogin(process, "production", l); err != nil {
			t.Fatal(err)
		}
	}
	expire()
	run(ExitOK, "keys", "list")
	if last := p.asked[len(p.asked)-1]; last != "refresh_token countersign-cli r1" {
		t.Errorf("it asked %q", last)
	}
	expire()
	p.script = []string{"invalid_grant"}
	if out := run(ExitFailed, "keys", "list"); !strings.Contains(out, "log in again") {
		t.Errorf("it says %s", out)
	}
	run(ExitOK, "logout", "--context", "production")
	run(ExitUsage, "login", "--server", s.BaseURL(), "--context", "production", "--issuer", "people")
	run(ExitUsage, "login", "--server", s.BaseURL(), "--context", "production", "--device", "--issuer", "nobody")
}

// assignSuperAdmin is the local administrator's: over the socket.
func assignSuperAdmin(t *testing.T, socket, issuer string) {
	t.Helper()
	client := socketHTTP(t, socket)
	send := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+iamclient.BasePath+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", "*")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var user struct{ ID, Detail string }
		if err := json.NewDecoder(response.Body).Decode(&user); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, user.ID + user.Detail
	}
	status, id := send(http.MethodPost, "/admin/users", fmt.Sprintf(`{"issuer":%q,"subject":"olga"}`, issuer))
	if status != http.StatusCreated {
		t.Fatal(status, id)
	}
	if status, text := send(http.MethodPut, "/admin/users/"+id+"/roles/super-admin", ""); status != http.StatusOK {
		t.Fatal(status, text)
	}
}

func socketHTTP(t *testing.T, socket string) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
