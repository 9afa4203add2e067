package s3gw

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/web"
)

// target is what a request asks for: parsed, nothing of it trusted.
type target struct {
	operation *operation
	// bucket and key are those of the path or the host; "" where there is none.
	bucket, key string
	// query are the parameters that the operation takes, decoded, each once.
	query url.Values
	// copy is what a copy reads.
	copy source
	// hoisted are headers that a presigned URL has in its query; may be nil.
	hoisted http.Header
}

// source is what a copy reads.
type source struct{ bucket, key, versionID string }

// String names it for the audit log; "" = there is none.
func (s source) String() string {
	switch {
	case s.bucket == "":
		return ""
	case s.versionID != "":
		return s.bucket + "/" + s.key + "?versionId=" + s.versionID
	}
	return s.bucket + "/" + s.key
}

// resolve finds out what a request is about. It is pure: it reads the host, the path, the
// query and the header x-amz-copy-source and believes nothing. Of a request that is refused
// it returns what it has understood.
//
// Errors: *s3api.Error in a *countersign.Error: InvalidBucketName, InvalidArgument,
// KeyTooLongError, InvalidRequest, NotImplemented, MethodNotAllowed.
func resolve(r *http.Request, domain string) (t target, err error) {
	if r.URL.Opaque != "" || !strings.HasPrefix(r.URL.Path, "/") {
		return t, refuse(s3api.InvalidRequest, countersign.ReasonParameterInvalid, "The request has no path")
	}
	about, err := t.readPath(r, domain)
	if err != nil {
		return t, err
	}
	if len(r.URL.RawQuery) > maxQueryBytes {
		return t, refuse(s3api.InvalidRequest, countersign.ReasonParameterInvalid, "The query is too long")
	}
	form, err := web.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return t, refuse(s3api.InvalidArgument, countersign.ReasonOf(err), "The query is malformed: "+countersign.MessageOf(err))
	}
	if err := t.find(r, about, form); err != nil {
		return t, err
	}
	if err := t.take(form); err != nil {
		return t, err
	}
	if t.operation.copies {
		t.copy, err = parseCopySource(r.Header[copySourceHeader])
	}
	return t, err
}

const maxQueryBytes = 16 << 10

// readPath finds the bucket and the key. The path is split as it was sent and then decoded,
// so that an encoded slash never ends the name of a bucket.
func (t *target) readPath(r *http.Request, domain string) (shape, error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	name, hosted := bucketOfHost(r.Host, domain)
	encoded, slash := path, true
	if !hosted {
		name, encoded, slash = strings.Cut(path, "/")
		if name == "" {
			if slash {
				return service, errBucketName()
			}
			return service, nil
		}
	}
	if !validBucket(name) {
		return bucket, errBucketName()
	}
	t.bucket = name
	if encoded == "" || !slash {
		return bucket, nil
	}
	key, err := url.PathUnescape(encoded)
	if err != nil {
		return object, errKey("The path is not encoded correctly")
	}
	t.key = key
	return object, keyError(s3api.CheckKey(key))
}

func errBucketName() error {
	return refuse("InvalidBucketName", countersign.ReasonNameInvalid, "The specified bucket is not valid")
}

// find looks up the row of the table.
func (t *target) find(r *http.Request, about shape, form web.Form) error {
	selector := ""
	for _, p := range form.Params() {
		if !s3api.IsSubresource(p.Name) {
			continue
		}
		if selector != "" {
			return refuse(s3api.InvalidArgument, countersign.ReasonParameterDuplicated, "Conflicting query string parameters: "+selector+", "+p.Name)
		}
		selector = p.Name
	}
	_, copies := r.Header[copySourceHeader]
	for i := range operations {
		o := &operations[i]
		if o.method == r.Method && o.shape == about && o.selector == selector && o.copies == copies {
			t.operation = o
			return nil
		}
	}
	return refuse(s3api.NotImplemented, countersign.ReasonActionUnsupported, "A parameter or header you provided implies functionality that is not implemented, or the method is not served here")
}

