package audit_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

// signer signs heads with one key.
type signer struct{ key ed25519.PrivateKey }

func newSigner(seed byte) signer {
	text := make([]byte, ed25519.SeedSize)
	text[0] = seed
	return signer{ed25519.NewKeyFromSeed(text)}
}

func (s signer) SignHead(message []byte) (string, []byte, error) {
	return "k1", ed25519.Sign(s.key, message), nil
}

func (s signer) VerifyHead(kid string, message, signature []byte) bool {
	public, _ := s.key.Public().(ed25519.PublicKey)
	return kid == "k1" && ed25519.Verify(public, message, signature)
}

// disk is the database as the outside can make it fail.
type disk struct {
	store.Store
	updates atomic.Int64
	hanging atomic.Bool // Update and AuditTail wait for the end of their context
	late    atomic.Bool // a transaction is rolled back at its end
	mu      sync.Mutex
	before  func() error // fails before the transaction
	after   func() error // fails after it was committed
	reads   func() error // fails AuditTail
}

var errDisk = countersign.WrapError(countersign.Unavailable, "", "", errors.New("no space left on device"))

func (d *disk) set(before, after, reads func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before, d.after, d.reads = before, after, reads
}

func fails() error { return errDisk }

func (d *disk) hooks() (before, after, reads func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.before, d.after, d.reads
}

func (d *disk) Update(ctx context.Context, fn func(context.Context, store.Tx) error) error {
	if d.hanging.Load() {
		<-ctx.Done()
		return errDisk
	}
	before, after, _ := d.hooks()
	if before != nil {
		if err := before(); err != nil {
			return err
		}
	}
	d.updates.Add(1)
	run := fn
	if d.late.Load() {
		run = func(ctx context.Context, tx store.Tx) error {
			if err := fn(ctx, tx); err != nil {
				return err
			}
			return errDisk
		}
	}
	if err := d.Store.Update(ctx, run); err != nil {
		return err
	}
	if after != nil {
		return after()
	}
	return nil
}

func (d *disk) AuditTail(ctx context.Context, replica string) (store.AuditBlock, error) {
	if d.hanging.Load() {
		<-ctx.Done()
		return store.AuditBlock{}, errDisk
	}
	if _, _, reads := d.hooks(); reads != nil {
		if err := reads(); err != nil {
			return store.AuditBlock{}, err
		}
	}
	return d.Store.AuditTail(ctx, replica)
}

// stall holds up the next transaction: who receives from entered knows that it has
// begun; it goes on when release is closed, and later ones are not held up.
func (w *world) stall() (entered <-chan struct{}, release chan<- struct{}) {
	in, out := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.disk.set(func() error {
		once.Do(func() { in <- struct{}{}; <-out })
		return nil
	}, nil, nil)
	return in, out
}

// world is a folder with a database and the log on it.
type world struct {
	t        testing.TB
	folder   string
	disk     *disk
	log      *audit.Log
	replica  string
	noFile   bool
	signer   audit.HeadSigner
	spool    string // "" = none
	max      int64  // of the spool
	observer audit.Observer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, folder: t.TempDir(), replica: "r1", signer: newSigner(1)}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) database() string { return filepath.Join(w.folder, "countersign.db") }

func (w *world) headFile() string { return filepath.Join(w.folder, "audit-head.json") }

func (w *world) start() {
	w.t.Helper()
	s, err := sqlstore.OpenSQLite(context.Background(), w.database(), sqlstore.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.disk = &disk{Store: s}
	cfg := audit.Config{Store: w.disk, Replica: w.replica, Signer: w.signer, HeadFile: w.headFile(), Spool: w.spool, SpoolMax: w.max, Observer: w.observer}
	if w.noFile {
		cfg.HeadFile = ""
	}
	if w.log, err = audit.Open(context.Background(), cfg); err != nil {
		w.t.Fatal(err)
	}
}

// stop ends the process in good order. A second stop does nothing.
func (w *world) stop() {
	if w.log == nil {
		return
	}
	w.disk.set(nil, nil, nil)
	w.disk.hanging.Store(false)
	if err := w.log.Close(context.Background()); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	if err := w.disk.Store.Close(); err != nil {
		w.t.Errorf("close the store: %v", err)
	}
	w.log = nil
}

func (w *world) restart() { w.t.Helper(); w.stop(); w.start() }

// tamper runs SQL behind the store's back.
func (w *world) tamper(statement string, args ...any) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.database()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := db.ExecContext(context.Background(), statement, args...); err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func event(id string) audit.Event {
	return audit.Event{
		ID: id, Action: "token", Decision: audit.Issued, Reason: "ok", Service: "document-service",
		Target: "parse-service", Scope: "s2s:internal", Proof: "client_secret_basic", ClientAddr: "127.0.0.1",
	}
}

// commit stores n events in n blocks.
func (w *world) commit(n int) {
	w.t.Helper()
	for i := range n {
		if err := w.log.Commit(context.Background(), event(fmt.Sprintf("e%d", i+1))); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) verify() audit.Report {
	w.t.Helper()
	report, err := w.log.Verify(context.Background())
	if err != nil {
		w.t.Error(err)
	}
	return report
}

func (w *world) clean() {
	w.t.Helper()
	if report := w.verify(); !report.OK || len(report.Findings) > 0 {
		w.t.Errorf("Verify: %+v", report)
	}
}

// all returns every event, by way of small pages.
func (w *world) all(q audit.Query) []audit.Event {
	w.t.Helper()
	var events []audit.Event
	for {
		result, err := w.log.Query(context.Background(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		events = append(events, result.Events...)
		if result.After == q.After {
			return events
		}
		q.After = result.After
	}
}

func (w *world) ids(q audit.Query) map[string]int {
	w.t.Helper()
	ids := map[string]int{}
	for _, e := range w.all(q) {
		ids[e.ID]++
	}
	return ids
}

// eventually waits for a condition that others bring about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func wantCode(t testing.TB, err error, code countersign.Code) {
	t.Helper()
	if countersign.CodeOf(err) != code {
		t.Errorf("code %q (%v), want %q", countersign.CodeOf(err), err, code)
	}
}
