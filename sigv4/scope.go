package sigv4

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dateFormat = "20060102"
	timeFormat = "20060102T150405Z"

	maxAccessKeyBytes = 128
	maxScopeBytes     = 64 // of a region and of a service
)

// Credentials sign requests.
type Credentials struct {
	// AccessKeyID names the secret.
	AccessKeyID string
	// SecretAccessKey is never sent.
	SecretAccessKey countersign.Secret
	// SessionToken is sent and signed with temporary credentials; zero with others.
	SessionToken countersign.Secret
}

// Scope is what a signing key is good for.
type Scope struct {
	// Date is a UTC day: 20261126.
	Date string
	// Region is what the client believes to talk to: us-east-1.
	Region string
	// Service is what the client means to talk to: sts, s3.
	Service string
}

// String returns the scope as it is signed: 20261126/us-east-1/sts/aws4_request.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

func (s Scope) valid() bool {
	return isPlain(s.Region, maxScopeBytes) && isPlain(s.Service, maxScopeBytes)
}

// isPlain reports whether text can be an access key id, a region or a service: it needs
// no encoding in a header or a query, and can't be taken for two.
func isPlain(text string, limit int) bool {
	if text == "" || len(text) > limit {
		return false
	}
	for i := range len(text) {
		if !unreserved[text[i]] {
			return false
		}
	}
	return true
}

// parseCredential reads AKID/20261126/us-east-1/sts/aws4_request.
func parseCredential(text string) (accessKeyID string, scope Scope, ok bool) {
	accessKeyID, rest, _ := strings.Cut(text, "/")
	scope.Date, rest, _ = strings.Cut(rest, "/")
	scope.Region, rest, _ = strings.Cut(rest, "/")
	scope.Service, rest, ok = strings.Cut(rest, "/")
	return accessKeyID, scope, ok && rest == terminator && isPlain(accessKeyID, maxAccessKeyBytes) && scope.valid()
}

// parseTime reads X-Amz-Date. time.Parse alone would take other spellings of one time.
func parseTime(text string) (time.Time, bool) {
	if len(text) != len(timeFormat) {
		return time.Time{}, false
	}
	at, err := time.Parse(timeFormat, text)
	return at, err == nil
}

// signingKey derives the key of a day, a region and a service.
//
// Source: AWS IAM User Guide, "Create a signed AWS API request", step 4.
func signingKey(secret countersign.Secret, scope Scope) [sha256.Size]byte {
	var room [128]byte // most secrets fit; a longer one goes to the heap
	first := append(append(room[:0], "AWS4"...), secret.Reveal()...)
	key := mac(first, scope.Date)
	clear(first)
	key = mac(key[:], scope.Region)
	key = mac(key[:], scope.Service)
	return mac(key[:], terminator)
}
