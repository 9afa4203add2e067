package s3gw

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// deleteBody is the document of DeleteObjects. It lists every element that S3 has: one that
// says when not to delete, and was left out, would delete too much.
type deleteBody struct {
	XMLName xml.Name       `xml:"Delete"`
	Objects []deleteObject `xml:"Object"`
	Quiet   *bool          `xml:"Quiet"`
	Other   []element      `xml:",any"`
}

type deleteObject struct {
	Key       string
	VersionID *string   `xml:"VersionId"`
	Other     []element `xml:",any"`
}

type element struct{ XMLName xml.Name }

// deleteResult is the answer.
type deleteResult struct {
	XMLName xml.Name       `xml:"DeleteResult"`
	Deleted []deletedKey   `xml:"Deleted"`
	Errors  []deleteFailed `xml:"Error"`
}

type deletedKey struct {
	Key                   string
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          string `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteFailed struct {
	Key       string
	VersionID string `xml:"VersionId,omitempty"`
	Code      string
	Message   string
}

// deleteObjects decides for each key by itself: the origin gets those that may be deleted,
// and the others are AccessDenied in the answer.
//
// Source: Amazon S3 API reference, DeleteObjects.
func (e *exchange) deleteObjects() error {
	t := e.target
	if _, err := e.knownBucket(); err != nil {
		return err
	}
	text, err := e.readDocument()
	if err != nil {
		return err
	}
	asked, err := parseDelete(text)
	if err != nil {
		return err
	}
	b, err := e.renew() // the client took its time
	if err != nil {
		return err
	}
	allowed, failed := e.decideEach(asked.Objects)
	e.decision.allowed, e.decision.denied = len(allowed) > 0, len(failed)
	e.decision.event.Rule = t.operation.action
	e.decision.event.Count = int64(len(asked.Objects))
	result := deleteResult{}
	if len(allowed) > 0 {
		asked.Objects = allowed
		text, err := xml.Marshal(asked)
		if err != nil {
			return fmt.Errorf("encode the keys: %w", err)
		}
		q := &s3api.Request{Operation: t.operation.name, Method: t.operation.method, Query: t.query, Header: e.header}
		setDocument(q, text)
		ctx, stop := e.watched()
		defer stop()
		answer, err := e.ask(ctx, b, q)
		if err != nil {
			return e.hidden(err)
		}
		if len(failed) == 0 {
			return e.respond(answer)
		}
		if result, err = readDeleteResult(answer); err != nil {
			return err
		}
	}
	result.XMLName = xml.Name{Space: namespace, Local: "DeleteResult"}
	result.Errors = append(result.Errors, failed...)
	e.status = http.StatusOK
	e.writeXML(e.w, http.StatusOK, &result)
	return nil
}

// parseDelete reads the document, which was checked.
//
// Errors: MalformedXML; NotImplemented for a condition.
func parseDelete(text []byte) (*deleteBody, error) {
	var asked deleteBody
	if err := xml.Unmarshal(text, &asked); err != nil || len(asked.Objects) == 0 || len(asked.Objects) > maxDeleteKeys || len(asked.Other) > 0 {
		return nil, errMalformed()
	}
	for i := range asked.Objects {
		o := &asked.Objects[i]
		if len(o.Other) > 0 {
			return nil, refuse(s3api.NotImplemented, countersign.ReasonBodyInvalid, "A condition of a key is not implemented")
		}
		if o.Key == "" || o.VersionID != nil && !s3api.ValidID(*o.VersionID) {
			return nil, errMalformed()
		}
	}
	asked.XMLName = xml.Name{Space: namespace, Local: "Delete"}
	return &asked, nil
}

// decideEach splits the keys into those that the caller may delete, and the answers to the
// others.
func (e *exchange) decideEach(asked []deleteObject) (allowed []deleteObject, failed []deleteFailed) {
	t := e.target
	for _, o := range asked {
		version := ""
		if o.VersionID != nil {
			version = *o.VersionID
		}
		may := e.caller.allows(t.operation.actionFor(o.VersionID != nil), t.bucket, o.Key)
		for _, group := range e.needs {
			may = may && e.caller.allows(group.action, t.bucket, o.Key)
		}
		err := keyError(s3api.CheckKey(o.Key))
		switch {
		case err != nil:
			refused, _ := errors.AsType[*s3api.Error](err)
			failed = append(failed, deleteFailed{o.Key, version, refused.Code, refused.Message})
		case !may:
			failed = append(failed, deleteFailed{o.Key, version, s3api.AccessDenied, sayDenied})
		default:
			allowed = append(allowed, o)
		}
	}
	return allowed, failed
}

// maxDeleteResult bounds the origin's answer: a thousand keys and what it says to each.
const maxDeleteResult = 4 << 20

func readDeleteResult(answer *s3api.Response) (result deleteResult, err error) {
	if answer.Body == nil {
		return result, errBroken(io.ErrUnexpectedEOF)
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxDeleteResult+1))
	if err == nil && len(text) > maxDeleteResult {
		err = io.ErrShortBuffer
	}
	if err == nil {
		err = xml.Unmarshal(text, &result)
	}
	if err != nil {
		return deleteResult{}, errBroken(err)
	}
	return result, nil
}
