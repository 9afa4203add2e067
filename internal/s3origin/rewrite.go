package s3origin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/countersign/countersign/internal/s3api"
)

// role is what an element of an answer stands for.
type role uint8

const (
	bucketName   role = iota // the bucket
	keyListed                // a key, or the start of one, that begins with what was asked for
	keyOrNothing             // one that begins with the origin's prefix, or empty
	keyAsked                 // the key that the request is about
	urlOfKey                 // where it is
	tokenEchoed              // the continuation token of the request
	tokenNext                // the next one
	owner                    // the origin's account
	message                  // words of the store
)

// answerForm says what the elements of an answer stand for.
//
// Source: Amazon S3 API reference, "Actions", the response syntax of each.
type answerForm struct {
	root  string
	roles map[string]role
}

var (
	listObjects = answerForm{"ListBucketResult", map[string]role{
		"Name": bucketName, "Prefix": keyOrNothing, "Marker": keyOrNothing, "NextMarker": keyOrNothing, "StartAfter": keyOrNothing,
		"ContinuationToken": tokenEchoed, "NextContinuationToken": tokenNext, "Contents/Key": keyListed, "CommonPrefixes/Prefix": keyListed,
		"Contents/Owner/ID": owner, "Contents/Owner/DisplayName": owner,
	}}
	listVersions = answerForm{"ListVersionsResult", map[string]role{
		"Name": bucketName, "Prefix": keyOrNothing, "KeyMarker": keyOrNothing, "NextKeyMarker": keyOrNothing, "Version/Key": keyListed,
		"DeleteMarker/Key": keyListed, "CommonPrefixes/Prefix": keyListed, "Version/Owner/ID": owner, "Version/Owner/DisplayName": owner,
		"DeleteMarker/Owner/ID": owner, "DeleteMarker/Owner/DisplayName": owner,
	}}
	listUploads = answerForm{"ListMultipartUploadsResult", map[string]role{
		"Bucket": bucketName, "Prefix": keyOrNothing, "KeyMarker": keyOrNothing, "NextKeyMarker": keyOrNothing, "Upload/Key": keyListed,
		"CommonPrefixes/Prefix": keyListed, "Upload/Owner/ID": owner, "Upload/Owner/DisplayName": owner, "Upload/Initiator/ID": owner,
		"Upload/Initiator/DisplayName": owner,
	}}
	listParts = answerForm{"ListPartsResult", map[string]role{
		"Bucket": bucketName, "Key": keyAsked, "Owner/ID": owner, "Owner/DisplayName": owner, "Initiator/ID": owner, "Initiator/DisplayName": owner,
	}}
	createResult   = answerForm{"InitiateMultipartUploadResult", map[string]role{"Bucket": bucketName, "Key": keyAsked}}
	completeResult = answerForm{"CompleteMultipartUploadResult", map[string]role{"Bucket": bucketName, "Key": keyAsked, "Location": urlOfKey}}
	copyResult     = answerForm{"CopyObjectResult", nil}
	copyPartResult = answerForm{"CopyPartResult", nil}
	deleteResult   = answerForm{"DeleteResult", map[string]role{"Deleted/Key": keyListed, "Error/Key": keyListed, "Error/Message": message}}
)

// ownerName stands for the origin's account.
const ownerName = "countersign"

var errForeignKey = errors.New("the answer names a key that is not below the prefix that was asked for")

// rewrite reads an answer and makes the client's of it. An error that the store sent with
// status 200, because it had begun to answer before, is one here too.
//
// Source: Amazon S3 API reference, CopyObject and CompleteMultipartUpload, "200 OK".
func (o *Origin) rewrite(c *call, e *exchange) (*answerBody, error) {
	changes := make(map[string]change, len(c.op.answer.roles))
	for path, role := range c.op.answer.roles {
		changes[path] = o.change(role, c.request)
	}
	var start bytes.Buffer
	edit := editor{changes: changes, root: c.op.answer.root, limit: maxAnswer}
	out, err := edit.edit(io.TeeReader(e.Body, &capped{&start, maxErrorBytes}))
	switch {
	case err == nil:
		return &answerBody{out}, nil
	case errors.Is(err, errRoot) && e.StatusCode == http.StatusOK:
		_, _ = io.Copy(&capped{&start, maxErrorBytes}, io.LimitReader(e.Body, maxErrorBytes))
		if code := codeIn(start.Bytes()); code != "" {
			return nil, fmt.Errorf("origin answered 200 (request %s): %w", requestID(e.Header), refusalOf(code, http.StatusOK, nil))
		}
	}
	return nil, reply(err)
}

// answerBody is a document that is held in memory.
type answerBody struct{ *bytes.Buffer }

// Close implements io.Closer.
func (*answerBody) Close() error { return nil }

// capped keeps the start of what is written.
type capped struct {
	to   *bytes.Buffer
	room int
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if room := c.room - c.to.Len(); room > 0 {
		c.to.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// change is what is done about a role.
func (o *Origin) change(r role, request *s3api.Request) change {
	always := func(text string) change { return func(string) (string, error) { return text, nil } }
	switch r {
	case bucketName:
		return always(o.bucket)
	case keyAsked:
		return always(request.Key)
	case urlOfKey:
		return always(o.url + "/" + o.bucket + "/" + s3api.EscapeKey(request.Key))
	case tokenEchoed:
		return always(request.Query.Get("continuation-token"))
	case tokenNext:
		return func(text string) (string, error) { return o.sealToken(text), nil }
	case owner:
		return always(ownerName)
	case message:
		return always("the origin refused this key")
	default:
		return func(text string) (string, error) {
			if text == "" && r == keyOrNothing {
				return "", nil
			}
			rest, ok := cutPrefix(text, o.store.Prefix)
			if ok && r == keyListed {
				// A right to list is one to a prefix: a store that does not know the parameter
				// would list all. To leave out what is too much would make pages of nothing.
				_, ok = cutPrefix(text, o.store.Prefix+request.Query.Get("prefix"))
			}
			if !ok {
				return "", errForeignKey
			}
			return rest, nil
		}
	}
}

// addPrefix puts the origin's prefix before the keys of a DeleteObjects.
func (o *Origin) addPrefix(text []byte) ([]byte, error) {
	edit := editor{root: "Delete", limit: maxDocument, changes: map[string]change{
		"Object/Key": func(key string) (string, error) { return o.store.Prefix + key, checkKey(o.store.Prefix, key) },
	}}
	out, err := edit.edit(bytes.NewReader(text))
	if err != nil {
		var refused *s3api.Error
		if errors.As(err, &refused) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", &s3api.Error{Code: s3api.MalformedXML, Message: "the document can't be read"}, err)
	}
	return out.Bytes(), nil
}
