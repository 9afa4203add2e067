package server_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
)

// wantRefused starts a server that must not start, and returns why it did not.
func wantRefused(t *testing.T, data string, code countersign.Code) string {
	t.Helper()
	s, err := server.New(t.Context(), server.Options{Config: load(t, data)})
	if err == nil {
		_ = s.Close(t.Context())
		t.Fatal("the server started")
	}
	if !errors.Is(err, code) {
		t.Errorf("error %v (%s), want %s", err, countersign.CodeOf(err), code)
	}
	message := countersign.MessageOf(err)
	if !strings.Contains(message, data) {
		t.Errorf("the message %q does not name the folder", message)
	}
	return message
}

func TestRuleG1DataFolderIsMadePrivate(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "new", "deep", "data")
	r := startIn(t, data)
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: %v, %v", info.Mode(), err)
	}
	r.create(t, "document-service", "parse-service")
	err = filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v: others can read it", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRuleG1DataFolderIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		code countersign.Code
		says string
	}{
		{"group may read", func(t *testing.T, path string) { mkdir(t, path, 0o750) }, countersign.Invalid, "chmod 700"},
		{"others may enter", func(t *testing.T, path string) { mkdir(t, path, 0o701) }, countersign.Invalid, "chmod 700"},
		{"everybody", func(t *testing.T, path string) { mkdir(t, path, 0o777) }, countersign.Invalid, "chmod 700"},
		{"a file", func(t *testing.T, path string) { write(t, path, "") }, countersign.Invalid, "not a folder"},
		{"a socket", func(t *testing.T, path string) {
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = listener.Close() })
		}, countersign.Invalid, "not a folder"},
		{"a link to an open folder", func(t *testing.T, path string) {
			mkdir(t, path+"-real", 0o755)
			symlink(t, path+"-real", path)
		}, countersign.Invalid, "chmod 700"},
		{"a link to a file", func(t *testing.T, path string) {
			write(t, path+"-real", "")
			symlink(t, path+"-real", path)
		}, countersign.Invalid, "not a folder"},
		{"a link to nowhere", func(t *testing.T, path string) { symlink(t, path+"-real", path) }, countersign.Unavailable, "can't be read"},
		{"a link to itself", func(t *testing.T, path string) { symlink(t, path, path) }, countersign.Unavailable, "can't be read"},
		{"below a file", func(t *testing.T, path string) { write(t, filepath.Dir(path), "") }, countersign.Unavailable, "can't be made"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parent, err := os.MkdirTemp("", "cs") // short: a socket must fit
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(parent) })
			path := filepath.Join(parent, "d", "data")
			if test.name != "below a file" {
				mkdir(t, filepath.Dir(path), 0o700)
			}
			test.make(t, path)
			if message := wantRefused(t, path, test.code); !strings.Contains(message, test.says) {
				t.Errorf("message %q does not say %q", message, test.says)
			}
			if entries, err := os.ReadDir(path); err == nil && len(entries) > 0 {
				t.Errorf("a folder that was refused was written to: %v", entries)
			}
		})
	}
}

// A link of our own is as good as the path that it stands for.
func TestRuleG1DataFolderMayBeOurOwnLink(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	mkdir(t, filepath.Join(parent, "real"), 0o700)
	symlink(t, filepath.Join(parent, "real"), filepath.Join(parent, "link"))
	startIn(t, filepath.Join(parent, "link")).create(t, "document-service")
	if _, err := os.Stat(filepath.Join(parent, "real", "countersign.db")); err != nil {
		t.Error(err)
	}
}

// foreignInfo is a private folder of another user.
type foreignInfo struct{ fs.FileInfo }

func (foreignInfo) Sys() any { return &syscall.Stat_t{Uid: uint32(os.Geteuid()) + 1} }

