//go:build unix

package s3dir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock of an open file, if nobody has it.
func tryLock(file *os.File) (bool, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	var lockErr error
	if err := conn.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return false, err
	}
	if errors.Is(lockErr, syscall.EWOULDBLOCK) || errors.Is(lockErr, syscall.EINTR) {
		return false, nil
	}
	return lockErr == nil, lockErr
}

func releaseLock(file *os.File) {
	if conn, err := file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = syscall.Flock(int(fd), syscall.LOCK_UN) })
	}
}

// inode tells files with the same name, size and time apart.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// removeFolder removes an empty folder from the open one that it is in, and nothing else:
// os.Root.Remove would remove a file that has got the name meanwhile. The name is one
// segment, so this leads nowhere else.
func removeFolder(parent *os.File, name string) error {
	conn, err := parent.SyscallConn()
	if err != nil {
		return err
	}
	var removeErr error
	if err := conn.Control(func(fd uintptr) { removeErr = unix.Unlinkat(int(fd), name, unix.AT_REMOVEDIR) }); err != nil {
		return err
	}
	return removeErr
}

// withoutRoot is the same open folder without its root, which it closes: os looks at each
// entry of a folder that was opened in a root, and else goes by what the folder says. Nothing
// is opened by way of it.
func withoutRoot(folder *os.File) (*os.File, error) {
	defer folder.Close() //nolint:errcheck // read only
	conn, err := folder.SyscallConn()
	if err != nil {
		return nil, err
	}
	copied, copyErr := -1, error(nil)
	err = conn.Control(func(fd uintptr) { copied, copyErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, copyErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(copied), ""), nil
}
