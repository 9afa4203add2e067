package auditclient_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
)

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestSpoolThroughOutageAndRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "spool")
		down := &server{status: -1}
		c := newClient(t, down, inDir(dir))
		var want []string
		record := func(n int) {
			for range n {
				want = append(want, fmt.Sprint("id-", len(want)))
				c.Record(t.Context(), denial(len(want)-1))
				time.Sleep(time.Second)
			}
		}
		record(120)
		synctest.Wait() // a file may be half written at this very second
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("folder: %v, %v", info.Mode(), err)
		}
		names := files(t, dir)
		if len(names) < 10 || len(names) > 40 {
			t.Errorf("%d files after two minutes", len(names))
		}
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(name, ".json") {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Record(t.Context(), allowed("POST"))
		if err := c.Close(t.Context()); err != nil { // nothing is lost
			t.Errorf("Close: %v", err)
		}

		// A restart, still down; then up.
		c = newClient(t, down, inDir(dir))
		record(5)
		down.set(0)
		time.Sleep(90 * time.Second)
		got := down.all()
		var counts int
		denials := got[:0:0]
		for _, r := range got {
			if r.Decision == "allowed" {
				counts++
			} else {
				denials = append(denials, r)
			}
		}
		if diff := cmp.Diff(want, ids(denials)); diff != "" || counts != 1 {
			t.Errorf("%d counts, reports (-want +got):\n%s", counts, diff)
		}
		if names := files(t, dir); len(names) != 0 {
			t.Errorf("left in the spool: %v", names)
		}
	})
}

// After a crash the spool is sent without anything new to report.
func TestSpoolIsSentAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		down := &server{status: 503}
		first := newClient(t, down, inDir(dir))
		first.Record(t.Context(), denial(1))
		_ = first.Close(t.Context())
		up := &server{}
		newClient(t, up, inDir(dir))
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"id-1"}, ids(up.all())); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		if string(up.bodies[0]) != string(down.bodies[0]) {
			t.Error("not the same batch as before")
		}
	})
}

func TestSpoolWithDamage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"0000000000000000001-3-3-0.json":       `{"batch_id":"cut`,
			"0000000000000000002-2-2-0.json":       ``,
			"0000000000000000003-1-1-0.json":       `{"batch_id":"whole","events":[{"id":"id-9","count":1}]}`,
			"0000000000000000004-1-1-0.json.tmp":   `{`,
			"notes.txt":                            `somebody's`,
			"0000000000000000005-1-1-0.json.bak":   `{}`,
			"5-1-1-0.json":                         `{}`,
			"-000000000000000005-1-1-0.json":       `{}`,
			"0000000000000000006-1-1-0-extra.json": `{}`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "0000000000000000007-1-1-0.json"), 0o700); err != nil {
			t.Fatal(err)
		}
		s := &server{}
		c := newClient(t, s, inDir(dir))
		time.Sleep(time.Second)
		if err := c.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var dropped int64
		for _, r := range s.all() {
			if r.Reason == string(auditclient.ReasonReportsDropped) {
				dropped += r.Count
			}
		}
		if got := s.all(); len(got) != 2 || got[0].ID != "id-9" || dropped != 5 {
			t.Errorf("%d dropped, reports %+v", dropped, got)
		}
		if left := files(t, dir); len(left) != 6 {
			t.Errorf("left: %v", left)
		}
	})
}

// The spool is bounded; what does not fit stays in memory, which is bounded too.
func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		// 64 MiB that were spooled before, less what one batch takes.
		size := 512<<10 - 4096
		for i := range 255 {
			path := filepath.Join(dir, fmt.Sprintf("%019d-1-1-0.json", i+1))
			content := `{"batch_id":"old","events":[]}` + strings.Repeat(" ", size-30)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			size = 256 << 10
		}
		s := &server{status: -1}
		source := &tokens{err: countersign.NewError(countersign.Unavailable, "", "")}
		c := newClient(t, s, func(cfg *auditclient.Config) { cfg.SpoolDir, cfg.Source = dir, source })
		c.Record(t.Context(), denial(1)) // fits
		_ = c.Flush(t.Context())
		if n := len(files(t, dir)); n != 256 {
			t.Errorf("%d files, want 256", n)
		}
		c.Record(t.Context(), denial(2)) // does not
		_ = c.Flush(t.Context())
		if n := len(files(t, dir)); n != 256 {
			t.Errorf("%d files, want 256", n)
		}
		if err := c.Close(t.Context()); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestSpoolFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, open, filepath.Join(file, "below")} {
		_, err := auditclient.New(auditclient.Config{URL: "https://auth.example.com", Source: &tokens{}, SpoolDir: bad})
		if countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
