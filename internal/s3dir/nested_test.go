package s3dir

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// Where the folder of one bucket lies in that of another, the outer one reaches the objects of
// the inner one, as its owner wants; never its uploads and records.
func TestRuleF6HiddenFolderOfAnInnerBucketIsNoKey(t *testing.T) {
	t.Parallel()
	outer, folder := open(t)
	inner := openAt(t, filepath.Join(folder, "b"))
	put(t, inner, "report", "theirs", "X-Amz-Meta-Secret", "s")
	id := startUpload(t, inner, "big")
	must(t, inner, request(s3api.UploadPart, "big", []byte("part"), "?uploadId", id, "?partNumber", "1"))

	if keys := list(t, outer, s3api.ListObjectsV2).keys(); !slices.Equal(keys, []string{"b/report"}) {
		t.Errorf("the outer bucket has %v", keys)
	}
	hidden := "b/" + Hidden + "/"
	if keys := list(t, outer, s3api.ListObjectsV2, "?prefix", hidden+"uploads/").keys(); len(keys) != 0 {
		t.Errorf("the outer bucket has %v", keys)
	}
	part := hidden + "uploads/" + id + "/00001"
	refused(t, outer, request(s3api.GetObject, part, nil), s3api.NoSuchKey)
	for _, key := range []string{part, hidden + "meta/00/x", hidden + "locks/key-00"} {
		put(t, outer, key, "mine")
		if text, err := os.ReadFile(filepath.Join(folder, key)); err == nil && strings.Contains(string(text), "mine") {
			t.Errorf("%s was written", key)
		}
		if got := get(t, outer, key); string(got.body) != "mine" {
			t.Errorf("%s: %q", key, got.body)
		}
		if keys := list(t, outer, s3api.ListObjectsV2, "?prefix", key).keys(); !slices.Equal(keys, []string{key}) {
			t.Errorf("%s: %v", key, keys)
		}
		must(t, outer, request(s3api.DeleteObject, key, nil))
	}
	must(t, inner, request(s3api.ListParts, "big", nil, "?uploadId", id))
	if got := get(t, inner, "report"); got.header.Get("X-Amz-Meta-Secret") != "s" {
		t.Errorf("%v", got.header)
	}
}
