package s3dir

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/countersign/countersign/internal/s3api"
)

// maxDeleted is how many keys one DeleteObjects may name.
const maxDeleted = 1000

// deleteObject answers DeleteObject: what is not there is deleted too.
//
// Source: Amazon S3 API reference, DeleteObject.
func (d *Dir) deleteObject(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	touched, err := d.remove(ctx, r.Key, writeCondition{match: r.Header.Get("If-Match"), missingIsFine: true})
	if err != nil {
		return nil, err
	}
	if err := d.syncFolders(touched); err != nil {
		return nil, err
	}
	return &s3api.Response{Status: http.StatusNoContent, Header: http.Header{}}, nil
}

type deleteDocument struct {
	Quiet   bool           `xml:"Quiet"`
	Objects []deleteObject `xml:"Object"`
}

type deleteObject struct {
	Key       []string `xml:"Key"`
	VersionID string   `xml:"VersionId"`
	ETag      string   `xml:"ETag"`
	// What S3 has for other kinds of buckets, and is not obeyed here.
	LastModifiedTime string `xml:"LastModifiedTime"`
	Size             string `xml:"Size"`
}

type deletedEntry struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
}

type deleteError struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

type deleteResult struct {
	XMLName xml.Name `xml:"DeleteResult"`
	Xmlns   string   `xml:"xmlns,attr"`
	Deleted []deletedEntry
	Errors  []deleteError `xml:"Error"`
}

// deleteObjects answers DeleteObjects: each key on its own, and what can't be deleted is told
// in the answer.
//
// Source: Amazon S3 API reference, DeleteObjects.
func (d *Dir) deleteObjects(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	var document deleteDocument
	if err := parseXML(r, "Delete", &document); err != nil {
		return nil, err
	}
	if len(document.Objects) == 0 || len(document.Objects) > maxDeleted {
		return nil, malformed()
	}
	for _, each := range document.Objects {
		if len(each.Key) != 1 {
			return nil, malformed() // nothing is deleted by a document that may mean something else
		}
	}
	answer := deleteResult{Xmlns: xmlns}
	var touched []string
	for _, each := range document.Objects {
		key := each.Key[0]
		folders, err := d.deleteOne(ctx, key, each)
		touched = append(touched, folders...)
		var refusal *s3api.Error
		switch {
		case err == nil && !document.Quiet:
			answer.Deleted = append(answer.Deleted, deletedEntry{key, each.VersionID})
		case errors.As(err, &refusal):
			answer.Errors = append(answer.Errors, deleteError{key, each.VersionID, refusal.Code, refusal.Message})
		case err != nil && ctx.Err() != nil:
			return nil, err
		case err != nil:
			answer.Errors = append(answer.Errors, deleteError{key, each.VersionID, s3api.InternalError, "We encountered an internal error. Please try again."})
		}
	}
	if err := d.syncFolders(touched); err != nil {
		return nil, err
	}
	return xmlResponse(answer)
}

func (d *Dir) deleteOne(ctx context.Context, key string, each deleteObject) ([]string, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	switch {
	case each.VersionID != "" && each.VersionID != "null":
		return nil, refuse(s3api.NoSuchVersion, "The specified version does not exist.")
	case each.LastModifiedTime != "" || each.Size != "":
		return nil, refuse(s3api.NotImplemented, "A bucket in a folder has no such condition.")
	}
	return d.remove(ctx, key, writeCondition{match: each.ETag, missingIsFine: true})
}
