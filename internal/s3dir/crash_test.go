package s3dir

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// The child of a crash test does one operation and kills itself before a step of it.
const (
	crashFolder = "COUNTERSIGN_S3DIR_CRASH_FOLDER"
	crashCase   = "COUNTERSIGN_S3DIR_CRASH_CASE"
	crashStep   = "COUNTERSIGN_S3DIR_CRASH_STEP"
)

// crash is an operation that is killed: what is there before, the operation, and what there
// is of key before and after: "" = no object.
type crash struct {
	name, key     string
	prepare       func(testing.TB, *Dir)
	run           func(testing.TB, *Dir)
	before, after string
}

var bigPart = strings.Repeat("p", minPartBytes)

var crashes = []crash{
	{
		name: "put new", key: "a/b/c", run: func(t testing.TB, d *Dir) { put(t, d, "a/b/c", "new", "X-Amz-Meta-Is", "new") },
		prepare: func(testing.TB, *Dir) {}, after: "new",
	},
	{
		name: "put over", key: "a/b", run: func(t testing.TB, d *Dir) { put(t, d, "a/b", "new", "X-Amz-Meta-Is", "new") },
		prepare: func(t testing.TB, d *Dir) { put(t, d, "a/b", "old", "X-Amz-Meta-Is", "old") }, before: "old", after: "new",
	},
	{
		name: "put if new", key: "a/b", run: func(t testing.TB, d *Dir) {
			put(t, d, "a/b", "new", "X-Amz-Meta-Is", "new", "If-None-Match", "*")
		},
		prepare: func(testing.TB, *Dir) {}, after: "new",
	},
	{
		name: "put that makes a plain file of another", key: "a/b",
		prepare: func(t testing.TB, d *Dir) {
			put(t, d, "a", "in the way")
			put(t, d, "a/b", "old", "X-Amz-Meta-Is", "old")
			must(t, d, request(s3api.DeleteObject, "a", nil))
		},
		run: func(t testing.TB, d *Dir) { put(t, d, "a/b", "new", "X-Amz-Meta-Is", "new") }, before: "old", after: "new",
	},
	{
		name: "copy over", key: "to",
		prepare: func(t testing.TB, d *Dir) {
			put(t, d, "to", "old", "X-Amz-Meta-Is", "old")
			put(t, d, "from", "new", "X-Amz-Meta-Is", "new")
		},
		run: func(t testing.TB, d *Dir) { copyTo(t, d, "to", d, "from") }, before: "old", after: "new",
	},
	{
		name: "delete", key: "a/b", run: func(t testing.TB, d *Dir) { must(t, d, request(s3api.DeleteObject, "a/b", nil)) },
		prepare: func(t testing.TB, d *Dir) { put(t, d, "a/b", "old", "X-Amz-Meta-Is", "old") }, before: "old",
	},
	{
		name: "complete an upload", key: "a/big",
		prepare: func(t testing.TB, d *Dir) {
			put(t, d, "a/big", "old", "X-Amz-Meta-Is", "old")
			id := startUpload(t, d, "a/big", "X-Amz-Meta-Is", "new")
			uploadPart(t, d, "a/big", id, 1, bigPart)
			uploadPart(t, d, "a/big", id, 2, "new")
		},
		run: func(t testing.TB, d *Dir) {
			var uploads struct{ Upload []struct{ UploadId string } }
			a := must(t, d, request(s3api.ListMultipartUploads, "", nil))
			if err := xml.Unmarshal(a.body, &uploads); err != nil || len(uploads.Upload) != 1 {
				t.Fatalf("%d uploads (%v)", len(uploads.Upload), err)
			}
			must(t, d, completeRequest("a/big", uploads.Upload[0].UploadId, etagOf(bigPart), etagOf("new")))
		},
		before: "old", after: bigPart + "new",
	},
}

func TestCrashLeavesTheOldOrTheNewObject(t *testing.T) {
	t.Parallel()
	for i, c := range crashes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			killed := 0
			for step := range 100 {
				folder := filepath.Join(t.TempDir(), "bucket")
				d := openAt(t, folder)
				c.prepare(t, d)
				if !crashes[i].child(t, folder, i, step) {
					checkAfterCrash(t, d, c, true)
					break
				}
				killed++
				// As a new process finds it; the Dir that was open all the time sees the same.
				checkAfterCrash(t, openAt(t, folder), c, false)
				checkAfterCrash(t, d, c, false)
			}
			if killed < 2 {
				t.Errorf("killed at %d steps: the test tests nothing", killed)
			}
		})
	}
}

