package s3gw

import (
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

const (
	// maxKeyBytes is S3's bound of a key.
	maxKeyBytes = 1024
	// maxBucketBytes is S3's bound of a bucket's name.
	maxBucketBytes = 63
)

// checkKey refuses keys that another program could read as other ones. A key that passes is
// authorised and forwarded with exactly these bytes, for every origin.
//
//	a/b, a/b/                  taken; a slash at the end is a part of the key
//	%2F of a path              is a slash: a%2Fb is a/b, at S3 too
//	%252F                      is the three characters %2F, and no slash
//	+                          is a plus in a path
//	//, /a, a//b               refused: proxies and file systems merge slashes
//	., .., a/../b, %2e%2e      refused: proxies, clients and file systems resolve them
//	backslash                  refused: a slash to some
//	NUL, control characters    refused
//	what is not UTF-8          refused
//	over 1024 bytes            refused with KeyTooLongError
//
// Errors: InvalidArgument, KeyTooLongError.
// Source: Amazon S3 User Guide, "Naming Amazon S3 objects"; RULES D2, F6.
func checkKey(key string) error {
	switch {
	case len(key) > maxKeyBytes:
		return refuse(s3api.KeyTooLong, countersign.ReasonKeyInvalid, "Your key is too long")
	case !utf8.ValidString(key) || strings.ContainsFunc(key, isControl):
		return errKey("The key has control characters or is not UTF-8")
	case strings.Contains(key, `\`):
		return errKey("The key has a backslash")
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return errKey(`The key starts with a slash or has an empty, "." or ".." segment`)
		}
	}
	return nil
}

// checkPrefix is checkKey for the start of keys: its last segment may be the start of one.
func checkPrefix(prefix string) error {
	last := strings.LastIndexByte(prefix, '/') + 1
	if last > 0 {
		if err := checkKey(prefix[:last]); err != nil {
			return err
		}
	}
	if rest := prefix[last:]; rest != "" && strings.Trim(rest, ".") != "" || len(prefix) > maxKeyBytes {
		return checkKey(prefix)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func errKey(message string) error {
	return refuse(s3api.InvalidArgument, countersign.ReasonKeyInvalid, message)
}

// validBucket reports whether a text has the form of a bucket's name.
func validBucket(name string) bool {
	if name == "" || len(name) > maxBucketBytes || strings.Contains(name, "..") || name[0] == '-' || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
