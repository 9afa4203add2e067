package s3dir

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/countersign/countersign/internal/s3api"
)

// file returns what lies at the path if it is a regular file that is reached by folders
// alone. A symlink or a special file is as good as nothing. The check and what follows it
// are two steps: somebody with an account on this host may put a symlink between them, and
// then os.Root keeps us in the folder.
//
// Errors: fs.ErrNotExist.
func (d *Dir) file(path string) (fs.FileInfo, error) {
	if cut := strings.LastIndexByte(path, '/'); cut >= 0 {
		if err := d.folder(path[:cut]); err != nil {
			return nil, err
		}
	}
	info, err := d.root.Lstat(path)
	if err != nil {
		return nil, absent(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	return info, nil
}

// folder reports whether a folder lies at the path that is reached by folders alone.
//
// Errors: fs.ErrNotExist.
func (d *Dir) folder(path string) error {
	for i := range len(path) + 1 {
		if i < len(path) && path[i] != '/' {
			continue
		}
		info, err := d.root.Lstat(path[:i])
		if err != nil {
			return absent(err)
		}
		if !info.IsDir() {
			return fs.ErrNotExist
		}
	}
	return nil
}

// absent makes one error of those that say that there is no such file.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		return fs.ErrNotExist
	}
	return err
}

// find returns where the object of a key lies now.
//
// Errors: NoSuchKey.
func (d *Dir) find(key string) (string, fs.FileInfo, error) {
	plain, ok := plainPath(key)
	paths := []string{morePath(key)}
	if ok {
		// A write may move an object from more to plain between two looks, never back.
		paths = []string{plain, morePath(key), plain}
	}
	for _, path := range paths {
		info, err := d.file(path)
		if err == nil {
			return path, info, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, unusable("the object can't be looked for", err)
		}
	}
	return "", nil, noSuchKey()
}

func noSuchKey() error { return refuse(s3api.NoSuchKey, "The specified key does not exist.") }

// target chooses where a new object of the key goes: to its plain path, and to more if a
// file lies where a folder would have to be, or the other way round.
//
// Errors: InvalidRequest (a symlink or a special file is in the way).
func (d *Dir) target(key string) (string, error) {
	plain, ok := plainPath(key)
	if !ok {
		return morePath(key), nil
	}
	for i := range len(plain) + 1 {
		if i < len(plain) && plain[i] != '/' {
			continue
		}
		info, err := d.root.Lstat(plain[:i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return plain, nil
		case err != nil:
			return "", err
		case !info.IsDir() && !info.Mode().IsRegular():
			return "", refuse(s3api.InvalidRequest, "In the folder of the bucket a symlink or a special file has this name.")
		case info.IsDir() != (i < len(plain)):
			return morePath(key), nil
		}
	}
	return plain, nil
}

// makeFolders makes the folders that lead to a path, and returns those that got an entry.
func (d *Dir) makeFolders(path string) ([]string, error) {
	var touched []string
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		err := d.root.Mkdir(path[:i], folderPerm)
		switch {
		case err == nil:
			touched = append(touched, folderOf(path[:i]))
		case !errors.Is(err, fs.ErrExist):
			return touched, err
		}
	}
	return touched, nil
}

// pruneAbove removes the folders that led to what was removed and are empty now. It returns
// the folder whose entries are to be synced for that to last.
func (d *Dir) pruneAbove(path string) (touched string) {
	for touched = folderOf(path); touched != "." && touched != moreFolder; {
		above := folderOf(touched)
		parent, err := d.root.Open(above)
		if err != nil {
			break
		}
		err = removeFolder(parent, touched[strings.LastIndexByte(touched, '/')+1:])
		_ = parent.Close()
		if err != nil {
			break // not empty, or somebody else was faster: both are fine
		}
		touched = above
	}
	return touched
}

func folderOf(path string) string {
	if cut := strings.LastIndexByte(path, '/'); cut >= 0 {
		return path[:cut]
	}
	return "."
}

// syncFolder makes the entries of a folder durable. If it is gone, or something else has its
// name now, then its end is what is to last: the nearest folder above that is there has it.
func (d *Dir) syncFolder(path string) error {
	for {
		folder, err := d.openFolder(path)
		if errors.Is(err, fs.ErrNotExist) && path != "." {
			path = folderOf(path)
			continue
		}
		if err != nil {
			return unusable("the folder can't be synced", err)
		}
		err = folder.Sync()
		_ = folder.Close()
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return unusable("the folder can't be synced", err)
		}
		return nil
	}
}

// openFolder opens a folder, and nothing that would block.
//
// Errors: fs.ErrNotExist, also where something else lies.
func (d *Dir) openFolder(path string) (*os.File, error) {
	folder, err := d.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, absent(err)
	}
	info, err := folder.Stat()
	if err == nil && !info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = folder.Close()
		return nil, err
	}
	return folder, nil
}

// openFile opens a regular file, and nothing that would block or is followed.
func (d *Dir) openFile(path string, info fs.FileInfo) (*os.File, error) {
	file, err := d.root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, absent(err)
	}
	opened, err := file.Stat()
	if err != nil || !os.SameFile(opened, info) {
		_ = file.Close()
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	return file, nil
}