// child runs the operation in a process that kills itself, and reports whether it did.
func (crash) child(t *testing.T, folder string, index, step int) bool {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.count=1")
	command.Env = append(os.Environ(), crashFolder+"="+folder, crashCase+"="+strconv.Itoa(index), crashStep+"="+strconv.Itoa(step))
	out, err := command.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the child: %v\n%s", err, out)
	}
	return true
}

func TestCrashChild(t *testing.T) {
	folder := os.Getenv(crashFolder)
	if folder == "" {
		t.Skip("runs as the child of a crash test only")
	}
	index, _ := strconv.Atoi(os.Getenv(crashCase))
	left, _ := strconv.Atoi(os.Getenv(crashStep))
	d := openAt(t, folder)
	d.step = func(string) error {
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	crashes[index].run(t, d)
}

func checkAfterCrash(t *testing.T, d *Dir, c crash, finished bool) {
	t.Helper()
	want := []string{c.before, c.after}
	if finished {
		want = want[1:]
	}
	a, err := do(t.Context(), d, request(s3api.GetObject, c.key, nil))
	got := string(a.body)
	if err != nil && codeOf(err) != s3api.NoSuchKey || !slices.Contains(want, got) {
		t.Fatalf("holds %.20q (%v)", got, err)
	}
	// Bytes and metadata are of one version.
	if got != "" && a.header.Get("X-Amz-Meta-Is") != got[len(got)-3:] || got != "" && len(got) < 10 && a.header.Get("ETag") != etagOf(got) {
		t.Fatalf("%.20q has %v", got, a.header)
	}
	listed := slices.Contains(list(t, d, s3api.ListObjectsV2).keys(), c.key)
	if listed != (got != "") {
		t.Fatalf("%.20q is listed: %v", got, listed)
	}
}

func TestBytesAndRecordAreOnDiskBeforeTheRename(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "a", "old")
	var steps []string
	d.step = func(name string) error { steps = append(steps, name); return nil }
	put(t, d, "a", "new")
	want := []string{"stage", "record", "sync record", "sync data", "make folders", "rename", "remove old", "sync folders"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q, want %q", steps, want)
	}
}

func TestFailureAtAnyStepLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for fail := range 6 { // up to the rename; behind it the object is there
		d, folder := open(t)
		put(t, d, "a", "old")
		left := fail
		d.step = func(name string) error {
			if left--; left < 0 {
				return fmt.Errorf("disk full at %s", name)
			}
			return nil
		}
		if _, err := do(t.Context(), d, request(s3api.PutObject, "a", []byte("new"))); err == nil {
			t.Fatalf("step %d didn't fail", fail)
		}
		d.step = func(string) error { return nil }
		if got := get(t, d, "a"); string(got.body) != "old" {
			t.Errorf("step %d: %q", fail, got.body)
		}
		for pattern, want := range map[string]int{"tmp/*": 0, "meta/*/*": 1} {
			if found, _ := filepath.Glob(filepath.Join(folder, Hidden, pattern)); len(found) != want {
				t.Errorf("step %d left %v", fail, found)
			}
		}
	}
}

func copyTo(t testing.TB, d *Dir, key string, from *Dir, source string, pairs ...string) answer {
	t.Helper()
	return must(t, d, copyRequest(key, from, source, pairs...))
}

func copyRequest(key string, from s3api.Origin, source string, pairs ...string) *s3api.Request {
	r := request(s3api.CopyObject, key, nil, pairs...)
	r.Body, r.Source = nil, &s3api.Source{Origin: from, Bucket: "documents", Key: source}
	return r
}

func startUpload(t testing.TB, d *Dir, key string, pairs ...string) string {
	t.Helper()
	var started struct{ Bucket, Key, UploadId string }
	a := must(t, d, request(s3api.CreateMultipartUpload, key, nil, pairs...))
	if err := xml.Unmarshal(a.body, &started); err != nil || started.Key != key || started.Bucket != "documents" {
		t.Fatalf("%+v (%v)", started, err)
	}
	return started.UploadId
}

func uploadPart(t testing.TB, d *Dir, key, id string, number int, body string, pairs ...string) answer {
	t.Helper()
	return must(t, d, partRequest(key, id, number, body, pairs...))
}

func partRequest(key, id string, number int, body string, pairs ...string) *s3api.Request {
	return request(s3api.UploadPart, key, []byte(body), append(pairs, "?uploadId", id, "?partNumber", strconv.Itoa(number))...)
}

// completeRequest names parts 1, 2, … by their ETags.
func completeRequest(key, id string, etags ...string) *s3api.Request {
	document := "<CompleteMultipartUpload>"
	for i, etag := range etags {
		document += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, strings.ReplaceAll(etag, `"`, "&quot;"))
	}
	return request(s3api.CompleteMultipartUpload, key, []byte(document+"</CompleteMultipartUpload>"), "?uploadId", id)
}
