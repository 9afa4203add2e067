package s3gw

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

const (
	taggingDirective = "X-Amz-Tagging-Directive"
	taggingCount     = "X-Amz-Tagging-Count"
	replaceTags      = "REPLACE"
)

// takesTags reports whether a copy, as it was asked for, has the tags of its source. S3 copies
// them unless it is told otherwise.
//
// Errors: InvalidArgument for a directive that S3 does not know.
func (e *exchange) takesTags() (bool, error) {
	if e.target.operation.name != s3api.CopyObject {
		return false, nil
	}
	switch e.header.Get(taggingDirective) {
	case "", "COPY":
		return true, nil
	case replaceTags:
		return false, nil
	}
	return false, refuse(s3api.InvalidArgument, countersign.ReasonHeaderMalformed, "Unknown tagging directive.")
}

// mayTakeTags: tags are read at the source and put at the target, each a right of its own.
func (e *exchange) mayTakeTags() bool {
	t := e.target
	reading := "get_object_tagging"
	if t.copy.versionID != "" {
		reading = "get_object_version_tagging"
	}
	return e.caller.allows(reading, t.copy.bucket, t.copy.key) && e.caller.allows("put_object_tagging", t.bucket, t.key)
}

// guardTags lets a copy take no tags along that its caller may not read and put. If the source
// has some the copy is refused, as S3 does; else the store is told to take none, so that
// those that come in this moment stay behind as well.
//
// Errors: AccessDenied; InvalidArgument; what the source's store can't answer.
//
// Source: Amazon S3 API reference, CopyObject, x-amz-tagging-directive.
func (e *exchange) guardTags(ctx context.Context, q *s3api.Request) error {
	takes, err := e.takesTags()
	if err != nil {
		e.decision.allowed = false
		return err
	}
	if !takes || e.mayTakeTags() {
		return nil
	}
	tagged, err := e.sourceHasTags(ctx, q.Source)
	if err != nil {
		return err
	}
	if tagged {
		e.decision.allowed = false
		e.decision.event.Rule = "tags of the source"
		return errDenied
	}
	q.Header[taggingDirective] = []string{replaceTags}
	return nil
}

// sourceHasTags asks the store of a copy's source.
func (e *exchange) sourceHasTags(ctx context.Context, from *s3api.Source) (bool, error) {
	q := &s3api.Request{Operation: s3api.HeadObject, Method: http.MethodHead, Key: from.Key, Query: map[string][]string{}, Header: make(http.Header)}
	if from.VersionID != "" {
		q.Query.Set("versionId", from.VersionID)
	}
	for name, values := range e.header { // what the object is encrypted with, and who pays
		if rest, ok := strings.CutPrefix(name, "X-Amz-Copy-Source-Server-Side-"); ok {
			q.Header["X-Amz-Server-Side-"+rest] = values
		} else if name == "X-Amz-Request-Payer" {
			q.Header[name] = values
		}
	}
	answer, err := e.do(ctx, from.Origin, q)
	if _, refused := errors.AsType[*s3api.Error](err); refused {
		return false, nil // the copy itself will hear it, with more words
	}
	if err != nil {
		return false, err
	}
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	count := answer.Header.Get(taggingCount)
	return count != "" && count != "0", nil
}

// hideTags: how many tags an object has is told to who may read them, as at S3.
func (e *exchange) hideTags(h http.Header) {
	if h[taggingCount] == nil {
		return
	}
	reading := "get_object_tagging"
	if e.target.query.Has("versionId") {
		reading = "get_object_version_tagging"
	}
	if e.caller.anonymous() || !e.caller.allows(reading, e.target.bucket, e.target.key) {
		delete(h, taggingCount)
	}
}