// take keeps the parameters that the operation takes. Those of a presigned URL are for
// package authn; x-id is how SDKs name the operation, and has to be right.
func (t *target) take(form web.Form) error {
	o := t.operation
	link := form.Has("X-Amz-Signature")
	t.query = make(url.Values, len(form.Params()))
	for _, p := range form.Params() {
		switch {
		case authParameters[p.Name]:
		case p.Name == "x-id":
			if p.Value != string(o.name) {
				return refuse(s3api.InvalidArgument, countersign.ReasonParameterInvalid, "x-id is not the name of the operation")
			}
		case !o.parameters[p.Name]:
			if name := o.linkHeader(p); link && name != "" {
				t.hoist(name, p.Value)
				continue
			}
			return refuse(s3api.InvalidArgument, countersign.ReasonParameterInvalid, "The query has a parameter that this operation does not take")
		case p.Name == o.selector && !valuedSelectors[p.Name]:
			t.query[p.Name] = []string{""} // it says all by being there
		default:
			if err := checkParameter(p); err != nil {
				return err
			}
			t.query[p.Name] = []string{p.Value}
		}
	}
	for _, name := range o.required {
		if !form.Has(name) {
			return refuse(s3api.InvalidArgument, countersign.ReasonParameterMissing, "The query lacks "+name)
		}
	}
	return keyError(s3api.CheckKeyStart(t.query.Get("prefix")))
}

// authParameters are those of a presigned URL, in the one spelling that package sigv4 takes.
var authParameters = setOf(
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
	"X-Amz-Security-Token", "X-Amz-Content-Sha256",
)

// valuedSelectors have a value that is passed on.
var valuedSelectors = setOf("list-type", "uploadId")

// checkParameter refuses values that are read in several ways.
func checkParameter(p web.Param) error {
	bad := false
	switch p.Name {
	case "list-type":
		bad = p.Value != "2"
	case "partNumber":
		bad = !isNumber(p.Value, 10_000) || p.Value == "0"
	case "max-keys", "max-uploads", "max-parts", "part-number-marker", "max-buckets":
		bad = !isNumber(p.Value, 1<<31-1)
	case "versionId", "uploadId":
		bad = !s3api.ValidID(p.Value)
	case "upload-id-marker", "version-id-marker":
		bad = p.Value != "" && !s3api.ValidID(p.Value)
	case "encoding-type":
		bad = p.Value != "url" && p.Value != ""
	default:
		bad = strings.ContainsFunc(p.Value, s3api.IsControl)
	}
	if bad {
		return refuse(s3api.InvalidArgument, countersign.ReasonParameterInvalid, "The parameter "+p.Name+" is not valid")
	}
	return nil
}

// isNumber reports whether text is a number up to most in its one spelling.
func isNumber(text string, most int) bool {
	n := 0
	for i := range len(text) {
		if c := text[i]; c < '0' || c > '9' || i > 0 && text[0] == '0' {
			return false
		}
		if n = n*10 + int(text[i]-'0'); n > most {
			return false
		}
	}
	return text != ""
}

// parseCopySource reads BUCKET/KEY or /BUCKET/KEY, encoded, with ?versionId=ID behind it.
// S3 reads + as a space here, unlike in a path.
//
// Errors: InvalidArgument.
// Source: Amazon S3 API reference, CopyObject, x-amz-copy-source.
func parseCopySource(values []string) (s source, err error) {
	if len(values) != 1 {
		return s, errCopySource()
	}
	encoded, version, versioned := strings.Cut(strings.TrimPrefix(values[0], "/"), "?")
	if versioned {
		id, found := strings.CutPrefix(version, "versionId=")
		if s.versionID, err = url.QueryUnescape(id); err != nil || !found || strings.ContainsAny(version, "&?") || !s3api.ValidID(s.versionID) {
			return source{}, errCopySource()
		}
	}
	path, err := url.QueryUnescape(encoded)
	if err != nil {
		return source{}, errCopySource()
	}
	var found bool
	if s.bucket, s.key, found = strings.Cut(path, "/"); !found || s.key == "" || !validBucket(s.bucket) {
		return source{}, errCopySource()
	}
	return s, keyError(s3api.CheckKey(s.key))
}

func errCopySource() error {
	return refuse(s3api.InvalidArgument, countersign.ReasonParameterInvalid, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
}
