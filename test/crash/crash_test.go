// Package crash kills the real program in the middle of its work and looks at what is
// left; and it tampers with the audit log as somebody with the database would.
package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the database is opened behind the server's back

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/verify"
)

var binary struct {
	once sync.Once
	path string
	err  error
}

// build compiles the program once.
func build(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		folder, err := os.MkdirTemp("", "countersign-crash-")
		if err != nil {
			binary.err = err
			return
		}
		binary.path = filepath.Join(folder, "countersign")
		out, err := exec.Command("go", "build", "-o", binary.path, "github.com/countersign/countersign/cmd/countersign").CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("go build: %w: %s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binary.path != "" {
		_ = os.RemoveAll(filepath.Dir(binary.path))
	}
	os.Exit(code)
}

// program is one run of the server on a data folder.
type program struct {
	command *exec.Cmd
	data    string
	url     string
	admin   *iamclient.Client
	log     *strings.Builder
}

func run(t *testing.T, data string) *program {
	t.Helper()
	p := &program{data: data, log: &strings.Builder{}}
	_ = os.Remove(filepath.Join(data, "listen.json"))
	p.command = exec.Command(build(t), "serve", "--data", data)
	p.command.Env = append(os.Environ(), "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0")
	p.command.Stderr = p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	var err error
	if p.admin, err = iamclient.New(iamclient.Config{Socket: filepath.Join(data, "admin.sock")}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for !p.ready() {
		if time.Now().After(deadline) {
			t.Fatalf("the server did not get ready: %s", p.log)
		}
		time.Sleep(5 * time.Millisecond) // another process gets ready: there is nothing to wait on
	}
	return p
}

func (p *program) ready() bool {
	body, err := os.ReadFile(filepath.Join(p.data, "listen.json"))
	if err != nil {
		return false
	}
	var listen struct{ API, Ops string }
	if json.Unmarshal(body, &listen) != nil {
		return false
	}
	p.url = "http://" + listen.API
	response, err := http.Get("http://" + listen.Ops + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (p *program) end(signal syscall.Signal) {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Signal(signal)
	_ = p.command.Wait()
	p.command = nil
	p.admin.Close()
}

// work gets tokens and creates services until ctx ends or the server is gone, and
// remembers what was acknowledged.
func work(ctx context.Context, p *program, secret countersign.Secret, worker int) (tokens, services []string) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"}}.Encode()
	for i := 0; ctx.Err() == nil; i++ {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/oauth2/token", strings.NewReader(form))
		if err != nil {
			return tokens, services
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth("document-service", secret.Reveal())
		response, err := client.Do(request)
		if err != nil {
			return tokens, services
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		var reply struct {
			Token string `json:"access_token"`
		}
		if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(body, &reply) != nil {
			return tokens, services
		}
		says, err := verify.ParseUnverified(reply.Token)
		if err != nil {
			return tokens, services
		}
		tokens = append(tokens, says.ID)
		if i%10 == 0 {
			name := fmt.Sprintf("svc-%d-%d", worker, i)
			if _, err := p.admin.CreateService(ctx, iamclient.CreateService{Name: name}); err != nil {
				return tokens, services
			}
			services = append(services, name)
		}
	}
	return tokens, services
}

// TestKillDuringLoadLosesNothingAcknowledged kills the server three times while 8
// workers get tokens and create services.
func TestKillDuringLoadLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := run(t, data)
	credentials, err := p.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	var tokens, services []string
	for range 3 {
		killed := p
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var workers sync.WaitGroup
		enough := make(chan struct{}, 8)
		for worker := range 8 {
			workers.Go(func() {
				gotTokens, gotServices := work(ctx, killed, credentials.ClientSecret, worker+100*len(tokens))
				mu.Lock()
				defer mu.Unlock()
				tokens, services = append(tokens, gotTokens...), append(services, gotServices...)
				enough <- struct{}{}
			})
		}
		waitForEvents(t, killed, 200)
		_ = killed.command.Process.Kill()
		workers.Wait()
		cancel()
		killed.end(syscall.SIGKILL)
		p = run(t, data)
	}
	if len(tokens) < 100 || len(services) < 10 {
		t.Fatalf("too little was acknowledged to say anything: %d tokens, %d services", len(tokens), len(services))
	}
	for _, name := range services {
		if _, err := p.admin.Service(t.Context(), name); err != nil {
			t.Errorf("service %s was acknowledged and is lost: %v", name, err)
		}
	}
	issued := issuedTokens(t, p)
	for _, id := range tokens {
		if !issued[id] {
			t.Errorf("token %s was handed out and no audit event tells of it", id)
		}
	}
	report, err := p.admin.VerifyAudit(t.Context())
	if err != nil || !report.OK {
		t.Fatalf("audit verify after the crashes: %v %+v", err, report)
	}
	t.Logf("%d tokens and %d services acknowledged, none lost; %d events in %d blocks verified", len(tokens), len(services), report.Events, report.Blocks)
	// A fresh token still works with the secret from before the crashes.
	source := &tokensource.ClientCredentials{TokenURL: p.url + "/oauth2/token", ClientID: "document-service", ClientSecret: credentials.ClientSecret}
	defer func() { _ = source.Close() }()
	if _, err := source.Token(t.Context(), "parse-service"); err != nil {
		t.Fatal(err)
	}
}

// waitForEvents waits until the load is under way.
func waitForEvents(t *testing.T, p *program, more int64) {
	t.Helper()
	start := int64(-1)
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		report, err := p.admin.VerifyAudit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if start < 0 {
			start = report.Events
		}
		if report.Events >= start+more {
			return
		}
	}
	t.Fatal("the load did not get under way")
}

func issuedTokens(t *testing.T, p *program) map[string]bool {
	t.Helper()
	issued := make(map[string]bool)
	query := iamclient.AuditQuery{Decision: "issued", Limit: 1000}
	for {
		page, err := p.admin.AuditEvents(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range page.Events {
			issued[event.TokenID] = true
		}
		if len(page.Events) == 0 {
			return issued
		}
		query.After = page.After
	}
}

// TestTamperedAuditLogIsFound edits, removes and cuts rows of a stopped server's
// database; the next start must not hide it.
func TestTamperedAuditLogIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, statement string }{
		{"edited event", `UPDATE audit_block SET events = replace(events, 'document-service', 'somebody-else') WHERE seq = (SELECT max(seq) FROM audit_block WHERE events LIKE '%document-service%')`},
		{"edited column", `UPDATE audit_block SET event_count = event_count + 1 WHERE seq = 2`},
		{"removed row", `DELETE FROM audit_block WHERE seq = 3`},
		{"removed first row", `DELETE FROM audit_block WHERE seq = 1`},
		{"cut tail", `DELETE FROM audit_block WHERE seq > (SELECT max(seq) - 2 FROM audit_block)`},
		{"cut tail and its heads", `DELETE FROM audit_head; DELETE FROM audit_block WHERE seq = (SELECT max(seq) FROM audit_block)`},
		{"everything removed", `DELETE FROM audit_head; DELETE FROM audit_block`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			p := run(t, data)
			for i := range 5 {
				if _, err := p.admin.CreateService(t.Context(), iamclient.CreateService{Name: fmt.Sprintf("document-service-%d", i)}); err != nil {
					t.Fatal(err)
				}
			}
			if report, err := p.admin.VerifyAudit(t.Context()); err != nil || !report.OK {
				t.Fatalf("the untouched log: %v %+v", err, report)
			}
			p.end(syscall.SIGTERM)
			tamper(t, data, test.statement)
			p = run(t, data)
			report, err := p.admin.VerifyAudit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if report.OK || len(report.Findings) == 0 {
				t.Errorf("not found: %+v", report)
			}
			if out, err := exec.Command(build(t), "audit", "verify", "--data", data).CombinedOutput(); err == nil {
				t.Errorf("audit verify must exit 1: %s", out)
			}
		})
	}
}

func tamper(t *testing.T, data, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "countersign.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
