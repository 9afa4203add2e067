package s3dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// lockCount is how many commits can run at a time. It is part of the format of the folder:
// processes that share one must agree which lock a key has.
const lockCount = 32

// How long a lock of another process is waited for before the next try.
const (
	lockPause    = time.Millisecond
	lockPauseMax = 50 * time.Millisecond
)

// lockKind tells the locks of keys and those of uploads apart. Who needs both takes that of
// the upload first.
type lockKind string

const (
	keyLock    lockKind = "key"
	uploadLock lockKind = "upload"
)

// locks order the commits of one key: to look at what is there and to replace it are one
// step, among goroutines, among several Dirs of a folder, and among processes. They are held
// for some calls of the file system, never while bytes come from a client. They end with the
// process.
type locks struct {
	root   *os.Root
	mu     sync.Mutex
	files  map[string]*lockFile
	closed bool
}

type lockFile struct {
	// turn holds one token: who has it may lock the file.
	turn chan struct{}
	file *os.File
}

func (l *locks) init(root *os.Root) {
	l.root, l.files = root, make(map[string]*lockFile)
}

// close closes the files; what is locked then is unlocked by its holder.
func (l *locks) close() {
	l.mu.Lock()
	files := l.files
	l.files, l.closed = nil, true
	l.mu.Unlock()
	for _, each := range files {
		<-each.turn
		_ = each.file.Close()
		each.turn <- struct{}{}
	}
}

// lock locks the key or upload until unlock is called.
//
// Errors: those of ctx, countersign.Unavailable.
func (d *Dir) lock(ctx context.Context, kind lockKind, name string) (unlock func(), err error) {
	each, err := d.locks.file(fmt.Sprintf("%s/%s-%02d", lockFolder, kind, stripe(name)))
	if err != nil {
		return nil, unusable("the lock of the object can't be had", err)
	}
	select {
	case <-each.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := waitLock(ctx, each.file); err != nil {
		each.turn <- struct{}{}
		return nil, err
	}
	return func() {
		releaseLock(each.file)
		each.turn <- struct{}{}
	}, nil
}

// lockUpload locks an upload as long as its parts are put together, which takes longer than
// any other lock may be held: its file is in the upload's own folder, and ends with it.
//
// Errors: NoSuchUpload where it ended meanwhile; those of lock.
func (d *Dir) lockUpload(ctx context.Context, id string) (unlock func(), err error) {
	folder := uploadFolder + "/" + id
	file, err := d.root.OpenFile(folder+"/"+completeName, os.O_CREATE|os.O_RDWR, filePerm)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSuchUpload()
	}
	if err != nil {
		return nil, unusable("the lock of the upload can't be had", err)
	}
	if err := waitLock(ctx, file); err != nil {
		_ = file.Close()
		return nil, err
	}
	unlock = func() {
		releaseLock(file)
		_ = file.Close()
	}
	if _, err := d.readUpload(id); err != nil { // who had the lock has completed it
		unlock()
		return nil, err
	}
	_ = d.root.Chtimes(folder, d.now(), d.now()) // it is not left alone
	return unlock, nil
}

// waitLock tries until it has the lock.
func waitLock(ctx context.Context, file *os.File) error {
	for pause := lockPause; ; pause = min(2*pause, lockPauseMax) {
		held, err := tryLock(file)
		if err != nil {
			return unusable("the lock of the object can't be had", err)
		}
		if held {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

func (l *locks) file(path string) (*lockFile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fs.ErrClosed
	}
	if each, ok := l.files[path]; ok {
		return each, nil
	}
	file, err := l.root.OpenFile(path, os.O_CREATE|os.O_RDWR, filePerm)
	if err != nil {
		return nil, err
	}
	each := &lockFile{turn: make(chan struct{}, 1), file: file}
	each.turn <- struct{}{}
	l.files[path] = each
	return each, nil
}

// stripe is FNV-1a: the same in every process, unlike hash/maphash.
func stripe(name string) uint32 {
	hash := uint32(2166136261)
	for i := range len(name) {
		hash = (hash ^ uint32(name[i])) * 16777619
	}
	return hash % lockCount
}
