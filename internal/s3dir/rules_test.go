package s3dir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// badKeys have no one place in a folder.
var badKeys = []string{
	"", "/", "//", "/a", "a//b", "a//", ".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "a/../../b", "a/b/../../../c",
	"a\x00", "\x00", `a\b`, `..\a`, `\`, "a/..\x00/b", "a\xff", "\xc0\xae\xc0\xae/a",
}

func TestRuleF6KeysWithoutOnePlaceAreRefused(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	put(t, d, "a/b", "x")
	for _, key := range badKeys {
		for op := range operations {
			if keyless[op] {
				continue
			}
			r := request(op, key, []byte("x"), "?uploadId", "1", "?partNumber", "1")
			r.Source = &s3api.Source{Origin: d, Key: "a/b"}
			refused(t, d, r, s3api.InvalidArgument)
		}
		refused(t, d, copyRequest("to", d, key), s3api.InvalidArgument)
		document := `<Delete><Object><Key>` + strings.ToValidUTF8(strings.ReplaceAll(key, "\x00", "\\"), "\\") + `</Key></Object></Delete>`
		a := must(t, d, request(s3api.DeleteObjects, "", []byte(document)))
		if !strings.Contains(string(a.body), "<Code>InvalidArgument</Code>") || strings.Contains(string(a.body), "<Deleted>") {
			t.Errorf("DeleteObjects %q: %s", key, a.body)
		}
	}
	refused(t, d, request(s3api.PutObject, strings.Repeat("k", s3api.MaxKeyBytes+1), nil), s3api.KeyTooLong)
	refused(t, d, request(s3api.PutObject, strings.Repeat("k", maxSegmentBytes+1), nil), s3api.KeyTooLong)
	refused(t, d, request(s3api.PutObject, strings.Repeat("k/", maxSegments)+"k", nil), s3api.KeyTooLong)
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 2 || string(get(t, d, "a/b").body) != "x" {
		t.Errorf("the folder holds %v (%v)", left, err)
	}
	// Prefixes that no key has are no way out either.
	for _, prefix := range []string{"../", "a/../", "./", "/", "a//", "..", "a/b/../../../", Hidden + "/", "\x00/", `\`} {
		if got := list(t, d, s3api.ListObjectsV2, "?prefix", prefix).keys(); len(got) != 0 {
			t.Errorf("prefix %q lists %q", prefix, got)
		}
	}
}

func TestRuleF6SymlinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	outside := t.TempDir()
	write(t, outside, "secret", "outside")
	write(t, folder, "dir/file", "inside")
	for name, target := range map[string]string{
		"out": outside, "file-out": filepath.Join(outside, "secret"), "in": "dir", "file-in": "dir/file",
		"up": "..", "hidden": Hidden, "self": "self", "dangling": "nowhere", "dir/root": "/",
	} {
		if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	keys := []string{
		"out", "out/secret", "file-out", "in", "in/file", "file-in", "up", "up/bucket/dir/file", "hidden/tmp/x", "hidden", "self", "self/a",
		"dangling", "dangling/a", "dir/root", "dir/root/etc/passwd",
	}
	for _, key := range keys {
		for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject, s3api.GetObjectTagging} {
			refused(t, d, request(op, key, nil), s3api.NoSuchKey)
		}
		refused(t, d, copyRequest("to", d, key), s3api.NoSuchKey)
		refused(t, d, request(s3api.PutObject, key, []byte("x")), s3api.InvalidRequest)
		refused(t, d, request(s3api.PutObject, key, []byte("x"), "If-None-Match", "*"), s3api.InvalidRequest)
		refused(t, d, copyRequest(key, d, "dir/file"), s3api.InvalidRequest)
		must(t, d, request(s3api.DeleteObject, key, nil)) // deletes nothing
	}
	if got := list(t, d, s3api.ListObjectsV2).keys(); !slices.Equal(got, []string{"dir/file"}) {
		t.Errorf("listed %q", got)
	}
	for _, prefix := range []string{"in/", "out/", "up/", "hidden/", "dir/root/"} {
		if got := list(t, d, s3api.ListObjectsV2, "?prefix", prefix).keys(); len(got) != 0 {
			t.Errorf("prefix %q lists %q", prefix, got)
		}
	}
	if text, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(text) != "outside" {
		t.Errorf("outside: %q (%v)", text, err)
	}
	links, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(links) != 10 {
		t.Errorf("the folder holds %q (%v)", links, err)
	}
}

func TestRuleF6SpecialFilesAreNoObjects(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	refused(t, d, request(s3api.GetObject, "pipe", nil), s3api.NoSuchKey) // and doesn't wait for a writer
	refused(t, d, request(s3api.PutObject, "pipe", []byte("x")), s3api.InvalidRequest)
	refused(t, d, request(s3api.PutObject, "pipe/x", []byte("x")), s3api.InvalidRequest)
	must(t, d, request(s3api.DeleteObject, "pipe", nil))
	if got := list(t, d, s3api.ListObjectsV2).keys(); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
	if _, err := os.Lstat(filepath.Join(folder, "pipe")); err != nil {
		t.Error(err)
	}
}

func TestRuleF6HiddenFolderIsNoKey(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	put(t, d, "a", "x", "X-Amz-Meta-Secret", "s")
	id := startUpload(t, d, "b")
	records, err := filepath.Glob(filepath.Join(folder, Hidden, "meta/*/*"))
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	inside, err := filepath.Rel(folder, records[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{inside, uploadFolder + "/" + id + "/" + uploadName, lockFolder + "/key-00"} {
		refused(t, d, request(s3api.GetObject, key, nil), s3api.NoSuchKey)
		put(t, d, key, "mine")
		must(t, d, request(s3api.DeleteObject, key, nil))
	}
	if got := get(t, d, "a"); got.header.Get("X-Amz-Meta-Secret") != "s" {
		t.Error("the record of an object was deleted as a key")
	}
	refused(t, d, request(s3api.ListParts, "a", nil, "?uploadId", id), s3api.NoSuchUpload)
	must(t, d, request(s3api.ListParts, "b", nil, "?uploadId", id))
}

func TestRuleF6DataFolderIsNoBucket(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	data := filepath.Join(top, "srv", "data")
	if err := os.MkdirAll(filepath.Join(data, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{data, filepath.Join(top, "srv"), top, "/", filepath.Join(data, "below"), filepath.Join(data, "new"), filepath.Join(top, "link", "below"), data + "/../data/.", filepath.Join(top, "link")} {
		for _, forbidden := range []string{data, filepath.Join(top, "link")} {
			d, err := Open(folder, Config{Forbidden: []string{forbidden}})
			if countersign.CodeOf(err) != countersign.Denied {
				t.Errorf("%s with %s: %v", folder, forbidden, err)
			}
			if d != nil {
				_ = d.Close()
			}
		}
	}
	if found, _ := filepath.Glob(filepath.Join(top, "*", "*", Hidden)); len(found) != 0 {
		t.Errorf("written to: %v", found)
	}
	// A data folder that is not there yet, and one beside.
	if _, err := Open(top, Config{Forbidden: []string{filepath.Join(top, "later", "data")}}); countersign.CodeOf(err) != countersign.Denied {
		t.Errorf("above a data folder to come: %v", err)
	}
	d, err := Open(filepath.Join(top, "documents"), Config{Forbidden: []string{data}})
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}

func TestRuleF6FolderThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	write(t, top, "file", "x")
	write(t, top, "planted/x", "x")
	if err := os.Symlink(t.TempDir(), filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(top, "planted", Hidden)); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]countersign.Code{
		"file": countersign.Denied, "link": countersign.Denied, "planted": countersign.Denied, "missing/folder": countersign.Unavailable,
	} {
		if _, err := Open(filepath.Join(top, folder), Config{}); countersign.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", folder, err, want)
		}
	}
}

func TestRuleF6LeftoversOfACrashAreRemoved(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	tmp := filepath.Join(folder, tmpFolder)
	old := time.Now().Add(-leftoverAge - time.Minute)
	write(t, tmp, "young", "x")
	write(t, tmp, "old", "x")
	write(t, tmp, "upload/00001", "x")
	for _, name := range []string{"old", "upload"} {
		if err := os.Chtimes(filepath.Join(tmp, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	_ = d.Close()
	openAt(t, folder)
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left %v (%v)", left, err)
	}
}

// FuzzKey holds every key against what a folder can hold: it is refused, or it comes back,
// alone, under its own name, and nothing is outside of the folder.
func FuzzKey(f *testing.F) {
	for _, key := range append(badKeys, "a", "a/", "a/b", Hidden, Hidden+"/meta/x", "ä/ö", "a b+c%2f", strings.Repeat("x/", maxSegments-1)+"y", "o", "d/o", "..a", "a..", "\n", "-") {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		top := t.TempDir()
		d := openAt(t, filepath.Join(top, "bucket"))
		_, err := do(t.Context(), d, request(s3api.PutObject, key, []byte(key)))
		want := []string{key}
		if err != nil {
			if code := codeOf(err); code != s3api.InvalidArgument && code != s3api.KeyTooLong {
				t.Fatalf("%q: %v", key, err)
			}
			want = nil
		} else if got := get(t, d, key); string(got.body) != key {
			t.Fatalf("%q holds %q", key, got.body)
		}
		var listed []string
		w, err := d.walk("", "")
		for err == nil {
			var next found
			var ok bool
			if next, ok, err = w.next(t.Context()); !ok {
				break
			}
			if next.folder {
				err = w.enter(next.key)
				continue
			}
			listed = append(listed, next.key)
		}
		if err != nil || !slices.Equal(listed, want) {
			t.Fatalf("%q lists %q (%v)", key, listed, err)
		}
		if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
			t.Fatalf("%q: outside there are %v (%v)", key, entries, err)
		}
		must := func(r *s3api.Request) {
			if _, err := do(t.Context(), d, r); (err == nil) != (want != nil) {
				t.Fatalf("%s %q: %v", r.Operation, key, err)
			}
		}
		must(request(s3api.DeleteObject, key, nil))
		if left, err := os.ReadDir(filepath.Join(top, "bucket")); err != nil || len(left) != 1 {
			t.Fatalf("%q leaves %v (%v)", key, left, err)
		}
	})
}
