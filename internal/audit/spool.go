package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/countersign/countersign/internal/store"
)

const (
	// defaultSpoolMax is Config.SpoolMax where it is 0, in bytes.
	defaultSpoolMax = 256 << 20
	// Of the spool, events that were only recorded get this much; the rest is kept for
	// commits.
	recordedShare, wholeSpool = 4, 5
)

var errSpoolFull = errors.New("the spool of the audit log is full")

// spool is the file of blocks that the store could not take. It exists only while
// there are some. Key: none; lifetime: until stored; bound: max bytes. Appending and
// replacing need the log's turn; reading is safe meanwhile.
type spool struct {
	path string
	max  int64

	mu    sync.Mutex
	file  *os.File // nil = there is none
	size  int64    // of the records that are whole
	dirty bool     // there may be something behind size
	sent  int64    // what lies before is in the store

	unsynced    bool // the file was replaced, and the folder could not be synced
	damagedTail bool // the last record that was found at start is broken
}

// openSpool makes the folder and takes over the file that was left there, without a
// record that a crash left half-written; cut is how many bytes that were.
func openSpool(folder, replica string, limit int64) (s *spool, cut int64, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, 0, fmt.Errorf("make the spool's folder: %w", err)
	}
	name := sha256.Sum256([]byte(replica)) // a replica's name need not be a file's
	s = &spool{path: filepath.Join(folder, "audit-"+hex.EncodeToString(name[:8])+".spool"), max: limit}
	if err := os.Remove(s.path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	file, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	s.file = file
	if cut, err = s.load(); err != nil {
		return nil, 0, errors.Join(err, s.close())
	}
	return s, cut, nil
}

// load finds the end of what is whole and cuts off the rest.
func (s *spool) load() (cut int64, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	for s.size < info.Size() {
		r, err := readRecord(s.file, s.size, info.Size())
		if errors.Is(err, errTorn) {
			s.dirty = true
			return info.Size() - s.size, s.trimLocked()
		}
		if err != nil {
			return 0, err
		}
		s.size, s.damagedTail = r.end, r.broken
	}
	return 0, nil
}

// trimLocked removes what a failed append left behind.
func (s *spool) trimLocked() error {
	if !s.dirty {
		return nil
	}
	if err := s.file.Truncate(s.size); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.dirty = false
	return nil
}

// room returns how many bytes of events still fit; recorded: of those that were only
// recorded.
func (s *spool) room(replica string, recorded bool) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.max
	if recorded {
		limit = s.max / wholeSpool * recordedShare
	}
	return limit - s.size - spoolOverhead - int64(len(replica))
}

// append makes a record durable before it returns nil. After an error it is as if it
// had not been called.
func (s *spool) append(kind uint32, b *store.AuditBlock) error {
	text := encodeRecord(kind, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+int64(len(text)) > s.max {
		return errSpoolFull
	}
	if s.file == nil {
		if err := s.createLocked(); err != nil {
			return err
		}
	}
	if err := s.syncReplacedLocked(); err != nil {
		return err
	}
	if err := s.trimLocked(); err != nil {
		return err
	}
	s.dirty = true
	_, err := s.file.WriteAt(text, s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(err, s.trimLocked())
	}
	s.size += int64(len(text))
	s.dirty = false
	return nil
}

func (s *spool) createLocked() error {
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(s.path)); err != nil {
		return errors.Join(err, file.Close(), os.Remove(s.path))
	}
	s.file, s.size, s.sent, s.dirty = file, 0, 0, false
	return nil
}

// next returns the records behind what was sent: at least one, if there is one, and
// further ones up to size bytes and count records.
func (s *spool) next(size int64, count int) ([]record, error) {
	s.mu.Lock()
	file, at, end := s.file, s.sent, s.size
	err := s.syncReplacedLocked()
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var records []record
	for from := at; at < end && len(records) < count && at-from < size; {
		r, err := readRecord(file, at, end)
		if err != nil {
			return nil, fmt.Errorf("read the spool: %w", err)
		}
		records = append(records, r)
		at = r.end
	}
	return records, nil
}

// advance notes that what lies before offset to is in the store.
func (s *spool) advance(to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = to
}

// left returns how many bytes are not in the store.
func (s *spool) left() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size - s.sent
}

// rewrite replaces the spool by what is not in the store, from the record at offset
// from on, with change called for each block in order.
func (s *spool) rewrite(from int64, change func(b *store.AuditBlock)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := os.OpenFile(s.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	size, err := s.copyTo(fresh, from, change)
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(s.path+".new", s.path)
	}
	if err != nil {
		return errors.Join(err, fresh.Close())
	}
	old := s.file
	s.file, s.size, s.sent, s.dirty = fresh, size, 0, false
	s.unsynced = true // next tries until it is: the file is the new one already
	_ = old.Close()   // it was only read
	return nil
}

// syncReplacedLocked makes a rewrite durable: before that nothing of it may be stored,
// or a crash would bring back the old numbers.
func (s *spool) syncReplacedLocked() error {
	if !s.unsynced {
		return nil
	}
	if err := syncFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	s.unsynced = false
	return nil
}

func (s *spool) copyTo(fresh io.Writer, from int64, change func(b *store.AuditBlock)) (size int64, err error) {
	for at := from; at < s.size; {
		r, err := readRecord(s.file, at, s.size)
		if err != nil {
			return 0, err
		}
		text := make([]byte, r.end-r.at)
		if r.kind == keptBlock && !r.broken {
			change(&r.block)
			text = encodeRecord(r.kind, &r.block)
		} else if err := readFull(s.file, text, r.at); err != nil {
			return 0, err
		}
		if _, err := fresh.Write(text); err != nil {
			return 0, err
		}
		size += int64(len(text))
		at = r.end
	}
	return size, nil
}

// keepAside copies the file as it is to one that nobody touches any more.
func (s *spool) keepAside() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	aside := s.path + ".bad"
	file, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return aside, err
	}
	_, err = io.Copy(file, io.NewSectionReader(s.file, 0, s.size))
	return aside, errors.Join(err, file.Sync(), file.Close())
}

// remove ends the spool: everything is in the store.
func (s *spool) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := s.file.Close()
	s.file, s.size, s.sent, s.dirty, s.unsynced = nil, 0, 0, false, false
	// Without the folder's sync a crash may bring the file back: its blocks are there.
	return errors.Join(err, syncFolder(filepath.Dir(s.path)))
}

// close lets go of the file and leaves it where it is.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
