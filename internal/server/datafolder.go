package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/countersign/countersign"
)

// dataFolder is the folder that holds everything that must survive: the database,
// the master key, the administrator's socket. One process owns it at a time.
type dataFolder struct {
	path string
	lock *os.File
}

// openDataFolder makes the folder if it is missing, refuses one that others can read
// or own (RULES G1), and takes the lock on it.
func openDataFolder(path string) (*dataFolder, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, folderError(path, "can't be made", err)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, folderError(path, "can't be made", err)
	}
	if err := checkLink(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, folderError(path, "can't be read", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	return &dataFolder{path: path, lock: lock}, nil
}

// checkLink refuses a symbolic link that somebody else made: they could point it to
// another folder of ours tomorrow. One of our own or of root's is as good as a path.
func checkLink(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return folderError(path, "can't be read", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode()&fs.ModeSymlink == 0 || ok && (int(stat.Uid) == os.Geteuid() || stat.Uid == 0) {
		return nil
	}
	return countersign.NewError(countersign.Invalid, "", fmt.Sprintf("data folder %s: a symbolic link of another user", path))
}

func checkPrivate(path string, info fs.FileInfo) error {
	if !info.IsDir() {
		return countersign.NewError(countersign.Invalid, "", fmt.Sprintf("data folder %s: not a folder", path))
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("data folder %s: mode %#o lets others in; run chmod 700 %s", path, perm, path))
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("data folder %s: owned by uid %d, and this process runs as uid %d", path, stat.Uid, os.Geteuid()))
	}
	return nil
}

// lockFolder keeps a second process out. The kernel drops the lock when the process
// ends, however it ends.
func lockFolder(path string) (*os.File, error) {
	name := filepath.Join(path, "lock")
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, folderError(path, "can't be written", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(name)
		_ = file.Close()
		return nil, countersign.WrapError(countersign.Conflict, "",
			fmt.Sprintf("data folder %s: another countersign serve is using it (process %s)", path, strings.TrimSpace(string(holder))), err)
	}
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := errors.Join(file.Truncate(0), writeAt(file, pid)); err != nil {
		_ = file.Close()
		return nil, folderError(path, "can't be written", err)
	}
	return file, nil
}

func writeAt(file *os.File, content []byte) error {
	_, err := file.WriteAt(content, 0)
	return err
}

func folderError(path, what string, err error) error {
	return countersign.WrapError(countersign.Unavailable, "", fmt.Sprintf("data folder %s: %s", path, what), err)
}

func (d *dataFolder) file(name string) string { return filepath.Join(d.path, name) }

// writeListen tells others on this machine where the listeners are.
func (d *dataFolder) writeListen(addresses Addresses) error {
	body, err := json.Marshal(addresses)
	if err != nil {
		return fmt.Errorf("encode listen.json: %w", err)
	}
	temp := d.file("listen.json.new")
	if err := os.WriteFile(temp, append(body, '\n'), 0o600); err != nil {
		return folderError(d.path, "listen.json can't be written", err)
	}
	if err := os.Rename(temp, d.file("listen.json")); err != nil {
		return folderError(d.path, "listen.json can't be written", err)
	}
	return nil
}

// close gives the folder free for the next process. What says where the listeners are
// goes first: whoever has the port next must not be taken for us.
func (d *dataFolder) close() error {
	err := os.Remove(d.file("listen.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, d.lock.Close())
}
