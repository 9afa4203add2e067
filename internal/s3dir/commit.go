package s3dir

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/countersign/countersign/internal/s3api"
)

// maxAttempts is how often a commit looks again when folders appear and vanish under it.
const maxAttempts = 16

// commit makes an object of a sealed file, if the condition holds for what is there.
//
// Errors: PreconditionFailed, NoSuchKey (If-Match without an object), those of ctx.
func (d *Dir) commit(ctx context.Context, key string, s *staged, when writeCondition) error {
	unlock, err := d.lock(ctx, keyLock, key)
	if err != nil {
		return err
	}
	touched, err := d.replace(ctx, key, s, when)
	unlock()
	if err != nil {
		return err
	}
	return d.syncFolders(touched)
}

// syncFolders makes the entries of the folders durable, of each once.
func (d *Dir) syncFolders(touched []string) error {
	if err := d.step("sync folders"); err != nil {
		return err
	}
	slices.Sort(touched)
	for _, folder := range slices.Compact(touched) {
		if err := d.syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// replace is what commit does under the lock. It returns the folders whose entries changed.
func (d *Dir) replace(ctx context.Context, key string, s *staged, when writeCondition) ([]string, error) {
	old, err := d.current(key)
	if err != nil {
		return nil, err
	}
	if err := when.check(d, key, old); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx) // the client is gone: it must not learn of a success by accident
	}
	path, touched, err := d.move(key, s, when)
	if err != nil {
		return nil, err
	}
	s.done = true
	// What follows is cleaning up: nobody sees what is left when it doesn't happen.
	for _, each := range old {
		if err := d.step("remove old"); err != nil {
			return nil, err
		}
		if each.path != path && d.root.Remove(each.path) == nil {
			touched = append(touched, d.pruneAbove(each.path))
		}
		_ = d.root.Remove(recordPath(key, versionOf(each.info)))
	}
	return touched, nil
}

// move gives the file its place: the point of no return.
func (d *Dir) move(key string, s *staged, when writeCondition) (string, []string, error) {
	var lastErr error
	for range maxAttempts {
		path, err := d.target(key)
		if err != nil {
			return "", nil, targetError(err)
		}
		if err := d.step("make folders"); err != nil {
			return "", nil, err
		}
		touched, err := d.makeFolders(path)
		if err == nil {
			if err := d.step("rename"); err != nil {
				return "", nil, err
			}
			err = d.moveTo(path, s, when)
		}
		if err == nil {
			return path, append(touched, folderOf(path)), nil
		}
		if when.mustBeNew && errors.Is(err, fs.ErrExist) {
			return "", nil, preconditionFailed("If-None-Match")
		}
		// Another key's write or delete made a folder of a file, or took a folder away.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.EISDIR) {
			return "", nil, targetError(err)
		}
		lastErr = err
	}
	return "", nil, unusable("the object can't be put in its place", lastErr)
}

func (d *Dir) moveTo(path string, s *staged, when writeCondition) error {
	if !when.mustBeNew {
		return d.root.Rename(s.path, path)
	}
	// A link is never made over what somebody put there by hand, which no lock keeps away.
	if err := d.root.Link(s.path, path); err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
			return d.root.Rename(s.path, path) // a file system without hard links
		}
		return err
	}
	return d.root.Remove(s.path)
}

func targetError(err error) error {
	var refusal *s3api.Error
	switch {
	case errors.As(err, &refusal):
		return err
	case errors.Is(err, syscall.ENAMETOOLONG):
		return refuse(s3api.KeyTooLong, "A segment of the key is too long for a file's name.")
	}
	return unusable("the object can't be put in its place", err)
}

// located is a file of a key.
type located struct {
	path string
	info fs.FileInfo
}

// current are the files of a key, the visible one first. It is called under the key's lock.
func (d *Dir) current(key string) ([]located, error) {
	paths := []string{morePath(key)}
	if plain, ok := plainPath(key); ok {
		paths = []string{plain, morePath(key)}
	}
	var found []located
	for _, path := range paths {
		info, err := d.file(path)
		if err == nil {
			found = append(found, located{path, info})
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, unusable("the object can't be looked for", err)
		}
	}
	return found, nil
}

// remove removes the object of a key, if there is one and the condition holds, and returns
// the folders that are to be synced then.
func (d *Dir) remove(ctx context.Context, key string, when writeCondition) ([]string, error) {
	unlock, err := d.lock(ctx, keyLock, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.removeLocked(key, when)
}

func (d *Dir) removeLocked(key string, when writeCondition) ([]string, error) {
	found, err := d.current(key)
	if err != nil {
		return nil, err
	}
	if err := when.check(d, key, found); err != nil {
		return nil, err
	}
	var touched []string
	// The visible one goes last: the one behind it must not come to light.
	for i := len(found) - 1; i >= 0; i-- {
		each := found[i]
		if err := d.step("remove"); err != nil {
			return nil, err
		}
		if err := d.root.Remove(each.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unusable("the object can't be removed", err)
		}
		if err := d.step("removed"); err != nil {
			return nil, err
		}
		touched = append(touched, d.pruneAbove(each.path))
		_ = d.root.Remove(recordPath(key, versionOf(each.info)))
	}
	return touched, nil
}
