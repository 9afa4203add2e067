package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
)

// disk is full, or has space again.
type disk struct{ fill, free func() error }

// A file system of a few MiB, filled to the last byte.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	data := os.Getenv(childData)
	if os.Getenv(childMode) == "" {
		data = sharedFolder(t)
	}
	if !inChild(t, "tmpfs", data, namespaces()) {
		return
	}
	mountTmpfs(t, data, "12m")
	filler := filepath.Join(data, "filler")
	fullDisk(t, data, disk{fill: func() error { return fillUp(filler) }, free: func() error { return os.Remove(filler) }})
	refusedAtStart(t, data, filler)
}

// A limit on the size of files, which every user may set: writes fail in the same places.
func TestFullDiskByFileSizeLimit(t *testing.T) {
	t.Parallel()
	data := os.Getenv(childData)
	if os.Getenv(childMode) == "" {
		data = sharedFolder(t)
	}
	if !inChild(t, "limit", data, nil) {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // the write itself returns the error then
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	fullDisk(t, data, disk{
		fill: func() error {
			info, err := os.Stat(filepath.Join(data, "countersign.db-wal"))
			if err != nil {
				return err
			}
			return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(info.Size()), Max: limit.Max})
		},
		free: func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit) },
	})
}

// fullDisk is what must hold on every kind of full disk: no token without its event, no
// half of a change, a clear answer, and all is well again when there is space.
func fullDisk(t *testing.T, data string, d disk) {
	t.Helper()
	r := startIn(t, data)
	secret := r.create(t, "document-service", "parse-service")
	issued := make(map[string]bool)
	tokens := func(n int) (failed int) {
		t.Helper()
		var mu sync.Mutex
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				a := r.token(t, "document-service", secret, "parse-service")
				mu.Lock()
				defer mu.Unlock()
				switch a.status {
				case 200:
					issued[a.header.Get("X-Request-Id")] = true
				case 503:
					failed++
					if a.field(t, "error") != "temporarily_unavailable" || a.header.Get("Retry-After") == "" || strings.Contains(a.text, "access_token") {
						t.Errorf("503: %v %s", a.header, a.text)
					}
				default:
					t.Errorf("%d %s", a.status, a.text)
				}
			})
		}
		group.Wait()
		return failed
	}
	if failed := tokens(5); failed != 0 {
		t.Fatalf("%d of 5 tokens refused while there was space", failed)
	}
	first := r.token(t, "document-service", secret, "parse-service").field(t, "access_token")
	if err := d.fill(); err != nil {
		t.Fatal(err)
	}
	// The last pages of the journal may still have room.
	eventually(t, "the disk is full", func() bool { return tokens(8) == 8 })
	whileFull(t, r, secret, first)

	if err := d.free(); err != nil {
		t.Fatal(err)
	}
	if a := r.post(t, "/oauth2/revoke", "document-service", secret, url.Values{"token": {first}}); a.status != 200 {
		t.Errorf("revoke after there was space again: %d %s", a.status, a.text)
	}
	if failed := tokens(8); failed != 0 {
		t.Errorf("%d of 8 tokens refused after there was space again: %s", failed, r.log)
	}
	afterwards(t, r, secret, issued)
	if err := r.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	again := startIn(t, data)
	afterwards(t, again, secret, issued)
	form := url.Values{"token": {first}}
	if a := again.post(t, "/oauth2/introspect", "document-service", secret, form); a.status != 200 || !strings.Contains(a.text, `"active":false`) {
		t.Errorf("introspect after a restart: %d %s", a.status, a.text)
	}
	if err := again.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// whileFull: what writes is refused with the right word, what only reads goes on.
