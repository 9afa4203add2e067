package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
)

func rawKey() []byte {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i*7 + 250)
	}
	return raw
}

func TestParseMaster(t *testing.T) {
	t.Parallel()
	raw := rawKey()
	std, hexed := base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)
	want := mustParse(t, std).Derive("l", "d")
	for _, s := range []string{std, std + "\n", std + "\r\n", strings.TrimRight(std, "="), hexed, hexed + "\n", strings.ToUpper(hexed)} {
		if got := mustParse(t, s).Derive("l", "d"); !bytes.Equal(got, want) {
			t.Errorf("ParseMaster of %d bytes gives another key", len(s))
		}
	}
	for name, s := range map[string]string{
		"empty":           "",
		"newline":         "\n",
		"31 bytes":        base64.StdEncoding.EncodeToString(raw[:31]),
		"33 bytes":        base64.StdEncoding.EncodeToString(append(rawKey(), 1)),
		"half":            std[:22],
		"one short":       std[:42],
		"hex one short":   hexed[:63],
		"hex one long":    hexed + "0",
		"not hex":         "g" + hexed[1:],
		"two lines":       std + "\n" + std,
		"two newlines":    std + "\n\n",
		"broken line":     std[:20] + "\n" + std[20:],
		"leading space":   " " + std,
		"trailing space":  std + " ",
		"two paddings":    std + "=",
		"loose last bits": strings.TrimRight(std, "=")[:42] + "/",
		"zero key":        base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"one byte's key":  hex.EncodeToString(bytes.Repeat([]byte{0xab}, 32)),
		"URL-safe":        strings.NewReplacer("+", "-", "/", "_").Replace(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 0xfe}, 16))),
		"PEM":             "-----BEGIN PRIVATE KEY-----",
		"name=value":      "MASTER=" + std,
		"not UTF-8":       "\xff\xfe" + std,
	} {
		m, err := keys.ParseMaster(s)
		if !errors.Is(err, countersign.Invalid) || m != nil {
			t.Errorf("%s: ParseMaster = %v, want Invalid", name, err)
		}
		if err != nil && len(s) > 8 && strings.Contains(err.Error(), s[:8]) {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
}

func mustParse(tb testing.TB, s string) *keys.Master {
	tb.Helper()
	m, err := keys.ParseMaster(s)
	if err != nil {
		tb.Fatalf("ParseMaster: %v", err)
	}
	return m
}

func TestSealBindsEverything(t *testing.T) {
	t.Parallel()
	m := fixture.NewMaster(t)
	plain := []byte("private key")
	sealed, err := m.Seal("token", "kid", "dep", plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Unseal("token", "kid", "dep", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Unseal = %q, %v", got, err)
	}
	again, err := m.Seal("token", "kid", "dep", plain)
	if err != nil || bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same bytes")
	}
	if bytes.Contains(sealed, plain) {
		t.Error("the sealed value shows the plain one")
	}
	for _, in := range [][3]string{
		{"audit", "kid", "dep"}, {"token", "kid2", "dep"}, {"token", "kid", "dep2"}, {"", "kid", "dep"},
		{"token", "", "dep"}, {"token", "kid", ""}, {"tokenk", "id", "dep"}, {"token", "kidd", "ep"}, {"kid", "token", "dep"},
	} {
		if _, err := m.Unseal(in[0], in[1], in[2], sealed); !errors.Is(err, countersign.BadSignature) {
			t.Errorf("Unseal as %q = %v, want BadSignature", in, err)
		}
	}
	if _, err := fixture.NewMaster(t).Unseal("token", "kid", "dep", sealed); !errors.Is(err, countersign.BadSignature) {
		t.Errorf("Unseal with another master key = %v", err)
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if _, err := m.Unseal("token", "kid", "dep", flipped); !errors.Is(err, countersign.BadSignature) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := m.Unseal("token", "kid", "dep", sealed[:i]); !errors.Is(err, countersign.BadSignature) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := m.Unseal("token", "kid", "dep", append(sealed, 0)); !errors.Is(err, countersign.BadSignature) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestDeriveSeparates(t *testing.T) {
	t.Parallel()
	m := fixture.NewMaster(t)
	seen := map[string]string{}
	for _, in := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "c"}, {"client-secret/v1", "d"}, {"seal/v1", "d"}} {
		key := m.Derive(in[0], in[1])
		if len(key) != 32 || !bytes.Equal(key, m.Derive(in[0], in[1])) {
			t.Errorf("Derive%q is not stable", in)
		}
		if before, there := seen[string(key)]; there {
			t.Errorf("Derive%q = Derive%q", in, before)
		}
		seen[string(key)] = in[0] + "|" + in[1]
	}
}

func TestLoadMasterCreates(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "master.key")
	if _, err := keys.LoadMaster(path, false); !errors.Is(err, countersign.NotFound) {
		t.Fatalf("LoadMaster of no file = %v, want NotFound", err)
	}
	made, err := keys.LoadMaster(path, true)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, create := range []bool{true, false} {
		again, err := keys.LoadMaster(path, create)
		if err != nil || !bytes.Equal(again.Derive("l", "d"), made.Derive("l", "d")) {
			t.Errorf("LoadMaster again (create %v): %v", create, err)
		}
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was written again: %v", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files in the folder, want 1: %v", len(entries), err)
	}
}

