package keys

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/countersign/countersign"
)

// maxMasterFile bounds what is read of a master key file, in bytes.
const maxMasterFile = 256

// LoadMaster reads the master key file: 32 bytes, base64 or hex, on one line. It must
// be a regular file that belongs to us or to root and that nobody else may read or
// write. With create, a missing file is made (mode 0600): it appears whole and on disk
// or not at all, and a file that is there is never overwritten.
//
// Errors: countersign.Invalid (not a key, readable by others), countersign.NotFound,
// countersign.Unavailable (can't be read or made).
func LoadMaster(path string, create bool) (*Master, error) {
	master, err := readMaster(path)
	if !create || !errors.Is(err, countersign.NotFound) {
		return master, err
	}
	if err := createMaster(path); err != nil {
		return nil, err
	}
	// Read back what is there: another process may have been first.
	return readMaster(path)
}

func readMaster(path string) (*Master, error) {
	// Not blocking: a named pipe must not hang the start. All checks are made on the
	// open file, so that it can't be exchanged between check and read.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, masterFileError(countersign.NotFound, path, "does not exist", err)
	}
	if err != nil {
		return nil, masterFileError(countersign.Unavailable, path, "can't be opened", err)
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return nil, masterFileError(countersign.Unavailable, path, "can't be read", err)
	}
	if why := notPrivate(path, info); why != "" {
		return nil, masterFileError(countersign.Invalid, path, why, nil)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxMasterFile+1))
	if err != nil {
		return nil, masterFileError(countersign.Unavailable, path, "can't be read", err)
	}
	if len(text) == 0 {
		return nil, masterFileError(countersign.Invalid, path,
			"is empty: put the key back, or remove the file if nothing was ever stored with it", nil)
	}
	master, err := ParseMaster(string(text))
	if err != nil {
		return nil, masterFileError(countersign.Invalid, path, "does not hold a master key", err)
	}
	return master, nil
}

// notPrivate says what is wrong with the file, "" if nothing is.
func notPrivate(path string, info fs.FileInfo) string {
	if !info.Mode().IsRegular() {
		return "is not a regular file"
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Sprintf("has mode %#o, which lets others in; run chmod 600 %s", perm, path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "has no owner that can be checked"
	}
	if !mayOwn(stat.Uid, os.Geteuid()) {
		return fmt.Sprintf("belongs to uid %d, and this process runs as uid %d", stat.Uid, os.Geteuid())
	}
	return ""
}

// mayOwn reports whether a master key of that owner is one for a process of that uid:
// who owns the file can exchange the key.
func mayOwn(owner uint32, process int) bool { return owner == 0 || int64(owner) == int64(process) }

// createMaster makes the file beside its final place and links it there when it is on
// disk: a crash leaves no half-written key, and a link never overwrites.
func createMaster(path string) (err error) {
	raw := make([]byte, masterBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	temp := path + ".new-" + rand.Text()
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return masterFileError(countersign.Unavailable, path, "can't be made", err)
	}
	defer func() {
		if removeErr := os.Remove(temp); removeErr != nil && err == nil {
			err = masterFileError(countersign.Unavailable, path, "left a temporary file behind", removeErr)
		}
	}()
	_, writeErr := file.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err := errors.Join(writeErr, file.Sync(), file.Close()); err != nil {
		return masterFileError(countersign.Unavailable, path, "can't be written", err)
	}
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return masterFileError(countersign.Unavailable, path, "can't be made", err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return masterFileError(countersign.Unavailable, path, "can't be made durable", err)
	}
	return nil
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func masterFileError(code countersign.Code, path, what string, cause error) error {
	return countersign.WrapError(code, "", fmt.Sprintf("master key file %s %s", path, what), cause)
}
