package s3gw

import (
	"errors"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// maxBucketBytes is S3's bound of a bucket's name.
const maxBucketBytes = 63

// keyError gives what is wrong with a key its reason for the audit log.
func keyError(err error) error {
	if refused, ok := errors.AsType[*s3api.Error](err); ok {
		return refuse(refused.Code, countersign.ReasonKeyInvalid, refused.Message)
	}
	return err
}

func errKey(message string) error {
	return refuse(s3api.InvalidArgument, countersign.ReasonKeyInvalid, message)
}

// validBucket reports whether a text has the form of a bucket's name, as S3 has it. That is
// wider than the names of our buckets, which have no dots (the certificate of a wildcard
// covers none of them): such a one is not malformed but not there.
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
