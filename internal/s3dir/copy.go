package s3dir

import (
	"context"
	"encoding/xml"
	"io"
	"os"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

// source opens what a copy reads, in this folder or another, if its conditions hold.
//
// Errors: NotImplemented (it lies in no folder), NoSuchKey, NoSuchVersion, PreconditionFailed.
func (d *Dir) source(r *s3api.Request) (*object, *Dir, error) {
	if r.Source == nil {
		return nil, nil, refuse(s3api.InvalidArgument, "The copy source is missing.")
	}
	from, ok := r.Source.Origin.(*Dir)
	if !ok {
		return nil, nil, refuse(s3api.NotImplemented, "A bucket in a folder copies from buckets in folders only.")
	}
	if err := checkKey(r.Source.Key); err != nil {
		return nil, nil, err
	}
	if id := r.Source.VersionID; id != "" && id != "null" {
		return nil, nil, refuse(s3api.NoSuchVersion, "The specified version does not exist.")
	}
	o, err := from.open(r.Source.Key, false)
	if err != nil {
		return nil, nil, err
	}
	when := readConditionOf(r.Header, "X-Amz-Copy-Source-")
	if failed, _ := when.check(o.rec.ETag, o.version.modified(), d.now()); failed != "" {
		o.close()
		return nil, nil, preconditionFailed("x-amz-copy-source-" + strings.ToLower(failed))
	}
	return o, from, nil
}

// copyObject answers CopyObject.
//
// Source: Amazon S3 API reference, CopyObject.
func (d *Dir) copyObject(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	when, err := writeConditionOf(r.Header)
	if err != nil {
		return nil, err
	}
	o, from, err := d.source(r)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if o.version.size > maxPutBytes {
		return nil, refuse(s3api.InvalidRequest, "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120.")
	}
	rec, algorithm, err := d.copyRecord(r, o, from)
	if err != nil {
		return nil, err
	}
	if err := d.checkCondition(r.Key, when); err != nil {
		return nil, err
	}
	s, err := d.stage()
	if err != nil {
		return nil, err
	}
	defer s.discard()
	body := io.NewSectionReader(o.file, 0, o.version.size)
	if err := s.fill(ctx, body, expected{length: o.version.size, algorithm: algorithm}); err != nil {
		return nil, err
	}
	if err := d.finish(ctx, s, rec, algorithm, when); err != nil {
		return nil, err
	}
	return xmlResponse(copyResult{
		XMLName: xml.Name{Local: "CopyObjectResult"}, Xmlns: xmlns, LastModified: s.version.modified().Format(timeFormat),
		ETag: quoted(rec.ETag), ChecksumType: rec.SumType, sums: sumsOf(rec.Algorithm, rec.Sum),
	})
}

type copyResult struct {
	XMLName      xml.Name
	Xmlns        string `xml:"xmlns,attr"`
	LastModified string
	ETag         string
	ChecksumType string `xml:",omitempty"`
	sums
}

// copyRecord makes the record of a copy: what it takes from its source and what is new.
func (d *Dir) copyRecord(r *s3api.Request, o *object, from *Dir) (*record, s3api.Checksum, error) {
	rec, err := recordOf(r.Key, r.Header)
	if err != nil {
		return nil, "", err
	}
	replaceMeta, err := directive(r, "X-Amz-Metadata-Directive")
	if err != nil {
		return nil, "", err
	}
	replaceTags, err := directive(r, "X-Amz-Tagging-Directive")
	if err != nil {
		return nil, "", err
	}
	algorithm := o.rec.Algorithm
	if name := r.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		var ok bool
		if algorithm, ok = s3api.ParseChecksum(name); !ok {
			return nil, "", refuse(s3api.InvalidRequest, "Checksum algorithm provided is unsupported.")
		}
	}
	itself := r.Source.Key == r.Key && sameFolder(d, from)
	if itself && !replaceMeta && algorithm == o.rec.Algorithm && rec.Class == o.rec.Class && rec.Headers[redirectHeader] == o.rec.Headers[redirectHeader] {
		return nil, "", refuse(s3api.InvalidRequest, "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if !replaceMeta {
		redirect := rec.Headers[redirectHeader]
		rec.Headers, rec.Meta = cloneWithout(o.rec.Headers, redirectHeader), o.rec.Meta
		if redirect != "" {
			rec.Headers[redirectHeader] = redirect
		}
	}
	if !replaceTags {
		rec.Tags = o.rec.Tags
	}
	return rec, algorithm, nil
}

const redirectHeader = "X-Amz-Website-Redirect-Location"

func cloneWithout(headers map[string]string, name string) map[string]string {
	out := make(map[string]string, len(headers))
	for each, value := range headers {
		if each != name {
			out[each] = value
		}
	}
	return out
}

// directive says whether a copy takes what the request has instead of what its source has.
func directive(r *s3api.Request, name string) (replace bool, err error) {
	switch r.Header.Get(name) {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	}
	return false, refuse(s3api.InvalidArgument, "Unknown "+strings.ToLower(name)+".")
}

// sameFolder reports whether two buckets have one folder.
func sameFolder(a, b *Dir) bool {
	if a == b {
		return true
	}
	first, errA := a.root.Stat(".")
	second, errB := b.root.Stat(".")
	return errA == nil && errB == nil && os.SameFile(first, second)
}
