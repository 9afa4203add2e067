package auditclient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	maxSpoolBytes = 64 << 20
	// minFileBytes is what a small file counts: it takes a block of the disk.
	minFileBytes = 4 << 10
)

var errSpoolFull = errors.New("the spool is full")

// spool keeps batches on disk, one file each. Used by one goroutine at a time.
type spool struct {
	root  *os.Root
	files []spoolFile // the oldest first
	bytes int64
	last  int64 // number of the newest file there ever was
}

// spoolFile is a file of the spool. Its name says all that is known of it, so that a
// file that can't be read any more can still be counted.
type spoolFile struct {
	number                  int64
	events, denied, allowed int64
	size                    int64
}

// name sorts like number.
func (f spoolFile) name() string {
	return fmt.Sprintf("%019d-%d-%d-%d.json", f.number, f.events, f.denied, f.allowed)
}

// parseSpoolName is the inverse of name.
func parseSpoolName(name string) (spoolFile, bool) {
	var f spoolFile
	_, err := fmt.Sscanf(name, "%d-%d-%d-%d.json", &f.number, &f.events, &f.denied, &f.allowed)
	return f, err == nil && f.number > 0 && f.events > 0 && f.denied >= 0 && f.allowed >= 0 && f.name() == name
}

func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	s := &spool{root: root}
	if err := s.scan(); err != nil {
		_ = root.Close()
		return nil, err
	}
	return s, nil
}

// scan finds what an earlier run left.
func (s *spool) scan() error {
	info, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 && runtime.GOOS != "windows" { // there the bits say nothing
		return errors.New("others may write to the folder")
	}
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".tmp") {
			_ = s.root.Remove(entry.Name()) // it was never finished, and its batch never lost
			continue
		}
		f, ours := parseSpoolName(entry.Name())
		if !ours || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f.size = info.Size()
		s.files = append(s.files, f)
		s.bytes += max(f.size, minFileBytes)
		s.last = max(s.last, f.number)
	}
	slices.SortFunc(s.files, func(a, b spoolFile) int { return strings.Compare(a.name(), b.name()) })
	return nil
}

func (s *spool) empty() bool { return len(s.files) == 0 }

// add writes a batch: it is there in whole or not at all, also after a power cut.
func (s *spool) add(b *batch, now time.Time) error {
	size := int64(len(b.body))
	if s.bytes+max(size, minFileBytes) > maxSpoolBytes {
		return errSpoolFull
	}
	f := spoolFile{
		number: max(s.last+1, now.UnixNano()),
		events: int64(b.events), denied: b.denied, allowed: b.allowed, size: size,
	}
	if err := s.write(f.name(), b.body); err != nil {
		return err
	}
	s.last = f.number
	s.files = append(s.files, f)
	s.bytes += max(size, minFileBytes)
	return nil
}

func (s *spool) write(name string, body []byte) error {
	temporary := name + ".tmp"
	file, err := s.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = s.root.Rename(temporary, name)
	}
	if err != nil {
		_ = s.root.Remove(temporary)
		return err
	}
	return s.sync()
}

// sync makes the names in the folder durable.
func (s *spool) sync() error {
	if runtime.GOOS == "windows" { // which has no such call
		return nil
	}
	dir, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// oldest returns the batch to send next. A file that holds no batch any more gives one
// without a body.
func (s *spool) oldest() (*batch, error) {
	f := s.files[0]
	b := &batch{events: int(f.events), denied: f.denied, allowed: f.allowed}
	file, err := s.root.Open(f.name())
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	b.body, err = io.ReadAll(io.LimitReader(file, 2*maxBatchBytes))
	if err != nil {
		return nil, err
	}
	if !json.Valid(b.body) {
		b.body = nil
	}
	return b, nil
}

// remove forgets the oldest batch.
func (s *spool) remove() {
	f := s.files[0]
	// If it can't be removed it is sent again after a restart: the batch id tells.
	_ = s.root.Remove(f.name())
	s.files = slices.Delete(s.files, 0, 1)
	s.bytes -= max(f.size, minFileBytes)
}

func (s *spool) close() { _ = s.root.Close() }
