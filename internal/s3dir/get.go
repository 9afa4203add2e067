package s3dir

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

// overrides are parameters that replace a header of the answer.
var overrides = map[string]string{
	"response-cache-control": "Cache-Control", "response-content-disposition": "Content-Disposition",
	"response-content-encoding": "Content-Encoding", "response-content-language": "Content-Language",
	"response-content-type": "Content-Type", "response-expires": "Expires",
}

// getObject answers GetObject.
//
// Source: Amazon S3 API reference, GetObject.
func (d *Dir) getObject(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
	answer, o, part, err := d.read(r)
	if err != nil {
		return nil, err
	}
	if answer.Status == http.StatusNotModified {
		o.close()
		return answer, nil
	}
	if _, err := o.file.Seek(part.start, 0); err != nil {
		o.close()
		return nil, unusable("the object can't be read", err)
	}
	answer.Body = &content{file: o.file, left: part.length}
	return answer, nil
}

// headObject answers HeadObject: the same without the bytes.
//
// Source: Amazon S3 API reference, HeadObject.
func (d *Dir) headObject(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
	answer, o, _, err := d.read(r)
	if err != nil {
		return nil, err
	}
	o.close()
	return answer, nil
}

// read opens the object and makes the answer up to its body.
func (d *Dir) read(r *s3api.Request) (*s3api.Response, *object, span, error) {
	o, err := d.open(r.Key, r.Query.Has("partNumber"))
	if err != nil {
		return nil, nil, span{}, err
	}
	answer, part, err := d.answer(r, o)
	if err != nil {
		o.close()
		return nil, nil, span{}, err
	}
	return answer, o, part, nil
}

func (d *Dir) answer(r *s3api.Request, o *object) (*s3api.Response, span, error) {
	failed, notModified := readConditionOf(r.Header, "").check(o.rec.ETag, o.version.modified(), d.now())
	if failed != "" && !notModified {
		return nil, span{}, preconditionFailed(failed)
	}
	h := o.headers(strings.EqualFold(r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") && r.Header.Get("Range") == "" && !r.Query.Has("partNumber"))
	if notModified {
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"} {
			h.Del(name)
		}
		return &s3api.Response{Status: http.StatusNotModified, Header: h}, span{}, nil
	}
	for parameter, name := range overrides {
		if value := r.Query.Get(parameter); value != "" {
			h.Set(name, value)
		}
	}
	part, partial, err := spanOf(r, o)
	if err != nil {
		return nil, span{}, err
	}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		if o.version.size > 0 {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, o.version.size))
		}
	}
	if r.Query.Has("partNumber") && o.rec.PartCount > 0 {
		h.Set("X-Amz-Mp-Parts-Count", strconv.Itoa(o.rec.PartCount))
	}
	return &s3api.Response{Status: status, Header: h, ContentLength: part.length}, part, nil
}

// span are bytes of an object.
type span struct{ start, length int64 }

// spanOf says which bytes are asked for, and whether the answer is a part (206).
func spanOf(r *s3api.Request, o *object) (span, bool, error) {
	whole := span{0, o.version.size}
	header := r.Header.Get("Range")
	if !r.Query.Has("partNumber") {
		return parseRange(header, o.version.size)
	}
	if header != "" {
		return whole, false, refuse(s3api.InvalidRequest, "Cannot specify both Range header and partNumber query parameter.")
	}
	number, err := partNumberOf(r.Query.Get("partNumber"))
	if err != nil {
		return whole, false, err
	}
	if o.rec.PartCount == 0 && number == 1 {
		return whole, true, nil
	}
	var at int64
	for i, part := range o.rec.parts {
		if i+1 == number {
			return span{at, part.Size}, true, nil
		}
		at += part.Size
	}
	return whole, false, refuse(s3api.InvalidPartNumber, "The requested partnumber is not satisfiable.")
}

// maxParts is how many parts an object may have.
const maxParts = 10_000

func partNumberOf(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxParts || value != strconv.Itoa(n) {
		return 0, refuse(s3api.InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive.")
	}
	return n, nil
}

// parseRange reads a Range header. As S3 does, it answers with the whole object where the
// header is no range of bytes, or several.
//
// Errors: InvalidRange (no byte of it is there).
// Source: RFC 9110 §14.1.2.
func parseRange(header string, size int64) (span, bool, error) {
	whole := span{0, size}
	unit, spec, found := strings.Cut(header, "=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || !dash || strings.Contains(spec, ",") {
		return whole, false, nil
	}
	start, startOK := parseOffset(first)
	end, endOK := parseOffset(last)
	switch {
	case first == "" && endOK: // the last bytes
		if end == 0 || size == 0 {
			return whole, false, rangeError(size)
		}
		start = max(size-end, 0)
		return span{start, size - start}, true, nil
	case !startOK, last != "" && !endOK, last != "" && end < start:
		return whole, false, nil
	case start >= size:
		return whole, false, rangeError(size)
	case last == "":
		end = size - 1
	}
	end = min(end, size-1)
	return span{start, end - start + 1}, true, nil
}

// parseOffset takes digits alone; what is too large for a number is larger than any object.
func parseOffset(digits string) (int64, bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}

func rangeError(size int64) error {
	h := http.Header{}
	h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
	return &s3api.Error{Code: s3api.InvalidRange, Message: "The requested range is not satisfiable.", Header: h}
}
