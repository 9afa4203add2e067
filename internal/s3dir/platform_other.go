//go:build !unix

package s3dir

import (
	"errors"
	"io/fs"
	"os"
)

// tryLock knows no lock between processes here, and without one nothing is written.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func releaseLock(*os.File) {}

func inode(fs.FileInfo) uint64 { return 0 }

// removeFolder leaves empty folders: they are no objects.
func removeFolder(*os.File, string) error { return errors.ErrUnsupported }

func withoutRoot(folder *os.File) (*os.File, error) { return folder, nil }
