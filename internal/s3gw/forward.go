package s3gw

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // G501: S3 wants it of a document; it proves nothing here
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
)

// forward lets the origin do what was authorised, and passes its answer on.
func (e *exchange) forward(b *registry.Bucket) error {
	q, b, err := e.request(b)
	if err != nil {
		return e.hidden(err)
	}
	ctx, stop := e.watched()
	defer stop()
	if err := e.guardTags(ctx, q); err != nil {
		return e.hidden(err)
	}
	answer, err := e.ask(ctx, b, q)
	if err != nil {
		return e.hidden(err)
	}
	return e.respond(answer)
}

// ask hands the request to the origin.
func (e *exchange) ask(ctx context.Context, b *registry.Bucket, q *s3api.Request) (*s3api.Response, error) {
	origin, err := e.cfg.Origins.Origin(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("find the origin of %s: %w", b.Name, err)
	}
	return e.do(ctx, origin, q)
}

// do is ask of an origin that is known.
func (e *exchange) do(ctx context.Context, origin s3api.Origin, q *s3api.Request) (*s3api.Response, error) {
	answer, err := origin.Do(ctx, q)
	if err != nil {
		if ended := e.ended.Load(); ended != nil {
			err = *ended // whatever the origin makes of it
		}
		if code := countersign.CodeOf(err); code == countersign.BadSignature || code == countersign.BodyMismatch || e.ended.Load() != nil {
			e.decision.allowed = false // the body was not the signer's, or is not any more
		}
		return nil, fmt.Errorf("%s: %w", q.Operation, err)
	}
	return answer, nil
}

// request makes the origin's request: what was authorised, and nothing else of the client's. It
// returns the bucket as it is once a document has come, which was decided about again.
func (e *exchange) request(b *registry.Bucket) (*s3api.Request, *registry.Bucket, error) {
	t := e.target
	o := t.operation
	q := &s3api.Request{Operation: o.name, Method: o.method, Key: t.key, Query: t.query, Header: e.header}
	if o.copies {
		from, err := e.source(b)
		if err != nil {
			return nil, nil, err
		}
		q.Source = from
	}
	switch o.body {
	case document, optionalDocument:
		text, err := e.readDocument()
		if err == nil {
			b, err = e.renew() // the client took its time
		}
		if err != nil {
			e.decision.allowed = false
			return nil, nil, err
		}
		setDocument(q, text)
		return q, b, nil
	case stream:
		if err := e.readTrailerName(q); err != nil {
			return nil, nil, err
		}
	case noBody:
	}
	body, err := e.openBody()
	if err != nil {
		e.decision.allowed = false
		return nil, nil, err
	}
	if o.body == stream {
		q.Body, q.ContentLength = body, e.length
		if q.PayloadHash = e.caller.payload(); len(q.PayloadHash) != 2*sha256.Size {
			q.PayloadHash = "" // a word for how it is sent
		}
		if q.Trailer != "" {
			q.TrailerValue = func() string { return body.Trailer(q.Trailer) }
		}
	}
	return q, b, nil
}

// setDocument sets a body that is in memory. Its checksums were compared, and S3 asks for one
// with some documents: it gets a fresh one, of exactly what is sent.
func setDocument(q *s3api.Request, text []byte) {
	if q.Operation != s3api.CompleteMultipartUpload {
		for name := range q.Header {
			if name == "X-Amz-Sdk-Checksum-Algorithm" || strings.HasPrefix(name, "X-Amz-Checksum-") {
				delete(q.Header, name)
			}
		}
		sum := md5.Sum(text) //nolint:gosec // G401: as above
		q.Header["Content-Md5"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	}
	sum := sha256.Sum256(text)
	q.Body, q.ContentLength, q.PayloadHash = bytes.NewReader(text), int64(len(text)), hex.EncodeToString(sum[:])
}

// readTrailerName reads which checksum comes behind the body. It is the one header of S3
// that package sigv4 acts on together with the body.
func (e *exchange) readTrailerName(q *s3api.Request) error {
	values, found := e.r.Header["X-Amz-Trailer"]
	if !found {
		return nil
	}
	name := strings.ToLower(values[0])
	if _, known := s3api.ChecksumOfHeader(name); len(values) != 1 || !known {
		return refuse(s3api.InvalidRequest, countersign.ReasonHeaderMalformed, "The value specified in the x-amz-trailer header is not supported")
	}
	if _, twice := e.header[http.CanonicalHeaderKey(name)]; twice {
		return refuse(s3api.InvalidRequest, countersign.ReasonHeaderDuplicated, "Expecting a single x-amz-checksum- header")
	}
	q.Trailer = name
	return nil
}

// source finds what a copy reads. That the caller may was decided by its name; the bucket
// must be open to the caller as well.
func (e *exchange) source(b *registry.Bucket) (*s3api.Source, error) {
	from := e.target.copy
	found := b
	if from.bucket != b.Name {
		var err error
		if found, err = e.bucket(e.r.Context(), from.bucket); err != nil {
			e.decision.allowed = false
			return nil, err
		}
	}
	origin, err := e.cfg.Origins.Origin(e.r.Context(), found)
	if err != nil {
		return nil, fmt.Errorf("find the origin of %s: %w", found.Name, err)
	}
	return &s3api.Source{Origin: origin, Bucket: from.bucket, Key: from.key, VersionID: from.versionID}, nil
}
