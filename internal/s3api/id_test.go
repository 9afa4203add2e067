package s3api_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

// An id of an upload or a version is never a path.
func TestVulnerability41IDsAreOneSegment(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"null", "1", "f1f83989-dd82-4698-8603-58decf726861", "2~VmxHBm5q", "a.b_c-d~e", "ZDRlZg==", "a+b", "4_z27c88f", "..a", "a..b", strings.Repeat("a", 1024),
	} {
		if !s3api.ValidID(id) {
			t.Errorf("%q is refused", id)
		}
	}
	for _, id := range []string{
		"", ".", "..", "...", "a/b", "/a", "a/", "../a", "../../../other/sub", `..\a`, "%2e%2e%2fa", "..%2fa", "a\x00", "a\n", "a b", "é", "\xff", "a?b", "a#b", "a&b",
		strings.Repeat("a", 1025),
	} {
		if s3api.ValidID(id) {
			t.Errorf("%q is taken", id)
		}
	}
}
