package replicas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
)

// kill ends the process with no farewell.
func (r *replica) kill(t *testing.T) {
	t.Helper()
	if err := r.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.command.Wait()
	_ = os.Remove(filepath.Join(r.data, "listen.json")) // the dead one's
}

// again starts it on the same folder.
func (r *replica) again(t *testing.T, program string) {
	t.Helper()
	command := exec.Command(program, "serve", "--data", r.data)
	// At the same place: who asks it need not look again.
	command.Env = append(r.command.Env, "COUNTERSIGN_LISTEN_API="+strings.TrimPrefix(r.url, "http://"))
	command.Stderr = r.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r.command = command
	eventually(t, 60*time.Second, "the server gets ready again: "+r.log.String(), r.ready)
}

// load asks replicas for tokens until it is stopped, and keeps what they answered.
type load struct {
	mu     sync.Mutex
	issued []string
	failed []string
	stop   context.CancelFunc
	wait   sync.WaitGroup
}

// startLoad puts workers on replicas; a failure counts only while expect says so.
func startLoad(t *testing.T, secret countersign.Secret, replicas []*replica, expect func(*replica) bool) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stop: cancel}
	t.Cleanup(func() { cancel(); l.wait.Wait() })
	for i := range 2 * len(replicas) {
		r := replicas[i%len(replicas)]
		l.wait.Go(func() {
			client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				wanted := expect(r)
				status, id := r.token(context.WithoutCancel(ctx), client, secret)
				l.mu.Lock()
				if status == http.StatusOK {
					l.issued = append(l.issued, id)
				} else if wanted && expect(r) {
					l.failed = append(l.failed, fmt.Sprint(status, " ", id))
				}
				l.mu.Unlock()
				time.Sleep(5 * time.Millisecond) // the load is bounded
			}
		})
	}
	return l
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.issued)
}

func (l *load) end() {
	l.stop()
	l.wait.Wait()
}

// TestPartitions: three real servers, each with a network of its own to one PostgreSQL, under
// load. One is cut off, one is slow, one is killed.
func TestPartitions(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	var replicas []*replica
	var networks []*network
	for range 3 {
		n, through := newNetwork(t, dsn)
		networks = append(networks, n)
		replicas = append(replicas, start(t, through, master, issuer, "COUNTERSIGN_REVOCATION_MAX_STALENESS=5s"))
	}
	a, b, c := replicas[0], replicas[1], replicas[2]
	made, err := b.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas { // all know it
		if status, text := r.token(t.Context(), http.DefaultClient, made.ClientSecret); status != http.StatusOK {
			t.Fatal(status, text)
		}
	}
	other, err := b.admin.CreateService(t.Context(), iamclient.CreateService{Name: "parse-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	down := map[*replica]bool{}
	set := func(r *replica, is bool) { mu.Lock(); defer mu.Unlock(); down[r] = is }
	l := startLoad(t, made.ClientSecret, replicas, func(r *replica) bool { mu.Lock(); defer mu.Unlock(); return !down[r] })
	eventually(t, 60*time.Second, "the load runs", func() bool { return l.count() > 60 })

	// Cut off, a replica goes on with what it knows, takes no writes, and stops in time.
	networks[0].set(cut, 0)
	began := time.Now()
	if _, err := a.admin.CreateService(t.Context(), iamclient.CreateService{Name: "too-late"}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("a write without the database: %v", err)
	}
	if time.Since(began) < 3*time.Second { // it is not stale yet, however busy the machine
		if status, text := a.token(t.Context(), http.DefaultClient, made.ClientSecret); status != http.StatusOK && time.Since(began) < 4*time.Second {
			t.Errorf("a replica that was cut off just now: %d %s", status, text)
		}
	}
	if _, err := b.admin.DisableService(t.Context(), "parse-service", iamclient.AnyRevision); err != nil {
		t.Fatal(err)
	}
	set(a, true) // from now on it may refuse
	eventually(t, 60*time.Second, "it is stale", func() bool {
		status, _ := a.token(t.Context(), http.DefaultClient, made.ClientSecret)
		return status == http.StatusServiceUnavailable
	})
	figure(t, "a replica without its database refuses after", milliseconds(time.Since(began)), "5 s: max_staleness of the test")
	networks[0].set(fair, 0)
	began = time.Now()
	eventually(t, 60*time.Second, "it serves again", func() bool {
		status, _ := a.token(t.Context(), http.DefaultClient, made.ClientSecret)
		return status == http.StatusOK
	})
	figure(t, "  and serves again, once the network is there, after", milliseconds(time.Since(began)), "")
	if status, _ := a.tokenAs(t.Context(), http.DefaultClient, "parse-service", other.ClientSecret); status != http.StatusUnauthorized {
		t.Errorf("what was disabled meanwhile: %d", status)
	}
	set(a, false)

	// Slow and stalled networks delay nobody who asks for a token.
	networks[1].set(fair, 40*time.Millisecond)
	before := l.count()
	eventually(t, 60*time.Second, "tokens are issued", func() bool { return l.count() > before+50 })
	set(b, true)
	networks[1].set(stalled, 0)
	before = l.count()
	eventually(t, 60*time.Second, "tokens are issued", func() bool { return l.count() > before+50 })
	networks[1].set(fair, 0)
	eventually(t, 60*time.Second, "the stalled one is ready", b.ready)
	set(b, false)

	// Killed, and cut off while it is dead; it comes back with its folder.
	set(c, true)
	c.kill(t)
	time.Sleep(100 * time.Millisecond) // the others work on
	c.again(t, binary)
	set(c, false)
	before = l.count()
	eventually(t, 60*time.Second, "all three issue tokens", func() bool { return l.count() > before+60 })
	l.end()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d token requests failed, the first: %s", len(l.failed), len(l.failed)+len(l.issued), l.failed[0])
	}
	eventually(t, 60*time.Second, "every token has its event", func() bool { return len(missingEvents(t, b, l.issued)) == 0 })
	for i, r := range replicas {
		report, err := r.admin.VerifyAudit(t.Context())
		if err != nil || !report.OK {
			t.Errorf("replica %d: audit verify: %+v, %v", i, report, err)
		}
	}
	figure(t, "partitions and kill -9 of three servers under load", fmt.Sprint(len(l.issued), " tokens"), "each with its audit event, none failed at a good replica")
}
