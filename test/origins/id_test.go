//go:build clients

package origins

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// versitygw 1.8.0 makes a path of the id of an upload: no such id gets there.
func TestVulnerability41UploadsReachNoOtherKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	victim := filepath.Join(r.folder, "other", "sub", "1")
	if err := os.MkdirAll(filepath.Dir(victim), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(victim, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.do(t, request(s3api.CreateMultipartUpload, "mine", "uploads", ""))
	for _, id := range []string{"../../../other/sub", "..", "../.."} {
		for _, q := range []*s3api.Request{
			request(s3api.ListParts, "mine", "uploadId", id),
			withBody(request(s3api.UploadPart, "mine", "uploadId", id, "partNumber", "1"), strings.NewReader("evil"), 4),
			request(s3api.AbortMultipartUpload, "mine", "uploadId", id),
		} {
			if resp, err := r.Do(t.Context(), q); err == nil {
				t.Errorf("%s of the upload %s: %d", q.Operation, id, resp.Status)
			}
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "theirs" {
		t.Errorf("the other object: %q, %v", text, err)
	}
}