func TestRuleG1DataFolderOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	mkdir(t, data, 0o700)
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.CheckPrivate(data, info); err != nil {
		t.Errorf("our own: %v", err)
	}
	if err := server.CheckPrivate(data, foreignInfo{info}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("another user's: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Log("only root can give a folder away: the rule was tested on what os.Stat would say")
		return
	}
	if err := os.Chown(data, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if message := wantRefused(t, data, countersign.Invalid); !strings.Contains(message, "owned by uid 65534") {
		t.Errorf("message %q", message)
	}
}

// What another user's link leads to, they may change tomorrow.
func TestRuleG1DataFolderBehindALinkOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	mkdir(t, filepath.Join(parent, "real"), 0o700)
	link := filepath.Join(parent, "link")
	symlink(t, filepath.Join(parent, "real"), link)
	if os.Geteuid() != 0 {
		t.Skip("only root can give a link away")
	}
	if err := os.Lchown(link, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if message := wantRefused(t, link, countersign.Invalid); !strings.Contains(message, "symbolic link of another user") {
		t.Errorf("message %q", message)
	}
}

func TestSecondServerOnTheSameDataIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "parse-service")
	listen, err := os.ReadFile(filepath.Join(r.data, "listen.json"))
	if err != nil {
		t.Fatal(err)
	}
	message := wantRefused(t, r.data, countersign.Conflict)
	if !strings.Contains(message, "another countersign serve is using it") {
		t.Errorf("message %q", message)
	}
	// The first one has lost nothing: not its socket, not its addresses, not its data.
	if after, err := os.ReadFile(filepath.Join(r.data, "listen.json")); err != nil || string(after) != string(listen) {
		t.Errorf("listen.json was %q and is %q, %v", listen, after, err)
	}
	r.admin.Close() // a new connection
	if _, err := r.admin.Service(t.Context(), "document-service"); err != nil {
		t.Errorf("the socket of the first server: %v", err)
	}
	if a := r.token(t, "document-service", secret, "parse-service"); a.status != 200 {
		t.Errorf("the first server: %d %s", a.status, a.text)
	}
	r.wantWhole(t)
}

func TestStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "d")
	mkdir(t, data, 0o700)
	listener, err := net.Listen("unix", filepath.Join(data, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r := startIn(t, data)
	r.create(t, "document-service")
	info, err := os.Stat(r.AdminSocket())
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&fs.ModeSocket == 0 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(r.AdminSocket()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stopped server leaves its socket: %v", err)
	}
}

// A path of more than 107 bytes is no socket address: server and client reach it
// through the open folder.
func TestLongDataPath(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), strings.Repeat("long-", 30), strings.Repeat("d", 100))
	r := startIn(t, data)
	secret := r.create(t, "document-service", "parse-service")
	if a := r.token(t, "document-service", secret, "parse-service"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	admin, err := iamclient.New(iamclient.Config{Socket: r.AdminSocket()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Service(t.Context(), "document-service"); countersign.MessageOf(err) != "no server: start countersign serve" {
		t.Errorf("a stopped server: %v", err)
	}
	again := startIn(t, data) // the socket that is left over is replaced
	if _, err := again.admin.Service(t.Context(), "document-service"); err != nil {
		t.Error(err)
	}
}

func TestListenFile(t *testing.T) {
	t.Parallel()
	r := start(t)
	body, err := os.ReadFile(filepath.Join(r.data, "listen.json"))
	if err != nil {
		t.Fatal(err)
	}
	var listen map[string]string
	if err := json.Unmarshal(body, &listen); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"api": r.Addresses().API, "s3": r.Addresses().S3, "ops": r.Addresses().Ops, "url": r.BaseURL(), "s3_url": "http://" + r.Addresses().S3}
	for name, value := range want {
		if listen[name] != value || strings.HasSuffix(value, ":0") || value == "" {
			t.Errorf("%s = %q, want %q", name, listen[name], value)
		}
	}
	if len(listen) != len(want) {
		t.Errorf("listen.json = %s", body)
	}
	for name, url := range map[string]string{"api": listen["url"] + "/.well-known/jwks.json", "ops": "http://" + listen["ops"] + "/livez"} {
		if a := r.get(t, url); a.status != 200 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if _, err := os.Stat(filepath.Join(r.data, "listen.json.new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file: %v", err)
	}
	// Whoever has the port after the stop must not be taken for us.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.data, "listen.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the stop: %v", err)
	}
}

// A port that is taken is an error at start, and gives everything back.
func TestTakenPortIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	data := filepath.Join(t.TempDir(), "data")
	for _, variable := range []string{"COUNTERSIGN_LISTEN_API=", "COUNTERSIGN_LISTEN_S3=", "COUNTERSIGN_LISTEN_OPS="} {
		cfg := load(t, data, variable+listener.Addr().String())
		if _, err := server.New(t.Context(), server.Options{Config: cfg}); !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: %v", variable, err)
		}
	}
	startIn(t, data) // the lock was given back
}

// A data folder of a newer program, or with a damaged database, is left alone.
func TestDamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	mkdir(t, data, 0o700)
	text := strings.Repeat("this is not a database\n", 500)
	write(t, filepath.Join(data, "countersign.db"), text)
	if _, err := server.New(t.Context(), server.Options{Config: load(t, data)}); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("error %v, want unavailable", err)
	}
	if after, err := os.ReadFile(filepath.Join(data, "countersign.db")); err != nil || string(after) != text {
		t.Errorf("the file was changed, %v", err)
	}
}

func mkdir(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}
