package s3dir

import (
	"context"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

type attributesResult struct {
	XMLName      xml.Name           `xml:"GetObjectAttributesResponse"`
	Xmlns        string             `xml:"xmlns,attr"`
	ETag         string             `xml:",omitempty"`
	Checksum     *attributeChecksum `xml:",omitempty"`
	ObjectParts  *attributeParts    `xml:",omitempty"`
	StorageClass string             `xml:",omitempty"`
	ObjectSize   *int64             `xml:",omitempty"`
}

type attributeChecksum struct {
	sums
	ChecksumType string
}

type attributeParts struct {
	PartsCount           int
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Parts                []attributePart `xml:"Part"`
}

type attributePart struct {
	sums
	PartNumber int
	Size       int64
}

// getObjectAttributes answers GetObjectAttributes.
//
// Source: Amazon S3 API reference, GetObjectAttributes.
func (d *Dir) getObjectAttributes(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
	wanted := make(map[string]bool)
	for _, header := range r.Header.Values("X-Amz-Object-Attributes") {
		for each := range strings.SplitSeq(header, ",") {
			wanted[strings.TrimSpace(each)] = true
		}
	}
	for name := range wanted {
		switch name {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
		default:
			return nil, refuse(s3api.InvalidArgument, "Invalid attribute name specified.")
		}
	}
	if len(wanted) == 0 {
		return nil, refuse(s3api.InvalidArgument, "The x-amz-object-attributes header is missing.")
	}
	o, err := d.open(r.Key, wanted["ObjectParts"])
	if err != nil {
		return nil, err
	}
	o.close()
	answer := attributesResult{Xmlns: xmlns}
	if wanted["ETag"] {
		answer.ETag = o.rec.ETag // here without quotes, as S3 does
	}
	if wanted["Checksum"] && o.rec.Sum != "" {
		answer.Checksum = &attributeChecksum{sumsOf(o.rec.Algorithm, o.rec.Sum), o.rec.SumType}
	}
	if wanted["StorageClass"] {
		answer.StorageClass = o.rec.class()
	}
	if wanted["ObjectSize"] {
		answer.ObjectSize = &o.version.size
	}
	if wanted["ObjectParts"] && o.rec.PartCount > 0 {
		if answer.ObjectParts, err = partsOf(r.Header, o.rec); err != nil {
			return nil, err
		}
	}
	response, err := xmlResponse(answer)
	if err == nil {
		response.Header.Set("Last-Modified", o.version.modified().Format(http.TimeFormat))
	}
	return response, err
}

func partsOf(h http.Header, rec *record) (*attributeParts, error) {
	limit, err := bounded(h.Get("X-Amz-Max-Parts"), maxListed)
	if err != nil {
		return nil, err
	}
	after, err := bounded(h.Get("X-Amz-Part-Number-Marker"), 0)
	if err != nil {
		return nil, err
	}
	out := &attributeParts{PartsCount: rec.PartCount, PartNumberMarker: after, MaxParts: min(limit, maxListed)}
	for _, part := range rec.parts {
		if part.Number <= after {
			continue
		}
		if len(out.Parts) == out.MaxParts {
			out.IsTruncated = true
			break
		}
		out.Parts = append(out.Parts, attributePart{sumsOf(rec.Algorithm, part.Sum), part.Number, part.Size})
		out.NextPartNumberMarker = part.Number
	}
	return out, nil
}

// bounded reads a number that may be missing.
func bounded(value string, missing int) (int, error) {
	if value == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, refuse(s3api.InvalidArgument, "A number is not an integer or within integer range.")
	}
	return n, nil
}
