package s3dir

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

const (
	// maxUploads is how many uploads may be under way in a folder: a list reads them all.
	maxUploads = 10_000
	// uploadAge is how long an upload is kept in which nothing happens.
	uploadAge = 7 * 24 * time.Hour
	// sweepEvery is how often it is looked for such ones, and sweepFull how often where there
	// are too many. It is done by who starts an upload: nothing grows where nobody does.
	sweepEvery = time.Hour
	sweepFull  = time.Minute
	// maxExpired bounds what one request does for all: the next one goes on.
	maxExpired = 20
)

// underWay counts the uploads of the folder. What other processes start and end is seen at
// the next sweep.
type underWay struct {
	mu    sync.Mutex
	count int
	max   int
	swept time.Time
}

// admitUpload lets an upload start, or refuses it.
//
// Errors: SlowDown.
func (d *Dir) admitUpload(ctx context.Context) error {
	d.uploads.mu.Lock()
	defer d.uploads.mu.Unlock()
	after := sweepEvery
	if d.uploads.count >= d.uploads.max {
		after = sweepFull
	}
	if d.now().Sub(d.uploads.swept) >= after {
		if err := d.sweepUploads(ctx); err != nil {
			return err
		}
	}
	if d.uploads.count >= d.uploads.max {
		return refuse(s3api.SlowDown, "There are too many multipart uploads under way in the bucket. Complete or abort some of them.")
	}
	d.uploads.count++
	return nil
}

func (u *underWay) ended() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count = max(u.count-1, 0)
}

// sweepUploads removes uploads in which nothing happened for uploadAge, and counts the rest.
func (d *Dir) sweepUploads(ctx context.Context) error {
	var expired []string
	now, count := d.now(), 0
	before := now.Add(-uploadAge)
	err := d.entries(uploadFolder, func(entry fs.DirEntry) {
		if checkUploadID(entry.Name()) != nil {
			return
		}
		count++
		if len(expired) <= maxExpired && d.lastActivity(entry.Name()).Before(before) {
			expired = append(expired, entry.Name())
		}
	})
	if err != nil {
		return unusable("the uploads can't be read", err)
	}
	for i, id := range expired {
		if i == maxExpired {
			now = time.Time{} // there are more
			break
		}
		if err := d.expire(ctx, id, before); err != nil {
			return err
		}
		count--
	}
	d.uploads.count, d.uploads.swept = count, now
	return nil
}

func (d *Dir) expire(ctx context.Context, id string, before time.Time) error {
	unlock, err := d.lock(ctx, uploadLock, id)
	if err != nil {
		return err
	}
	if d.lastActivity(id).Before(before) {
		err = d.dropUpload(id)
	}
	unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable("an upload that nobody goes on with can't be removed", err)
	}
	d.removeDropped(id)
	return nil
}

// lastActivity is when an upload was started, a part of it came, or it began to be completed:
// each changes its folder. One that can't be looked at is left alone.
func (d *Dir) lastActivity(id string) time.Time {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != uploadIDBytes {
		return d.now()
	}
	started := time.Unix(0, int64(binary.BigEndian.Uint64(raw))) //nolint:gosec // G115: as newUploadID made it
	info, err := d.root.Lstat(uploadFolder + "/" + id)
	if err != nil {
		return d.now()
	}
	if changed := info.ModTime(); changed.After(started) {
		return changed
	}
	return started
}
