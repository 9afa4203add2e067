package s3dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// together calls run for 0, 1, … at the same time.
func together(n int, run func(int)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { run(i) })
	}
	wait.Wait()
}

// pair are two Dirs of one folder, as two buckets or processes have them.
func pair(t *testing.T) [2]*Dir {
	d, folder := open(t)
	return [2]*Dir{d, openAt(t, folder)}
}

func TestOnlyOneWriterOfSeveralIsTheFirst(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	for _, key := range []string{"a/b", "c/"} {
		var won atomic.Int32
		together(16, func(i int) {
			_, err := do(t.Context(), dirs[i%2], request(s3api.PutObject, key, []byte{byte(i)}, "If-None-Match", "*"))
			switch codeOf(err) {
			case "":
				won.Add(1)
			case s3api.PreconditionFailed:
			default:
				t.Errorf("%v", err)
			}
		})
		if won.Load() != 1 {
			t.Errorf("%q: %d were the first", key, won.Load())
		}
	}
}

func TestCounterLosesNoStep(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	put(t, dirs[0], "n", "")
	const writers, steps = 6, 5
	together(writers, func(i int) {
		d := dirs[i%2]
		for range steps {
			for {
				a, err := do(t.Context(), d, request(s3api.GetObject, "n", nil))
				if err != nil {
					t.Error(err)
					return
				}
				_, err = do(t.Context(), d, request(s3api.PutObject, "n", append(a.body, '+'), "If-Match", a.header.Get("ETag")))
				if err == nil {
					break
				}
				if codeOf(err) != s3api.PreconditionFailed {
					t.Error(err)
					return
				}
			}
		}
	})
	if got := get(t, dirs[0], "n"); len(got.body) != writers*steps {
		t.Errorf("%d steps of %d", len(got.body), writers*steps)
	}
}

func TestReadersSeeWholeObjects(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i%10), 100_000+i) }
	put(t, dirs[0], "a/b", text(0), "X-Amz-Meta-Is", "0")
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				a, err := do(t.Context(), dirs[i%2], request(s3api.GetObject, "a/b", nil))
				if err != nil {
					t.Error(err)
					return
				}
				if is := a.header.Get("X-Amz-Meta-Is"); etagOf(string(a.body)) != a.header.Get("ETag") || string(a.body[:1]) != is[len(is)-1:] {
					t.Errorf("%d bytes that start with %q, and %v", len(a.body), a.body[:1], a.header)
					return
				}
				if got := list(t, dirs[(i+1)%2], s3api.ListObjectsV2); len(got.Contents) != 1 {
					t.Errorf("listed %+v", got)
					return
				}
			}
		})
	}
	together(4, func(writer int) {
		for i := range 10 {
			n := 10*writer + i
			put(t, dirs[writer%2], "a/b", text(n), "X-Amz-Meta-Is", fmt.Sprint(n))
		}
	})
	stop()
	readers.Wait()
}

func TestClashingKeysWrittenTogetherAreAllKept(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	keys := []string{"a", "a/", "a/b", "a/b/c", "a/b/c/d", "a/x"}
	for range 5 {
		together(len(keys), func(i int) {
			d := dirs[i%2]
			for range 3 {
				put(t, d, keys[i], "first")
				must(t, d, request(s3api.DeleteObject, keys[i], nil))
				put(t, d, keys[i], keys[i])
			}
		})
		for _, key := range keys {
			if got := get(t, dirs[0], key); string(got.body) != key {
				t.Errorf("%q holds %q", key, got.body)
			}
		}
		together(len(keys), func(i int) { must(t, dirs[i%2], request(s3api.DeleteObject, keys[i], nil)) })
		if got := list(t, dirs[1], s3api.ListObjectsV2).keys(); len(got) != 0 {
			t.Errorf("left %q", got)
		}
	}
}

func TestUploadIsCompletedOnce(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	id := startUpload(t, dirs[0], "k")
	uploadPart(t, dirs[0], "k", id, 1, "part")
	var won atomic.Int32
	together(8, func(i int) {
		_, err := do(t.Context(), dirs[i%2], completeRequest("k", id, etagOf("part")))
		switch codeOf(err) {
		case "":
			won.Add(1)
		case s3api.NoSuchUpload, s3api.InvalidPart:
		default:
			t.Errorf("%v", err)
		}
	})
	if won.Load() != 1 || string(get(t, dirs[1], "k").body) != "part" {
		t.Errorf("completed %d times", won.Load())
	}
}

func TestLockOfAnotherProcessIsWaitedForAsLongAsTheClient(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	unlock, err := dirs[0].lock(t.Context(), keyLock, "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, d := range dirs {
		if _, err := do(ctx, d, request(s3api.PutObject, "a", []byte("x"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	unlock()
	put(t, dirs[1], "a", "x")
	_ = dirs[1].Close()
	if _, err := do(t.Context(), dirs[1], request(s3api.PutObject, "a", []byte("y"))); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestAnswerStaysThatOfItsVersion(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", strings.Repeat("old", 100_000))
	response, err := d.Do(t.Context(), request(s3api.GetObject, "a", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	put(t, d, "a", "new")
	must(t, d, request(s3api.DeleteObject, "a", nil))
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != strings.Repeat("old", 100_000) {
		t.Errorf("%d bytes (%v)", len(text), err)
	}
}

func TestFileCutShortBreaksTheAnswer(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	for _, read := range []func(io.Reader) error{
		func(r io.Reader) error { _, err := io.ReadAll(r); return err },
		func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err },
	} {
		write(t, folder, "a", "by hand")
		response, err := d.Do(t.Context(), request(s3api.GetObject, "a", nil))
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, "a", "by")
		if err := read(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v", err)
		}
		_ = response.Body.Close()
	}
}

func TestPruningRemovesNoFile(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	write(t, folder, "a/kept/x", "x")
	write(t, folder, "b", "a file that has got the name of a folder that was removed")
	d.pruneAbove("a/kept/x")
	d.pruneAbove("b/gone")
	d.pruneAbove(morePath("a/"))
	if got := list(t, d, s3api.ListObjectsV2).keys(); len(got) != 2 {
		t.Errorf("left %q", got)
	}
}

// A delete whose folder became another key's object before it was synced is durable by the
// folder above, and no error.
func TestDeleteWhoseFolderBecameAnObjectIsAnswered(t *testing.T) {
	t.Parallel()
	dirs := pair(t)
	put(t, dirs[0], "a/b/c", "first")
	dirs[0].step = func(name string) error {
		if name == "sync folders" {
			put(t, dirs[1], "a/b", "of another")
			put(t, dirs[1], "a/b/c", "behind it")
		}
		return nil
	}
	must(t, dirs[0], request(s3api.DeleteObject, "a/b/c", nil))
	for key, want := range map[string]string{"a/b": "of another", "a/b/c": "behind it"} {
		if got := string(get(t, dirs[0], key).body); got != want {
			t.Errorf("%q holds %q", key, got)
		}
	}
	for _, path := range []string{"a", "a/b", "a/b/c/d", "not/there"} { // a folder, a file, behind a file, gone
		if err := dirs[1].syncFolder(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
