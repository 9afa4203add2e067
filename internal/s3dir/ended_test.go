package s3dir

import (
	"context"
	"errors"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// A write whose context ends while it is made durable makes no object: who asked for it may not
// any more. What ended it is what is told.
func TestRuleA5EndedCopiesMakeNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"stage", "record", "sync record", "sync data"} {
		d, _ := open(t)
		put(t, d, "from", "x")
		put(t, d, "whole", "old")
		id := startUpload(t, d, "parts")
		etag := uploadPart(t, d, "parts", id, 1, "y").header.Get("ETag")
		for operation, r := range map[s3api.Operation]*s3api.Request{
			s3api.CopyObject:              copyRequest("whole", d, "from"),
			s3api.UploadPartCopy:          copyRequest("parts", d, "from", "?uploadId", id, "?partNumber", "1"),
			s3api.CompleteMultipartUpload: completeRequest("parts", id, etag),
		} {
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(t.Context())
			d.step = func(name string) error {
				if name == at {
					cancel(gone)
				}
				return nil
			}
			r.Operation = operation
			_, err := do(ctx, d, r)
			d.step = func(string) error { return nil }
			cancel(nil)
			if !errors.Is(err, gone) {
				t.Errorf("%s at %q: %v", operation, at, err)
			}
		}
		if a := get(t, d, "whole"); string(a.body) != "old" {
			t.Errorf("at %q: %s", at, a.body)
		}
		refused(t, d, request(s3api.GetObject, "parts", nil), s3api.NoSuchKey)
		must(t, d, completeRequest("parts", id, etag)) // the part is the one that it was
	}
}
