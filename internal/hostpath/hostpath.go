package hostpath

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign"
)

// Paths are the paths that documents may name. The zero value allows none.
type Paths struct {
	// Folder is where relative paths start: that of the configuration.
	Folder string
	// Allowed are the folders below which a path must lie, or be one of; absolute.
	Allowed []string
	// Forbidden are folders that nobody may name, with all below and all above them: the
	// data folder; absolute.
	Forbidden []string
}

// Absolute returns the path as it is reached on this machine.
func (p Paths) Absolute(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.Folder, path)
	}
	return filepath.Clean(path)
}

// Check returns the path with its symbolic links resolved, as far as it is there. What is
// not there yet is fine: it is where it will be.
//
// Errors: countersign.Denied with ReasonPathNotAllowed; the message names no other path.
func (p Paths) Check(path string) (real string, err error) {
	real, err = resolve(p.Absolute(path))
	if err != nil {
		return "", refuse("can't be looked up", err)
	}
	if err := p.checkForbidden(real); err != nil {
		return "", err
	}
	if _, _, ok := p.allowed(real); !ok {
		return "", refuse("is not below a folder of allowed_paths in the server's configuration", nil)
	}
	return real, nil
}

// ReadFile reads a regular file of at most max bytes that Check lets pass. A link that is put
// in its way meanwhile leads nowhere outside of the allowed folder.
//
// Errors: countersign.Denied as Check; countersign.Unavailable when it can't be read or is
// longer than that.
func (p Paths) ReadFile(path string, max int64) ([]byte, error) {
	real, err := p.Check(path)
	if err != nil {
		return nil, err
	}
	folder, rest, ok := p.allowed(real)
	if !ok || rest == "." {
		return nil, unreadable(fs.ErrInvalid)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = root.Close() }()
	// Without this a named pipe would hold the reader up.
	if info, err := root.Stat(rest); err != nil || !info.Mode().IsRegular() {
		return nil, unreadable(errors.Join(err, fs.ErrInvalid))
	}
	file, err := root.Open(rest)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if int64(len(content)) > max {
		return nil, unreadable(fmt.Errorf("it is longer than %d bytes", max))
	}
	return content, nil
}

// allowed returns the allowed folder, resolved, that a resolved path is in, and the rest.
func (p Paths) allowed(real string) (folder, rest string, ok bool) {
	for _, folder := range p.Allowed {
		folder, err := resolve(filepath.Clean(folder))
		if err != nil || !filepath.IsAbs(folder) {
			continue
		}
		if rest, ok := below(real, folder); ok {
			return folder, rest, true
		}
	}
	return "", "", false
}

func (p Paths) checkForbidden(real string) error {
	for _, folder := range p.Forbidden {
		folder, err := resolve(filepath.Clean(folder))
		if err != nil {
			return refuse("can't be held against the data folder", err)
		}
		_, inside := below(real, folder)
		_, around := below(folder, real)
		if inside || around {
			return refuse("is the server's data folder, or in it, or around it", nil)
		}
	}
	return nil
}

// below returns the path of what is in a folder, "." for the folder itself.
func below(path, folder string) (rest string, ok bool) {
	rest, err := filepath.Rel(folder, path)
	if err != nil || rest == ".." || strings.HasPrefix(rest, ".."+string(filepath.Separator)) {
		return "", false
	}
	return rest, true
}

// resolve follows the symbolic links of an absolute path. Behind the last part that is
// there it is taken as it is written: nothing can be a link that is not there. A link to
// nothing is refused, because where it leads is made later.
func resolve(path string) (string, error) {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return "", fs.ErrInvalid
	}
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err //nolint:wrapcheck // the callers do
		}
		if _, err := os.Lstat(at); err == nil || filepath.Dir(at) == at {
			return "", fs.ErrInvalid // a link to nothing
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

func refuse(why string, cause error) error {
	return countersign.WrapError(countersign.Denied, countersign.ReasonPathNotAllowed, "the path "+why, cause)
}

func unreadable(cause error) error {
	return countersign.WrapError(countersign.Unavailable, "", "a file that a document names can't be read", cause)
}
