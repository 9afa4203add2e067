package s3dir

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestObjectComesBackAsItWasPut(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	a := put(t, d, "docs/report.txt", "hello", "Content-Type", "text/plain", "X-Amz-Meta-Author", "ann",
		"X-Amz-Tagging", "team=docs&x=1", "Cache-Control", "no-cache", "X-Amz-Checksum-Crc32", "NhCmhg==", "X-Amz-Storage-Class", "STANDARD_IA")
	if a.header.Get("ETag") != etagOf("hello") || a.header.Get("X-Amz-Checksum-Crc32") != "NhCmhg==" {
		t.Errorf("PutObject answers %v", a.header)
	}
	plain, err := os.ReadFile(filepath.Join(folder, "docs/report.txt"))
	if err != nil || string(plain) != "hello" {
		t.Errorf("the plain file holds %q (%v)", plain, err)
	}
	want := map[string]string{
		"Content-Type": "text/plain", "X-Amz-Meta-Author": "ann", "X-Amz-Tagging-Count": "2", "Cache-Control": "no-cache",
		"X-Amz-Checksum-Crc32": "NhCmhg==", "X-Amz-Checksum-Type": "FULL_OBJECT", "X-Amz-Storage-Class": "STANDARD_IA",
		"Etag": etagOf("hello"), "Accept-Ranges": "bytes",
	}
	for _, op := range []s3api.Operation{s3api.GetObject, s3api.HeadObject} {
		got := must(t, d, request(op, "docs/report.txt", nil, "X-Amz-Checksum-Mode", "ENABLED"))
		if op == s3api.GetObject && string(got.body) != "hello" || got.length != 5 || got.status != http.StatusOK {
			t.Errorf("%s = %d %q of %d bytes", op, got.status, got.body, got.length)
		}
		for name, value := range want {
			if got.header.Get(name) != value {
				t.Errorf("%s: %s = %q, want %q", op, name, got.header.Get(name), value)
			}
		}
	}
	if got := get(t, d, "docs/report.txt"); got.header.Get("X-Amz-Checksum-Crc32") != "" {
		t.Error("a checksum that nobody asked for")
	}
}

func TestFilesPutByHandAreObjects(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	write(t, folder, "a/b.txt", "by hand")
	write(t, folder, "top", "x")
	got := get(t, d, "a/b.txt")
	if string(got.body) != "by hand" || got.header.Get("ETag") != etagOf("by hand") {
		t.Errorf("%q %v", got.body, got.header)
	}
	l := list(t, d, s3api.ListObjectsV2)
	if !slices.Equal(l.keys(), []string{"a/b.txt", "top"}) || l.Contents[0].ETag != etagOf("by hand") || l.Contents[0].Size != 7 {
		t.Errorf("listed %+v", l.Contents)
	}
	// Changed by hand after it was put: what was known of it is no longer so.
	put(t, d, "top", "y", "X-Amz-Meta-A", "1")
	write(t, folder, "top", "longer")
	if got := get(t, d, "top"); got.header.Get("X-Amz-Meta-A") != "" || got.header.Get("ETag") != etagOf("longer") {
		t.Errorf("%q %v", got.body, got.header)
	}
}

func TestKeysThatClashAsFilesAreAllKept(t *testing.T) {
	t.Parallel()
	d, folder := open(t)
	keys := []string{"a", "a/", "a/b", "a/b/", "a/b/c", "a!", "a0", Hidden, Hidden + "/tmp/x", Hidden + "/"}
	for round := range 2 {
		if round == 1 {
			slices.Reverse(keys)
		}
		for _, key := range keys {
			put(t, d, key, key)
		}
		for _, key := range keys {
			if got := get(t, d, key); string(got.body) != key {
				t.Errorf("%q holds %q", key, got.body)
			}
		}
		sorted := slices.Sorted(slices.Values(keys))
		if got := list(t, d, s3api.ListObjectsV2).keys(); !slices.Equal(got, sorted) {
			t.Errorf("listed %q, want %q", got, sorted)
		}
		for _, key := range keys {
			must(t, d, request(s3api.DeleteObject, key, nil))
			refused(t, d, request(s3api.GetObject, key, nil), s3api.NoSuchKey)
		}
		if got := list(t, d, s3api.ListObjectsV2).keys(); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 {
		t.Errorf("left in the folder: %v (%v)", left, err)
	}
	for _, part := range []string{"more", "tmp"} {
		if left, err := os.ReadDir(filepath.Join(folder, Hidden, part)); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v (%v)", part, left, err)
		}
	}
	records, err := filepath.Glob(filepath.Join(folder, Hidden, "meta/*/*"))
	if err != nil || len(records) != 0 {
		t.Errorf("left records: %v (%v)", records, err)
	}
}

func write(t testing.TB, folder, name, text string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
