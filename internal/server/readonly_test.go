package server_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/server"
)

// A folder of ours that we may not write to. Root may write everywhere, so a root test
// becomes somebody else.
func TestReadOnlyDataFolderByModeIsRefused(t *testing.T) {
	t.Parallel()
	const mode, nobody = "mode", 65534
	data := os.Getenv(childData)
	var as *syscall.SysProcAttr
	if os.Getenv(childMode) == "" {
		data = sharedFolder(t)
		if err := os.Chmod(data, 0o500); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(data, nobody, nobody); err != nil {
				t.Fatal(err)
			}
			as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}}
		}
	}
	if !inChild(t, mode, data, as) {
		return
	}
	if message := wantRefused(t, data, countersign.Unavailable); !strings.Contains(message, "can't be written") {
		t.Errorf("message %q", message)
	}
}

// A file system that is mounted read-only: nothing is lost, and after it is mounted for
// writing again all is as it was.
func TestReadOnlyDataFolderByMountIsRefused(t *testing.T) {
	t.Parallel()
	data := os.Getenv(childData)
	if os.Getenv(childMode) == "" {
		data = sharedFolder(t)
	}
	if !inChild(t, "mount", data, namespaces()) {
		return
	}
	mountTmpfs(t, data, "32m")
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|syscall.MS_NOSUID|syscall.MS_NODEV|flags, "size=32m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if message := wantRefused(t, data, countersign.Unavailable); !strings.Contains(message, "can't be written") {
		t.Errorf("empty folder: message %q", message)
	}
	remount(0)
	r := startIn(t, data)
	secret := r.create(t, "document-service", "parse-service")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	before := sizes(t, data)
	remount(syscall.MS_RDONLY)
	if message := wantRefused(t, data, countersign.Unavailable); !strings.Contains(message, "can't be written") {
		t.Errorf("folder with data: message %q", message)
	}
	if after := sizes(t, data); after != before {
		t.Errorf("files were %s and are %s", before, after)
	}
	remount(0)
	again := startIn(t, data)
	if a := again.token(t, "document-service", secret, "parse-service"); a.status != 200 {
		t.Errorf("after it is writable again: %d %s", a.status, a.text)
	}
	again.wantWhole(t)
}

// sizes describes the files of a folder.
func sizes(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && !entry.IsDir() {
			b.WriteString(entry.Name() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A folder in which only the database can't be written: the error says what to look at.
func TestReadOnlyDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	r := startIn(t, data)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(data, "countersign.db")
	if err := errors.Join(os.Remove(database), os.Mkdir(database, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(t.Context(), server.Options{Config: load(t, data)}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("error %v, want unavailable", err)
	}
}
