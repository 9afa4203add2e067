package agent

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/countersign/countersign"
)

// maxAuthorization bounds the file with the value of the Authorization header, in bytes.
const maxAuthorization = 1 << 10

// Authorization returns the value of the Authorization header in the file at path, made
// anew where there is none. An old one stays, so that programs which were started with it
// go on; but only if nobody else could have read or written it.
//
// Errors: countersign.Unavailable, Denied.
func Authorization(path string) (countersign.Secret, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := countersign.NewSecret(rand.Text()) // 26 characters, 130 bits
		return fresh, replaceFile(path, fresh.Reveal())
	} else if err != nil {
		return countersign.Secret{}, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !ownAlone(info) {
		return countersign.Secret{}, countersign.WrapError(countersign.Denied, "",
			path+" is not a file that you alone can read: delete it, and another one is made", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxAuthorization+1))
	value := strings.TrimSpace(string(text))
	if err != nil || len(text) > maxAuthorization || len(value) < minAuthorization || !printable(value) {
		return countersign.Secret{}, countersign.WrapError(countersign.Denied, "",
			path+" holds no value for the Authorization header: delete it, and another one is made", err)
	}
	return countersign.NewSecret(value), nil
}

// ownAlone reports whether it is a file which nobody but this user can read or write.
func ownAlone(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}

// Folder makes the folder, which nobody else may enter, or says why an old one won't do:
// who can write there can put another file in place of ours.
//
// Errors: countersign.Unavailable, Denied.
func Folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be made", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be looked at", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 {
		return countersign.NewError(countersign.Denied, "", path+" is not a folder of yours alone: run chmod 700 on it if you trust it")
	}
	return nil
}

// replaceFile writes a file of mode 0600 and puts it in place at once, so that no reader
// sees half of it.
//
// Errors: countersign.Unavailable.
func replaceFile(path, text string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".countersign-*") // mode 0600
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
	}
	return nil
}
