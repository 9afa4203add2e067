package s3dir

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is one; no security rests on it
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/countersign/countersign/internal/s3api"
)

const (
	xmlns      = "http://s3.amazonaws.com/doc/2006-03-01/"
	timeFormat = "2006-01-02T15:04:05.000Z"
)

type objectEntry struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	StorageClass      string
	Owner             *owner `xml:",omitempty"`
}

type prefixEntry struct{ Prefix string }

// owner is who owns everything here: a folder knows no accounts.
type owner struct{ ID, DisplayName string }

func theOwner() *owner { return &owner{ID: "countersign", DisplayName: "countersign"} }

func setOwner(objects []objectEntry) {
	for i := range objects {
		objects[i].Owner = theOwner()
	}
}

type listV2Result struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Xmlns                 string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	KeyCount              int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	Contents              []objectEntry
	CommonPrefixes        []prefixEntry
}

type listV1Result struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	Xmlns          string   `xml:"xmlns,attr"`
	Name           string
	Prefix         string
	Marker         string
	NextMarker     string `xml:",omitempty"`
	Delimiter      string `xml:",omitempty"`
	MaxKeys        int
	EncodingType   string `xml:",omitempty"`
	IsTruncated    bool
	Contents       []objectEntry
	CommonPrefixes []prefixEntry
}

type versionEntry struct {
	objectEntry
	VersionID string `xml:"VersionId"`
	IsLatest  bool
}

type listVersionsResult struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	Xmlns               string   `xml:"xmlns,attr"`
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string `xml:"VersionIdMarker"`
	NextKeyMarker       string `xml:",omitempty"`
	NextVersionIDMarker string `xml:"NextVersionIdMarker,omitempty"`
	Delimiter           string `xml:",omitempty"`
	MaxKeys             int
	EncodingType        string `xml:",omitempty"`
	IsTruncated         bool
	Versions            []versionEntry `xml:"Version"`
	CommonPrefixes      []prefixEntry
}

// getBucketLocation answers GetBucketLocation: us-east-1 is the one without a name.
//
// Source: Amazon S3 API reference, GetBucketLocation.
func (d *Dir) getBucketLocation(context.Context, *s3api.Request) (*s3api.Response, error) {
	answer := struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Xmlns   string   `xml:"xmlns,attr"`
		Region  string   `xml:",chardata"`
	}{Xmlns: xmlns}
	if name := d.regionName(); name != "us-east-1" {
		answer.Region = name
	}
	return xmlResponse(answer)
}

func xmlResponse(document any) (*s3api.Response, error) {
	text, err := xml.Marshal(document)
	if err != nil {
		return nil, unusable("the answer can't be written", err)
	}
	text = append([]byte(xml.Header), text...)
	h := http.Header{}
	h.Set("Content-Type", "application/xml")
	return &s3api.Response{
		Status: http.StatusOK, Header: h, Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
	}, nil
}

// maxDocumentBytes bounds an XML body: the largest that is of use names 10,000 parts or
// 1,000 keys of 1,024 bytes.
const maxDocumentBytes = 8 << 20

// parseXML reads the one document that a body is.
//
// Errors: MalformedXML, EntityTooLarge.
func parseXML(r *s3api.Request, name string, into any) error {
	if r.Body == nil {
		return malformed()
	}
	limited := &io.LimitedReader{R: r.Body, N: maxDocumentBytes + 1}
	text, err := io.ReadAll(limited)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	if len(text) > maxDocumentBytes {
		return refuse(s3api.EntityTooLarge, "The document is too long.")
	}
	// The checksums of this one are those of the object that it makes.
	if r.Operation != s3api.CompleteMultipartUpload {
		if err := checkDocument(r, text); err != nil {
			return err
		}
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if err != nil {
			return malformed()
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local != name || decoder.DecodeElement(into, &token) != nil {
				return malformed()
			}
			return endsThere(decoder)
		case xml.Directive: // a document type, which no client of S3 sends
			return malformed()
		}
	}
}

// checkDocument compares what was said about a body that is in memory.
func checkDocument(r *s3api.Request, text []byte) error {
	want, err := expectedOf(r)
	if err != nil {
		return err
	}
	digest := md5.New() //nolint:gosec // see the import
	hashes := []hash.Hash{digest}
	if want.algorithm != "" {
		hashes = append(hashes, want.algorithm.New())
	}
	for _, h := range hashes {
		h.Write(text)
	}
	_, err = want.check(hashes)
	return err
}

func endsThere(decoder *xml.Decoder) error {
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		text, isText := token.(xml.CharData)
		_, isComment := token.(xml.Comment)
		if err != nil || !isComment && (!isText || len(bytes.TrimSpace(text)) > 0) {
			return malformed()
		}
	}
}

func malformed() error {
	return refuse(s3api.MalformedXML, "The XML you provided was not well-formed or did not validate against our published schema.")
}

// sums are the elements of a checksum in an answer or a document; one of them is set.
type sums struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
}

func (s *sums) of(algorithm s3api.Checksum) *string {
	switch algorithm {
	case s3api.CRC32:
		return &s.ChecksumCRC32
	case s3api.CRC32C:
		return &s.ChecksumCRC32C
	case s3api.CRC64NVME:
		return &s.ChecksumCRC64NVME
	case s3api.SHA1:
		return &s.ChecksumSHA1
	case s3api.SHA256:
		return &s.ChecksumSHA256
	}
	return new(string)
}

func sumsOf(algorithm s3api.Checksum, value string) (s sums) {
	*s.of(algorithm) = value
	return s
}

func isNoSuchKey(err error) bool {
	var refusal *s3api.Error
	return errors.As(err, &refusal) && refusal.Code == s3api.NoSuchKey
}
