package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Some tests change what holds for a whole process: its user, its mounts, its limits.
// They run again in a child, which is this test binary with childMode set.
const (
	childMode = "COUNTERSIGN_SERVER_TEST_CHILD"
	childData = "COUNTERSIGN_SERVER_TEST_DATA"
)

// inChild runs the test that calls it in a child with attributes of its own. In the
// child it returns true, and the test goes on; in the parent it returns when the child
// has passed. data is the child's data folder.
func inChild(t *testing.T, mode, data string, attributes *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(childMode) == mode {
		return true
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run="+pattern, "-test.v", "-test.count=1")
	child.Env = append(os.Environ(), childMode+"="+mode, childData+"="+data)
	child.SysProcAttr = attributes
	out, err := child.CombinedOutput()
	switch {
	case child.Process == nil && attributes != nil && attributes.Cloneflags != 0:
		t.Skipf("this kernel gives us no namespace of our own (%v): only the other variant of this test was run", err)
	case err != nil:
		t.Errorf("child: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("the child did not run the test:\n%s", out)
	}
	return false
}

// namespaces lets a child mount what it likes, as root or as any user.
func namespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}

// mountTmpfs puts a small file system over the child's data folder.
func mountTmpfs(t *testing.T, data, size string) {
	t.Helper()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=700,size="+size); err != nil {
		t.Fatal(err)
	}
}

// sharedFolder makes a folder for data whose parents every user may enter.
func sharedFolder(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "cs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(parent) })
	if err := os.Chmod(parent, 0o711); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(parent, "d")
	mkdir(t, data, 0o700)
	return data
}