func whileFull(t *testing.T, r *rig, secret, token string) {
	t.Helper()
	form := url.Values{"token": {token}}
	if a := r.post(t, "/oauth2/introspect", "document-service", secret, form); a.status != 200 || !strings.Contains(a.text, `"active":true`) {
		t.Errorf("introspect: %d %s", a.status, a.text)
	}
	for range 2 { // the second time it is dead here, and would live again after a restart
		if a := r.post(t, "/oauth2/revoke", "document-service", secret, form); a.status != 503 {
			t.Errorf("revoke: %d %s, want 503: it was not stored", a.status, a.text)
		}
		if _, err := r.admin.RevokeToken(t.Context(), countersign.NewSecret(token)); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("revoke by the administrator: %v, want unavailable", err)
		}
	}
	// What nobody could store holds all the same, as long as this process runs.
	if a := r.post(t, "/oauth2/introspect", "document-service", secret, form); a.status != 200 || !strings.Contains(a.text, `"active":false`) {
		t.Errorf("introspect: %d %s", a.status, a.text)
	}
	_, err := r.admin.CreateService(t.Context(), iamclient.CreateService{Name: "never-made", Audiences: []string{"parse-service"}})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("create: %v, want unavailable", err)
	}
	if _, err := r.admin.RotateSecret(t.Context(), "document-service", iamclient.AnyRevision, 0); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("rotate: %v, want unavailable", err)
	}
	if _, err := r.admin.DisableService(t.Context(), "document-service", iamclient.AnyRevision); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("disable: %v, want unavailable", err)
	}
	if a := r.token(t, "document-service", "wrong", "parse-service"); a.status != 401 {
		t.Errorf("a wrong secret: %d %s", a.status, a.text)
	}
	for _, target := range []string{r.ops + "/livez", r.BaseURL() + "/.well-known/jwks.json"} {
		if a := r.get(t, target); a.status != 200 {
			t.Errorf("%s: %d", target, a.status)
		}
	}
}

// afterwards: the log is whole and tells of exactly the tokens that were given out, and
// of the refusals that had to wait for space.
func afterwards(t *testing.T, r *rig, secret string, issued map[string]bool) {
	t.Helper()
	r.wantWhole(t)
	logged := make(map[string]bool)
	page, err := r.admin.AuditEvents(t.Context(), iamclient.AuditQuery{Action: "token", Decision: "issued", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Events {
		logged[e.ID] = true
	}
	for id := range issued {
		if !logged[id] {
			t.Errorf("token %s was given out, and the log does not know of it", id)
		}
	}
	// Beside those there is the token for introspection, whose id was not kept, and one
	// for each earlier call of this function.
	if extra := len(logged) - len(issued); extra < 1 || extra > 2 {
		t.Errorf("%d tokens in the log and %d given out", len(logged), len(issued))
	}
	if _, err := r.admin.Service(t.Context(), "never-made"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a change that was refused has happened: %v", err)
	}
	service, err := r.admin.Service(t.Context(), "document-service")
	if err != nil || service.Disabled || len(service.Secrets) != 1 || service.Revision != 1 {
		t.Errorf("changes that were refused have happened: %+v, %v", service, err)
	}
	eventually(t, "the refusal that was queued is stored", func() bool {
		page, err := r.admin.AuditEvents(context.Background(), iamclient.AuditQuery{Reason: "secret_wrong"})
		return err == nil && len(page.Events) == 1
	})
	if a := r.token(t, "document-service", secret, "parse-service"); a.status != 200 {
		t.Errorf("token: %d %s", a.status, a.text)
	}
}

// refusedAtStart: a full disk at start is an error that says so, and harms nothing.
func refusedAtStart(t *testing.T, data, filler string) {
	t.Helper()
	if err := fillUp(filler); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(t.Context(), server.Options{Config: load(t, data)})
	if !errors.Is(err, countersign.Unavailable) {
		t.Errorf("start on a full disk: %v, want unavailable", err)
	}
	if err == nil {
		_ = s.Close(t.Context())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r := startIn(t, data)
	r.wantWhole(t)
	if _, err := r.admin.Service(t.Context(), "document-service"); err != nil {
		t.Error(err)
	}
}

// fillUp writes until there is no space left.
func fillUp(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for size := 1 << 20; size > 0; {
		if _, err := file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			return errors.Join(fmt.Errorf("fill the disk: %w", err), file.Close())
		}
	}
	return file.Close()
}
