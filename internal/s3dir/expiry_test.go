package s3dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// openWithClock opens a folder whose clock the test moves.
func openWithClock(t *testing.T, folder string, ahead *atomic.Int64) *Dir {
	t.Helper()
	d, err := Open(folder, Config{Bucket: "documents", Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestUploadsThatNobodyGoesOnWithAreRemoved(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "bucket")
	var ahead atomic.Int64
	d := openWithClock(t, folder, &ahead)
	there := func(d *Dir, id string) bool {
		_, err := do(t.Context(), d, request(s3api.ListParts, "k", nil, "?uploadId", id))
		if code := codeOf(err); code != "" && code != s3api.NoSuchUpload {
			t.Fatal(err)
		}
		return err == nil
	}
	old, active := startUpload(t, d, "k"), startUpload(t, d, "k")
	uploadPart(t, d, "k", old, 1, "part")

	ahead.Store(int64(uploadAge - time.Minute))
	touched := d.now()
	if err := os.Chtimes(filepath.Join(folder, uploadFolder, active), touched, touched); err != nil { // as a part does
		t.Fatal(err)
	}
	young := startUpload(t, d, "k")
	if !there(d, old) || !there(d, active) {
		t.Error("removed too early")
	}
	ahead.Store(int64(uploadAge + time.Minute))
	startUpload(t, d, "k")
	if !there(d, old) {
		t.Error("a sweep within the hour of the last")
	}
	ahead.Store(int64(uploadAge + sweepEvery))
	startUpload(t, d, "k")
	if there(d, old) || !there(d, active) || !there(d, young) {
		t.Errorf("old %v, active %v, young %v", there(d, old), there(d, active), there(d, young))
	}
	if left, err := os.ReadDir(filepath.Join(folder, tmpFolder)); err != nil || len(left) != 0 {
		t.Errorf("left %v (%v)", left, err)
	}
	ahead.Store(int64(3 * uploadAge))
	if again := openWithClock(t, folder, &ahead); there(again, active) || there(again, young) {
		t.Error("still there after an opening")
	}
}

func TestUploadsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "bucket")
	var ahead atomic.Int64
	d, other := openWithClock(t, folder, &ahead), openWithClock(t, folder, &ahead)
	d.uploads.max = 3
	create := request(s3api.CreateMultipartUpload, "k", nil)
	one, two, three := startUpload(t, d, "k"), startUpload(t, d, "k"), startUpload(t, d, "k")
	refused(t, d, create, s3api.SlowDown)
	must(t, d, request(s3api.AbortMultipartUpload, "k", nil, "?uploadId", one))
	uploadPart(t, d, "k", two, 1, "part")
	must(t, d, completeRequest("k", two, etagOf("part")))
	refused(t, d, completeRequest("k", two, etagOf("part")), s3api.NoSuchUpload) // counts once
	startUpload(t, d, "k")
	startUpload(t, d, "k")
	refused(t, d, create, s3api.SlowDown)
	put(t, d, "k", "not an upload")

	// What another one ends is seen when it is looked again.
	must(t, other, request(s3api.AbortMultipartUpload, "k", nil, "?uploadId", three))
	refused(t, d, create, s3api.SlowDown)
	ahead.Add(int64(sweepFull))
	startUpload(t, d, "k")
	refused(t, d, create, s3api.SlowDown)

	// A start counts what is there.
	again := openWithClock(t, folder, &ahead)
	again.uploads.max = 3
	refused(t, again, create, s3api.SlowDown)
	// All are too old: each request removes some, and the first has room already.
	ahead.Add(int64(2 * uploadAge))
	startUpload(t, again, "k")
}

// While one puts the parts together another one waits, and copies nothing.
func TestUploadIsPutTogetherByOne(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	id := startUpload(t, dirs[0], "k")
	uploadPart(t, dirs[0], "k", id, 1, "part")
	copying, goOn := make(chan struct{}), make(chan struct{})
	dirs[0].step = func(name string) error {
		if name == "append part" {
			close(copying)
			<-goOn
		}
		return nil
	}
	dirs[1].step = func(name string) error {
		if name == "append part" {
			t.Error("copied twice")
		}
		return nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := do(t.Context(), dirs[0], completeRequest("k", id, etagOf("part")))
		first <- err
	}()
	<-copying
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := do(ctx, dirs[1], completeRequest("k", id, etagOf("part"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	second := make(chan error, 1)
	go func() {
		_, err := do(t.Context(), dirs[1], completeRequest("k", id, etagOf("part")))
		second <- err
	}()
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; codeOf(err) != s3api.NoSuchUpload {
		t.Errorf("the second: %v", err)
	}
}