func TestLoadMasterRace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	got := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			m, err := keys.LoadMaster(path, true)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = m.Derive("l", "d")
		})
	}
	wg.Wait()
	for i := range got {
		if diff := cmp.Diff(got[0], got[i]); diff != "" {
			t.Fatal("two processes have two master keys")
		}
	}
}

func TestRuleB8MasterFileIsPrivate(t *testing.T) {
	t.Parallel()
	text := []byte(base64.StdEncoding.EncodeToString(rawKey()) + "\n")
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o660, 0o610, 0o601, 0o602, 0o777} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.LoadMaster(path, true); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("mode %o: %v, want Invalid", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.LoadMaster(path, false); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestLoadMasterBadFiles(t *testing.T) {
	t.Parallel()
	good := base64.StdEncoding.EncodeToString(rawKey())
	for name, content := range map[string]string{
		"empty": "", "half": good[:20], "two keys": good + "\n" + good + "\n", "huge": strings.Repeat("a", 1<<16), "padded to the limit": good + strings.Repeat("\n", 300),
	} {
		path := filepath.Join(t.TempDir(), "master.key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.LoadMaster(path, true); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
		after, err := os.ReadFile(path)
		if err != nil || string(after) != content {
			t.Errorf("%s: the file was overwritten (%v)", name, err)
		}
	}

	folder := t.TempDir()
	if _, err := keys.LoadMaster(folder, true); err == nil {
		t.Error("a folder is taken for a key")
	}
	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadMaster(pipe, false); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("a pipe: %v, want Invalid", err)
	}
	if _, err := keys.LoadMaster(filepath.Join(folder, "none", "master.key"), true); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("no folder: %v, want Unavailable", err)
	}
	dangling := filepath.Join(folder, "dangling")
	if err := os.Symlink(filepath.Join(folder, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadMaster(dangling, true); err == nil {
		t.Error("a key was made through a dangling link")
	}
	// Mounted secrets are links: the file behind counts.
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "link")
	if err := errors.Join(os.WriteFile(target, []byte(good), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadMaster(link, false); err != nil {
		t.Errorf("a link to a good file: %v", err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadMaster(link, false); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("a link to a public file: %v", err)
	}
}

func TestRuleB8MasterFileOfSomebodyElse(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	path := filepath.Join(t.TempDir(), "master.key")
	text := base64.StdEncoding.EncodeToString(rawKey())
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.LoadMaster(path, false); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("LoadMaster = %v, want Invalid", err)
	}
}

func FuzzParseMaster(f *testing.F) {
	raw := rawKey()
	for _, s := range []string{"", "\n", base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw) + "\n", strings.Repeat("=", 44), strings.Repeat("0", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := keys.ParseMaster(s)
		if (err == nil) == (m == nil) {
			t.Fatalf("ParseMaster = %v, %v", m, err)
		}
		if err != nil && countersign.CodeOf(err) != countersign.Invalid {
			t.Fatalf("code = %s", countersign.CodeOf(err))
		}
		if err == nil && (len(strings.TrimRight(s, "\r\n")) > 64 || len(m.Derive("l", "d")) != 32) {
			t.Fatalf("accepted %d bytes", len(s))
		}
	})
}
