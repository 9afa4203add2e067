package s3dir

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/s3api"
)

// maxMetaBytes is how many bytes names and values of an object's metadata may have.
const maxMetaBytes = 2 << 10

// metaHeader is what the names of metadata start with, as http.Header spells them.
const metaHeader = "X-Amz-Meta-"

// storedHeaders come back with the object as they were sent.
var storedHeaders = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type", "Expires",
	"X-Amz-Website-Redirect-Location",
}

// servedHeaders are the others of S3 that mean something here, or nothing at S3 either.
// What is not among them is refused: a header that is taken and not obeyed (encryption,
// locks) would promise what nobody keeps.
var servedHeaders = []string{
	"X-Amz-Acl", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Mode", "X-Amz-Checksum-Type",
	"X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-Modified-Since", "X-Amz-Copy-Source-If-None-Match",
	"X-Amz-Copy-Source-If-Unmodified-Since", "X-Amz-Copy-Source-Range", "X-Amz-Decoded-Content-Length",
	"X-Amz-Metadata-Directive", "X-Amz-Mp-Object-Size", "X-Amz-Max-Parts", "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes",
	"X-Amz-Part-Number-Marker", "X-Amz-Request-Payer", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Storage-Class", "X-Amz-Tagging",
	"X-Amz-Tagging-Directive", "X-Amz-Trailer", "X-Amz-Website-Redirect-Location",
}

// storageClasses are those whose objects can be read at any time. A folder has one kind of
// storage; the word is kept.
var storageClasses = []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}

// checkHeaders refuses headers of S3 that a folder can't obey.
func checkHeaders(h http.Header) error {
	for name := range h {
		if !strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, metaHeader) {
			continue
		}
		if _, sum := s3api.ChecksumOfHeader(name); sum {
			continue
		}
		if !slices.Contains(servedHeaders, name) {
			return refuse(s3api.NotImplemented, "A bucket in a folder does not have what the header "+strings.ToLower(name)+" asks for.")
		}
	}
	switch acl := h.Get("X-Amz-Acl"); acl {
	case "", "private", "bucket-owner-full-control": // what is so anyway
	default:
		return refuse(s3api.ACLNotSupported, "The bucket does not allow ACLs.")
	}
	return nil
}

// recordOf makes the record of a new object from the headers of its request.
func recordOf(key string, h http.Header) (*record, error) {
	rec := &record{Key: key}
	if err := rec.takeHeaders(h); err != nil {
		return nil, err
	}
	if err := rec.takeClass(h); err != nil {
		return nil, err
	}
	tags, err := parseTagging(h.Get("X-Amz-Tagging"))
	rec.Tags = tags
	return rec, err
}

func (rec *record) takeHeaders(h http.Header) error {
	for _, name := range storedHeaders {
		value := h.Get(name)
		if name == "Content-Encoding" {
			value = s3api.WithoutChunked(value)
		}
		if !utf8.ValidString(value) {
			return refuse(s3api.InvalidArgument, "The header "+name+" is not UTF-8.")
		}
		if value != "" {
			if rec.Headers == nil {
				rec.Headers = make(map[string]string)
			}
			rec.Headers[name] = value
		}
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !strings.HasPrefix(name, metaHeader) || name == metaHeader {
			continue
		}
		short, value := strings.ToLower(name[len(metaHeader):]), strings.Join(h[name], ",")
		if !utf8.ValidString(short + value) {
			return refuse(s3api.InvalidArgument, "The metadata is not UTF-8.")
		}
		if size += len(short) + len(value); size > maxMetaBytes {
			return refuse(s3api.MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size.")
		}
		if rec.Meta == nil {
			rec.Meta = make(map[string]string)
		}
		rec.Meta[short] = value
	}
	return nil
}

func (rec *record) takeClass(h http.Header) error {
	class := h.Get("X-Amz-Storage-Class")
	if class != "" && !slices.Contains(storageClasses, class) {
		return refuse(s3api.InvalidStorageClass, "The storage class you specified is not valid.")
	}
	if class != "STANDARD" {
		rec.Class = class
	}
	return nil
}

func (rec *record) class() string {
	if rec.Class == "" {
		return "STANDARD"
	}
	return rec.Class
}

// headers are those of an object in an answer to GET and HEAD.
func (o *object) headers(withSum bool) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "binary/octet-stream")
	for name, value := range o.rec.Headers {
		h.Set(name, value)
	}
	for name, value := range o.rec.Meta {
		h.Set(metaHeader+name, value)
	}
	h.Set("ETag", quoted(o.rec.ETag))
	h.Set("Last-Modified", o.version.modified().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if o.rec.Class != "" {
		h.Set("X-Amz-Storage-Class", o.rec.Class)
	}
	if len(o.rec.Tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(o.rec.Tags)))
	}
	if withSum {
		o.rec.setSum(h)
	}
	return h
}

func (rec *record) setSum(h http.Header) {
	if rec.Algorithm != "" && rec.Sum != "" {
		h.Set(rec.Algorithm.Header(), rec.Sum)
		h.Set("X-Amz-Checksum-Type", rec.SumType)
	}
}

func quoted(etag string) string { return `"` + etag + `"` }
