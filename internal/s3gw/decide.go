package s3gw

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
)

// actionFor is the action that the role must allow: reading an old version is another right
// than reading the object.
func (o *operation) actionFor(versioned bool) string {
	if versioned && o.versionAction != "" {
		return o.versionAction
	}
	return o.action
}

// decide asks for every right that the request needs, and only then whether the bucket is
// there: what is not allowed is refused alike whatever is there (RULES F5).
//
// Errors: AccessDenied, NoSuchBucket; countersign.Unavailable.
func (e *exchange) decide() (*registry.Bucket, error) {
	t, c := e.target, e.caller
	o := t.operation
	e.decision.event.Rule = o.actionFor(t.query.Has("versionId"))
	switch {
	case c.anonymous():
		if len(e.needs) > 0 {
			return nil, errAnonymous
		}
	case o.action == "":
		if !c.knows(t.bucket) {
			return nil, errDenied
		}
	default:
		about := t.key
		if o.shape == bucket {
			about = t.query.Get("prefix")
		}
		if !c.allows(e.decision.event.Rule, t.bucket, about) {
			return nil, errDenied
		}
	}
	for _, group := range e.needs {
		where, key := t.bucket, t.key
		if group.ofSource {
			where, key = t.copy.bucket, t.copy.key
		}
		if !c.allows(group.action, where, key) {
			e.decision.event.Rule = group.action
			return nil, errDenied
		}
	}
	if o.copies && !c.allows(t.copy.action(), t.copy.bucket, t.copy.key) {
		e.decision.event.Rule = t.copy.action() + " of the source"
		return nil, errDenied
	}
	return e.bucket(e.r.Context(), t.bucket)
}

func (s source) action() string {
	if s.versionID != "" {
		return "get_object_version"
	}
	return "get_object"
}

var errDenied = refuse(s3api.AccessDenied, countersign.ReasonActionNotAllowed, sayDenied)

// bucket returns a bucket that is open to the caller.
//
// Errors: AccessDenied, NoSuchBucket; countersign.Unavailable.
func (e *exchange) bucket(ctx context.Context, name string) (*registry.Bucket, error) {
	b, err := e.cfg.Registry.Bucket(ctx, name)
	if errors.Is(err, countersign.NotFound) {
		if e.caller.listsIn(name) {
			return nil, refuse(s3api.NoSuchBucket, countersign.ReasonObjectUnknown, sayNoBucket)
		}
		return nil, refuse(s3api.AccessDenied, countersign.ReasonObjectUnknown, sayDenied)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if !e.caller.opens(b) {
		if e.caller.anonymous() {
			return nil, errAnonymous
		}
		return nil, refuse(s3api.AccessDenied, countersign.ReasonBucketNotOpen, sayDenied)
	}
	return b, nil
}
