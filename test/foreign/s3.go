//go:build clients

package foreign

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// S3Server is one that is not ours, and its only user.
type S3Server struct{ URL, AccessKeyID, Secret string }

// VersityGW starts versitygw on a folder, whose folders are its buckets. It checks
// signatures itself.
func VersityGW(t *testing.T, folder string) S3Server {
	t.Helper()
	program := filepath.Join(Root(t), ".tools", "bin", "versitygw")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("scripts/install-tools.sh .tools has not run: %v", err)
	}
	address := "127.0.0.1:" + FreePort(t)
	server := S3Server{URL: "http://" + address, AccessKeyID: "versity", Secret: "versity-secret"}
	command := Command(t, Environ("ROOT_ACCESS_KEY="+server.AccessKeyID, "ROOT_SECRET_KEY="+server.Secret), program,
		"--port", address, "--keep-alive", "posix", folder)
	Start(t, command, loopbackURL)
	Reachable(t, address)
	return server
}

// StartQuiet runs a server that does not say where it listens.
func StartQuiet(t *testing.T, command *exec.Cmd) {
	t.Helper()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(command.Path), &said)
		}
	})
}

// Reachable waits until a server takes connections: some say that they do before they do.
func Reachable(t *testing.T, address string) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-ticker.C {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
}
