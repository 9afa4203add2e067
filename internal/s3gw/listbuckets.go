package s3gw

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
)

// namespace is that of S3's own answers.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

type bucketsBody struct {
	XMLName   xml.Name `xml:"ListAllMyBucketsResult"`
	Namespace string   `xml:"xmlns,attr"`
	Owner     struct {
		ID          string
		DisplayName string `xml:",omitempty"`
	}
	Buckets struct {
		Bucket []bucketBody
	}
	Prefix            string `xml:",omitempty"`
	ContinuationToken string `xml:",omitempty"`
}

// unknownDate stands for when a bucket was made, which clients want to parse: buckets are
// names for what was there before.
const unknownDate = "1970-01-01T00:00:00.000Z"

type bucketBody struct {
	Name         string
	CreationDate string
}

// listBuckets lists the buckets that the caller has any right in and that are there for it;
// of others it does not tell. A role names at most a few dozen, so they are looked up one by
// one.
//
// Source: Amazon S3 API reference, ListBuckets.
func (e *exchange) listBuckets() error {
	if _, err := e.openBody(); err != nil {
		return err
	}
	e.decision.allowed = true
	query := e.target.query
	most := 10_000
	if query.Has("max-buckets") {
		most, _ = strconv.Atoi(query.Get("max-buckets")) // it was checked
	}
	body := bucketsBody{Namespace: namespace, Prefix: query.Get("prefix")}
	body.Owner.ID = e.cfg.AccountID
	after := query.Get("continuation-token")
	for _, name := range e.caller.buckets() {
		if name <= after || !strings.HasPrefix(name, body.Prefix) {
			continue
		}
		b, err := e.cfg.Registry.Bucket(e.r.Context(), name)
		if errors.Is(err, countersign.NotFound) {
			continue
		}
		if err != nil {
			return err //nolint:wrapcheck // it has its words
		}
		if !e.caller.opens(b) {
			continue
		}
		if len(body.Buckets.Bucket) >= max(most, 1) {
			body.ContinuationToken = body.Buckets.Bucket[len(body.Buckets.Bucket)-1].Name
			break
		}
		body.Buckets.Bucket = append(body.Buckets.Bucket, bucketBody{Name: name, CreationDate: unknownDate})
	}
	e.status = http.StatusOK
	e.writeXML(e.w, http.StatusOK, &body)
	return nil
}
