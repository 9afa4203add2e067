package s3dir

import (
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

const (
	maxSegmentBytes = 255
	// maxSegments bounds the work that a key makes: every folder on its way is looked at.
	maxSegments = 100
)

// checkKey refuses a key that has no one place in a folder (RULES F6): beside what no key has
// everywhere, what file systems do not take.
func checkKey(key string) error {
	if err := s3api.CheckKey(key); err != nil {
		return err //nolint:wrapcheck // it is in S3's words
	}
	path := strings.TrimSuffix(key, "/")
	if strings.Count(path, "/") >= maxSegments {
		return refuse(s3api.KeyTooLong, "The key has more than 100 segments.")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if len(segment) > maxSegmentBytes {
			return refuse(s3api.KeyTooLong, "A segment of the key is longer than 255 bytes.")
		}
	}
	return nil
}

// isPath reports whether there are keys of that path, without a slash at its end.
func isPath(text string) bool { return !strings.HasSuffix(text, "/") && checkKey(text) == nil }

// checkVersion refuses every version but the only one that there is.
func checkVersion(query url.Values) error {
	if !query.Has("versionId") || query.Get("versionId") == "null" {
		return nil
	}
	if query.Get("versionId") == "" {
		return refuse(s3api.InvalidArgument, "Version id cannot be the empty string.")
	}
	return refuse(s3api.NoSuchVersion, "The specified version does not exist.")
}

// plainPath is the path of the plain file of a key; false = there can't be one.
func plainPath(key string) (string, bool) {
	return key, !isHidden(key) && !strings.HasSuffix(key, "/")
}

// isHidden reports whether a path has a segment Hidden. Where it is not our own it is that of
// another bucket, whose folder lies in ours.
func isHidden(path string) bool {
	if !strings.Contains(path, Hidden) {
		return false
	}
	return slices.Contains(strings.Split(path, "/"), Hidden)
}

// In moreFolder the names of folders and of objects start with a letter each, so that
// neither is in the other's way, and the last segment may be empty.
const (
	moreFolderLetter = "d"
	moreObjectLetter = "o"
)

// morePath is the path of a key that can't have a plain file.
func morePath(key string) string {
	folders, last := splitKey(key)
	return moreFolderOf(folders) + "/" + moreObjectLetter + last
}

// moreFolderOf is where the keys that start with prefix are; prefix is "" or ends in "/".
func moreFolderOf(prefix string) string {
	path := moreFolder
	if prefix != "" {
		for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
			path += "/" + moreFolderLetter + segment
		}
	}
	return path
}

// splitKey cuts a key behind its last "/".
func splitKey(key string) (folders, last string) {
	cut := strings.LastIndexByte(key, '/') + 1
	return key[:cut], key[cut:]
}
