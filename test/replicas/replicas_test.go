// Package replicas runs several servers on one real PostgreSQL, takes the database away under
// load, cuts and delays their networks, kills them and moves their clocks.
package replicas

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
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

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
	"github.com/countersign/countersign/verify"
)

// outage is how long the database is away. The promise is a minute; the test takes
// COUNTERSIGN_TEST_OUTAGE, and is shorter by default.
func outage() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("COUNTERSIGN_TEST_OUTAGE")); err == nil {
		return d
	}
	return 8 * time.Second
}

var binary string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "countersign-replicas-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(folder, "countersign")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/countersign/countersign/cmd/countersign").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v: %s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	printFigures()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// replica is one running server.
type replica struct {
	command  *exec.Cmd
	data     string
	url, ops string
	admin    *iamclient.Client
	log      *buffer
}

// buffer is a log that can be read while the server writes it.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs a server on dsn with the master key file; issuer is the same for all.
func start(t *testing.T, dsn, master, issuer string, environ ...string) *replica {
	t.Helper()
	return startProgram(t, binary, dsn, master, issuer, environ...)
}

func startProgram(t *testing.T, program, dsn, master, issuer string, environ ...string) *replica {
	t.Helper()
	r := &replica{data: filepath.Join(t.TempDir(), "data"), log: new(buffer)}
	r.command = exec.Command(program, "serve", "--data", r.data)
	r.command.Env = append(os.Environ(), "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_STORE="+dsn, "COUNTERSIGN_KEYS_MASTER_FILE="+master, "COUNTERSIGN_ISSUER="+issuer)
	r.command.Env = append(r.command.Env, environ...)
	r.command.Stderr = r.log
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	var err error
	if r.admin, err = iamclient.New(iamclient.Config{Socket: filepath.Join(r.data, "admin.sock")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the server gets ready: "+r.log.String(), r.ready)
	return r
}

func (r *replica) stop() {
	if r.command == nil {
		return
	}
	_ = r.command.Process.Signal(syscall.SIGTERM)
	_ = r.command.Wait()
	r.command = nil
	r.admin.Close()
}

func (r *replica) ready() bool {
	body, err := os.ReadFile(filepath.Join(r.data, "listen.json"))
	if err != nil {
		return false
	}
	var listen struct{ API, Ops string }
	if json.Unmarshal(body, &listen) != nil {
		return false
	}
	if url := "http://" + listen.API; r.url != url { // one that comes again is at the same place, and others may be reading
		r.url = url
	}
	r.ops = "http://" + listen.Ops
	response, err := http.Get(r.ops + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// health is what /readyz says.
func (r *replica) health(t *testing.T) (int, string) {
	t.Helper()
	response, err := http.Get(r.ops + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// eventually asks until the answer is yes: another process gets there by itself.
func eventually(t *testing.T, within time.Duration, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within " + within.String() + ": " + what)
		}
	}
}

// newMaster writes a master key.
func newMaster(t *testing.T) string {
	t.Helper()
	var key [32]byte
	_, _ = rand.Read(key[:])
	path := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const issuer = "http://127.0.0.1:8440"

// token asks for one; it returns the status, and the token's id.
func (r *replica) token(ctx context.Context, client *http.Client, secret countersign.Secret) (int, string) {
	return r.tokenAs(ctx, client, "document-service", secret)
}

func (r *replica) tokenAs(ctx context.Context, client *http.Client, name string, secret countersign.Secret) (int, string) {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/oauth2/token", strings.NewReader(form))
	if err != nil {
		return 0, ""
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(name, secret.Reveal())
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return 0, err.Error()
	}
	var reply struct {
		Token string `json:"access_token"`
	}
	if response.StatusCode != http.StatusOK || json.Unmarshal(body, &reply) != nil {
		return response.StatusCode, string(body)
	}
	says, err := verify.ParseUnverified(reply.Token)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, says.ID
}

func TestReplicasSeeEachOthersChanges(t *testing.T) {
	t.Parallel()
	dsn, master := storetest.Postgres(t).NewDatabase(t), newMaster(t)
	a, b := start(t, dsn, master, issuer), start(t, dsn, master, issuer)
	credentials, err := a.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	got := func(r *replica) int {
		status, _ := r.token(t.Context(), http.DefaultClient, credentials.ClientSecret)
		return status
	}
	for name, r := range map[string]*replica{"where it was made": a, "the other": b} {
		if status := got(r); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, r.log)
		}
	}
	if _, err := b.admin.DisableService(t.Context(), "document-service", iamclient.AnyRevision); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "a disabled service is refused at the other replica", func() bool { return got(a) == http.StatusUnauthorized })
}

// TestOutage: the database goes away under load. No token by client secret fails,
// administrators are told to come back, and afterwards no event is missing.
func TestOutage(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	replicas := []*replica{start(t, dsn, master, issuer), start(t, dsn, master, issuer)}
	credentials, err := replicas[0].admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas { // both know it
		if status, text := r.token(t.Context(), http.DefaultClient, credentials.ClientSecret); status != http.StatusOK {
			t.Fatal(status, text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var issued, failed []string
	var workers sync.WaitGroup
	for i := range 8 {
		r := replicas[i%len(replicas)]
		workers.Go(func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				status, id := r.token(context.WithoutCancel(ctx), client, credentials.ClientSecret)
				mu.Lock()
				if status == http.StatusOK {
					issued = append(issued, id)
				} else {
					failed = append(failed, fmt.Sprint(status, " ", id))
				}
				mu.Unlock()
				time.Sleep(5 * time.Millisecond) // the load is bounded
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(issued) }
	eventually(t, 30*time.Second, "the load runs", func() bool { return count() > 100 })
	cluster.Stop(t)
	before, down := count(), time.Now()
	for time.Since(down) < outage() {
		for _, r := range replicas {
			_, err := r.admin.CreateService(t.Context(), iamclient.CreateService{Name: "too-late"})
			if !errors.Is(err, countersign.Unavailable) {
				t.Errorf("a write in the outage: %v", err)
			}
		}
		time.Sleep(200 * time.Millisecond) // the outage takes its time
	}
	for i, r := range replicas {
		if status, text := r.health(t); status != http.StatusOK || !strings.Contains(text, "degraded") {
			t.Errorf("replica %d in the outage: %d %s", i, status, text)
		}
	}
	during := count() - before
	cluster.Start(t)
	eventually(t, 30*time.Second, "administrators can write again", func() bool {
		_, err := replicas[1].admin.CreateService(t.Context(), iamclient.CreateService{Name: "after-the-outage"})
		return err == nil || errors.Is(err, countersign.Conflict)
	})
	cancel()
	workers.Wait()
	if len(failed) > 0 {
		t.Errorf("%d of %d token requests failed, the first: %s\n%s", len(failed), len(failed)+len(issued), failed[0], replicas[0].log)
	}
	if during == 0 {
		t.Error("no token was issued while the database was away")
	}
	t.Logf("%d tokens, %d of them while the database was away for %s", len(issued), during, outage())
	missing := func() int { return len(missingEvents(t, replicas[0], issued)) }
	eventually(t, 30*time.Second, "every token has its event", func() bool { return missing() == 0 })
	report, err := replicas[0].admin.VerifyAudit(t.Context())
	if err != nil || !report.OK {
		t.Errorf("audit verify: %+v, %v", report, err)
	}
}

// missingEvents returns the tokens that no audit event tells of.
func missingEvents(t *testing.T, r *replica, issued []string) []string {
	t.Helper()
	return missingFrom(t, r.admin, issued)
}

func missingFrom(t *testing.T, admin *iamclient.Client, issued []string) []string {
	t.Helper()
	told := make(map[string]bool)
	query := iamclient.AuditQuery{Action: "token", Limit: 1000}
	for {
		page, err := admin.AuditEvents(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range page.Events {
			told[event.TokenID] = true
		}
		if len(page.Events) == 0 {
			break
		}
		query.After = page.After
	}
	var missing []string
	for _, id := range issued {
		if !told[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// RULES E4: past max_staleness what could be revoked is answered 503, never 403 and never
// yes, and the replica takes itself out.
func TestRuleE4StaleReplicaRefuses(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	r := start(t, cluster.NewDatabase(t), newMaster(t), issuer, "COUNTERSIGN_REVOCATION_MAX_STALENESS=5s")
	credentials, err := r.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	got := func() int {
		status, _ := r.token(t.Context(), http.DefaultClient, credentials.ClientSecret)
		return status
	}
	if status := got(); status != http.StatusOK {
		t.Fatal(status)
	}
	stopped := time.Now() // what it asks is not answered from now on, and it takes a while to end
	cluster.Stop(t)
	eventually(t, 30*time.Second, "a stale replica refuses", func() bool {
		status := got()
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Fatalf("in the outage: %d", status)
		}
		return status == http.StatusServiceUnavailable
	})
	if took := time.Since(stopped); took < 4*time.Second {
		t.Errorf("it refused after %v already", took)
	}
	if status, text := r.health(t); status != http.StatusServiceUnavailable {
		t.Errorf("readiness: %d %s", status, text)
	}
	cluster.Start(t)
	eventually(t, 30*time.Second, "it serves again", func() bool { return got() == http.StatusOK })
}
