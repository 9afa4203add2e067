package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
	"github.com/countersign/countersign/verify"
)

// whole gets a token of document-service in full.
func (r *replica) whole(ctx context.Context, path string, secret countersign.Secret, form url.Values) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("document-service", secret.Reveal())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

func (r *replica) active(t *testing.T, secret countersign.Secret, token string) bool {
	t.Helper()
	var said struct{ Active bool }
	body, err := r.whole(t.Context(), "/oauth2/introspect", secret, url.Values{"token": {token}})
	if err != nil || json.Unmarshal(body, &said) != nil {
		return true // no answer is no refusal
	}
	return said.Active
}

// since asks until the answer is yes and returns how long after began that was.
func since(began time.Time, ask func() bool) time.Duration {
	for !ask() && time.Since(began) < 30*time.Second {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// TestRevocationReachesEveryReplicaAndReceiver, while all of them issue tokens.
func TestRevocationReachesEveryReplicaAndReceiver(t *testing.T) {
	rounds := 10
	if *full {
		rounds = 200
	}
	dsn, master := storetest.Postgres(t).NewDatabase(t), newMaster(t)
	port := freeAddress(t)
	where := "http://" + port
	a := start(t, dsn, master, where, "COUNTERSIGN_LISTEN_API="+port)
	b, c := start(t, dsn, master, where), start(t, dsn, master, where)
	made, err := a.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	// The receiver follows a; what is revoked is revoked at b.
	receiver, err := verify.New(verify.Config{Audience: "parse-service", Issuers: []verify.Issuer{{URL: where}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = receiver.Close() })
	l := startLoad(t, made.ClientSecret, []*replica{a, b, c}, func(*replica) bool { return true })
	var atReplicas, atReceiver []time.Duration
	for range rounds {
		var reply struct {
			Token string `json:"access_token"`
		}
		body, err := b.whole(t.Context(), "/oauth2/token", made.ClientSecret, url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"}})
		if err != nil || json.Unmarshal(body, &reply) != nil {
			t.Fatal(err)
		}
		if _, err := receiver.Verify(t.Context(), reply.Token); err != nil {
			t.Fatalf("before it is revoked: %v", err)
		}
		if _, err := b.admin.RevokeToken(t.Context(), countersign.NewSecret(reply.Token)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		times := make(chan time.Duration, 2)
		for _, r := range []*replica{a, c} {
			go func() { times <- since(began, func() bool { return !r.active(t, made.ClientSecret, reply.Token) }) }()
		}
		atReceiver = append(atReceiver, since(began, func() bool { _, err := receiver.Verify(context.Background(), reply.Token); return err != nil }))
		atReplicas = append(atReplicas, <-times, <-times)
		if b.active(t, made.ClientSecret, reply.Token) {
			t.Error("it is active where it was revoked")
		}
	}
	l.end()
	if len(l.failed) > 0 {
		t.Errorf("%d token requests failed: %s", len(l.failed), l.failed[0])
	}
	for what, times := range map[string][]time.Duration{"replicas": atReplicas, "receiver": atReceiver} {
		figure(t, "revocation known under load, "+what+", p50 / p99", milliseconds(percentile(times, 50))+" / "+milliseconds(percentile(times, 99)), "p99 ≤ 1000 ms")
		if worst := percentile(times, 100); worst >= 30*time.Second {
			t.Errorf("a revocation never reached the %s", what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	n, dsn := newNetwork(t, "postgres://127.0.0.1:1/none")
	n.end() // its port is free now
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return at.Host
}

// TestTokensNeedNoDatabase: what one replica does for a token three do, too: nothing is read.
func TestTokensNeedNoDatabase(t *testing.T) {
	if !*full {
		t.Skip("measures: make faults does")
	}
	const wanted = 6000
	dsn, master := storetest.Postgres(t).NewDatabase(t), newMaster(t)
	var replicas []*replica
	for range 3 {
		replicas = append(replicas, start(t, dsn, master, issuer))
	}
	made, err := replicas[0].admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas {
		eventually(t, 30*time.Second, "it is known", func() bool {
			status, _ := r.token(t.Context(), http.DefaultClient, made.ClientSecret)
			return status == http.StatusOK
		})
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	settled(t, conn)
	var rates []float64
	for _, count := range []int{1, 3} {
		using := replicas[:count]
		scans, cpu := tableScans(t, conn), cpuOf(t, using)
		l := startLoad(t, made.ClientSecret, using, func(*replica) bool { return true })
		eventually(t, 300*time.Second, "the load is done", func() bool { return l.count() >= wanted*count })
		l.end()
		if len(l.failed) > 0 {
			t.Errorf("%d token requests failed: %s", len(l.failed), l.failed[0])
		}
		used := cpuOf(t, using) - cpu
		rates = append(rates, float64(len(l.issued))/max(used.Seconds(), 0.01))
		read := settled(t, conn) - scans
		figure(t, fmt.Sprintf("reads of services, secrets and keys, %d replica(s), %d tokens", count, len(l.issued)), fmt.Sprintf("%d (%.4f a token)", read, float64(read)/float64(len(l.issued))), "0 a token")
		if read > 20 { // what is done now and then, whatever the load
			t.Errorf("%d replicas read %d times for %d tokens", count, read, len(l.issued))
		}
	}
	figure(t, "tokens for a second of a replica's processor, 1 and 3 replicas", fmt.Sprintf("%.0f and %.0f", rates[0], rates[1]), "the same")
}

// settled waits until PostgreSQL's idle processes have told of their reads, which they do
// within ten seconds.
func settled(t *testing.T, conn *pgx.Conn) int64 {
	t.Helper()
	time.Sleep(11 * time.Second)
	return tableScans(t, conn)
}

// tableScans counts how often the tables were read that a token could need.
func tableScans(t *testing.T, conn *pgx.Conn) (count int64) {
	t.Helper()
	time.Sleep(1100 * time.Millisecond) // PostgreSQL's processes tell of their reads once a second
	err := conn.QueryRow(t.Context(), `SELECT COALESCE(SUM(seq_scan + COALESCE(idx_scan, 0)), 0)::bigint FROM pg_stat_user_tables
WHERE relname IN ('service', 'client_secret', 'signing_key')`).Scan(&count)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// cpuOf is the time that the replicas' processes have computed.
func cpuOf(t *testing.T, replicas []*replica) (used time.Duration) {
	t.Helper()
	for _, r := range replicas {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.command.Process.Pid))
		if err != nil {
			t.Skip("there is no /proc: ", err)
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			used += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return used
}
