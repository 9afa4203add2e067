package s3dir

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
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

func setOwner(objects []objectEntry) {
	for i := range objects {
		objects[i].Owner = &owner{ID: "countersign", DisplayName: "countersign"}
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

func isNoSuchKey(err error) bool {
	var refusal *s3api.Error
	return errors.As(err, &refusal) && refusal.Code == s3api.NoSuchKey
}
