package s3api

import "strings"

// maxIDBytes is S3's bound of the id of a version.
const maxIDBytes = 1024

// ValidID reports whether a text can be the id of a version or of an upload. A store makes
// them, and a client sends back what it got; yet some stores look for an upload by a path that
// ends in its id (versitygw 1.8.0: an upload ../../other is any folder of the bucket, to be
// written to and to be removed). So an id is one segment of a path in every reading of it.
//
// Source: Amazon S3 User Guide, "Version IDs": URL-ready opaque strings of at most 1,024 bytes.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDBytes || strings.Trim(id, ".") == "" {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`/\%?#&"<>`, c) >= 0 {
			return false
		}
	}
	return true
}
