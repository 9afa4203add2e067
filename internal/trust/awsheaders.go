package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxHeaders bounds the headers of a proof.
const maxHeaders = 32

// postHeaders are the headers that a signed POST may have, and what they may be. All others
// are refused; of these the signed ones are sent on, with values that were checked.
var postHeaders = map[string]func(value string, r *awsRequest) bool{
	hdrHost:          func(v string, r *awsRequest) bool { return v == r.endpoint.Host },
	hdrAuthorization: func(string, *awsRequest) bool { return true }, // parsed
	hdrAmzDate:       func(string, *awsRequest) bool { return true }, // parsed
	hdrServerID:      isShort,
	hdrAmzToken:      isAWSToken,
	hdrAmzBodyHash: func(v string, r *awsRequest) bool {
		sum := sha256.Sum256([]byte(r.body))
		return v == hex.EncodeToString(sum[:])
	},
	"content-type":     func(v string, _ *awsRequest) bool { return slices.Contains(contentTypes, v) },
	"content-length":   func(v string, r *awsRequest) bool { return v == strconv.Itoa(len(r.body)) },
	"accept":           func(v string, _ *awsRequest) bool { return v == accept },
	"user-agent":       isShort,
	"x-amz-user-agent": isShort,
	"amz-sdk-request":  isShort,
	hdrInvocation:      isShort,
}

// accept is what is asked for, whatever the client says: an STS that is asked for JSON
// answers something that a reader of XML could be fooled with (CVE-2020-16250).
const accept = "text/xml"

// contentTypes are the spellings that clients sign. The first is sent where none is signed.
var contentTypes = []string{
	"application/x-www-form-urlencoded; charset=utf-8",
	"application/x-www-form-urlencoded;charset=utf-8",
	"application/x-www-form-urlencoded; charset=UTF-8",
	"application/x-www-form-urlencoded",
}

func isShort(v string, _ *awsRequest) bool { return v != "" && len(v) <= maxHeaderValue }

func isAWSToken(v string, _ *awsRequest) bool {
	return v != "" && len(v) <= maxAWSToken && !strings.ContainsFunc(v, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("+/=_-.", c)
	})
}

// parseHeaders reads a JSON object of strings. Names are put in lower case; a name that
// comes twice, in whatever case, is refused (CVE-2022-2385). Values are printable ASCII
// without blanks around them.
func parseHeaders(text string) (map[string]string, error) {
	if !utf8.ValidString(text) {
		return nil, refuseProof("the headers are not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, refuseProof("the headers are no JSON object")
	}
	headers := make(map[string]string)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, refuseProof("the headers are no JSON object")
		}
		value, err := d.Token()
		text, isText := value.(string)
		if err != nil || !isText {
			return nil, refuseProof("a header is no string")
		}
		key, _ := name.(string)
		if key, err = headerName(key); err != nil {
			return nil, refuseProof("the name of a header is none")
		}
		if _, twice := headers[key]; twice || len(headers) >= maxHeaders {
			return nil, refuseProof("a header comes twice, or there are too many")
		}
		if !isHeaderValue(text) {
			return nil, refuseProof("the value of a header is not plain text")
		}
		headers[key] = text
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return nil, refuseProof("the headers are no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, refuseProof("something follows the headers")
	}
	return headers, nil
}

var errHeaderName = errors.New("not the name of a header")

// headerName puts a name in lower case. Only ASCII letters, digits and - make one: so no
// other rule of case can make two names one.
func headerName(name string) (string, error) {
	if name == "" || len(name) > 64 {
		return "", errHeaderName
	}
	for _, c := range []byte(name) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", errHeaderName
		}
	}
	return strings.ToLower(name), nil
}

func isHeaderValue(text string) bool {
	if len(text) > maxAWSToken || strings.TrimSpace(text) != text {
		return false
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
