package s3origin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/sigv4"
)

const (
	// smallBody is held in memory: its hash is signed, and the store is not asked before the
	// whole of it has come.
	smallBody = 64 << 10
	// expectFrom is the size from which on the store is asked whether it wants a body.
	expectFrom = 1 << 20
	// maxDocument bounds a document of a request: the 10,000 parts of an upload, each with
	// its checksums, or 1,000 keys.
	maxDocument = 4 << 20
)

var (
	errShortBody = errors.New("the body ends before its length")
	errLongBody  = errors.New("the body is longer than its length")
	errStopped   = errors.New("the request is over")
)

// source is the client's body on its way. It gives its last bytes away only once the end has
// been seen: until then the body may still turn out to be wrong.
type source struct {
	r    io.Reader
	left int64
	// sum is computed of what is read; nil = none.
	sum hash.Hash
	// begun and done may be asked while another goroutine reads.
	begun, done atomic.Bool

	mu      sync.Mutex // held while it is read
	stopped atomic.Bool
	err     error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return 0, s.err
	case s.stopped.Load():
		return 0, errStopped
	case s.left == 0:
		s.err = s.end(nil)
		return 0, s.err
	case len(p) == 0:
		return 0, nil
	}
	s.begun.Store(true)
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if s.sum != nil {
		_, _ = s.sum.Write(p[:n]) // a hash never fails
	}
	switch {
	case s.left == 0:
		if s.err = s.end(err); !errors.Is(s.err, io.EOF) {
			return 0, s.err
		}
	case errors.Is(err, io.EOF):
		s.err = errShortBody
		return 0, s.err
	case err != nil:
		s.err = err
		return 0, err
	}
	return n, nil
}

// end looks for the end: what it returns is io.EOF, or what is wrong.
func (s *source) end(err error) error {
	var probe [1]byte
	for range 100 {
		switch {
		case errors.Is(err, io.EOF):
			s.done.Store(true)
			return io.EOF
		case err != nil:
			return err
		}
		var n int
		if n, err = s.r.Read(probe[:]); n > 0 {
			return errLongBody
		}
	}
	return io.ErrNoProgress
}

// failure is what is wrong with the body; nil = nothing that is known.
func (s *source) failure() error {
	if s == nil || !s.mu.TryLock() {
		return nil // it is being read, so nothing is known to be wrong
	}
	defer s.mu.Unlock()
	if s.err == nil || errors.Is(s.err, io.EOF) || errors.Is(s.err, errStopped) {
		return nil
	}
	switch {
	case errors.Is(s.err, errShortBody):
		return fmt.Errorf("read the body: %w", incomplete(s.err))
	case errors.Is(s.err, errLongBody):
		return fmt.Errorf("read the body: %w", &s3api.Error{Code: s3api.InvalidRequest, Message: "the body is longer than was said"})
	}
	return fmt.Errorf("read the body: %w", s.err)
}

func incomplete(cause error) error {
	return fmt.Errorf("%w: %w", &s3api.Error{Code: s3api.IncompleteBody, Message: "the body is shorter than was said"}, cause)
}

// stop lets no further read begin.
func (s *source) stop() {
	if s != nil {
		s.stopped.Store(true)
	}
}

// payload is the body of a request as it goes to the store.
type payload struct {
	// small is all of it; nil where it is streamed.
	small []byte
	from  *source
	// length of the body, without framing.
	length int64
	// hash is what x-amz-content-sha256 says.
	hash string
	// checksum and value are a header that came as trailer of a small body.
	checksum, value string
	// chunks say how a streamed body is framed; an empty Form: not at all.
	chunks sigv4.EncodeOptions
}

// payloadOf looks at the body of a request. It reads a small one whole.
func payloadOf(r *s3api.Request, store Store, plain bool) (payload, error) {
	switch {
	case r.Body == nil:
		return payload{hash: sigv4.EmptyPayloadHash}, nil
	case r.ContentLength < 0:
		return payload{}, &s3api.Error{Code: "MissingContentLength", Message: "the length of the body is not known"}
	}
	p := payload{from: &source{r: r.Body, left: r.ContentLength}, length: r.ContentLength, hash: r.PayloadHash}
	if r.ContentLength <= smallBody {
		return p, p.hold(r)
	}
	if p.hash == "" {
		return p, p.choose(r, store, plain)
	}
	return p, nil
}

// choose finds the form of a streamed body that has no hash.
//
// Not every store knows that a body that ends before its Content-Length has no end: what
// came is an object then (versitygw 1.8.0 keeps it). So an object goes out in chunks, whose
// last one the store waits for, with the client's checksum or one of ours. What a part of
// an upload is worth is asked again when the parts are put together, so it needs none; and
// a checksum that the upload was not created with would be refused. A network that sees the
// body could change it: there the chunks are signed.
func (p *payload) choose(r *s3api.Request, store Store, plain bool) error {
	p.chunks.Length, p.hash = r.ContentLength, sigv4.UnsignedPayload
	checksum, value := s3api.Checksum(""), r.TrailerValue
	switch {
	case store.NoTrailers:
	case r.Trailer != "":
		var known bool
		if checksum, known = s3api.ChecksumOfHeader(r.Trailer); !known || value == nil {
			return &s3api.Error{Code: s3api.NotImplemented, Message: "the checksum of the trailer is not known"}
		}
	case r.Operation == s3api.PutObject && !plain && !hasDigest(r.Header):
		var known bool
		if checksum, known = s3api.ParseChecksum(r.Header.Get("X-Amz-Sdk-Checksum-Algorithm")); !known {
			checksum = s3api.CRC32
		}
		p.from.sum = checksum.New()
		value = func() string { return checksum.Encode(p.from.sum.Sum(nil)) }
	}
	switch {
	case checksum != "" && plain:
		p.chunks.Form = sigv4.StreamingPayloadTrailer
	case checksum != "":
		p.chunks.Form = sigv4.StreamingUnsignedTrailer
	case plain:
		p.chunks.Form = sigv4.StreamingPayload
	default:
		return nil
	}
	p.hash = p.chunks.Form
	if checksum != "" {
		p.chunks.Trailer, p.chunks.TrailerValue = checksum.Header(), value
		p.chunks.TrailerLength = base64.StdEncoding.EncodedLen(checksum.Size())
	}
	return nil
}

// hold reads the body whole.
func (p *payload) hold(r *s3api.Request) error {
	buffer := bytes.NewBuffer(make([]byte, 0, r.ContentLength+bytes.MinRead))
	if _, err := buffer.ReadFrom(p.from); err != nil {
		if failure := p.from.failure(); failure != nil {
			return failure
		}
		return err
	}
	p.small = buffer.Bytes()
	if p.hash == "" {
		p.hash = sigv4.HashPayload(p.small)
	}
	if r.Trailer != "" && r.TrailerValue != nil {
		p.checksum, p.value = r.Trailer, r.TrailerValue()
	}
	return nil
}

// readDocument reads a document of a request whole.
func readDocument(r *s3api.Request) ([]byte, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, &s3api.Error{Code: s3api.MalformedXML, Message: "the request has no document"}
	}
	if r.ContentLength < 0 || r.ContentLength > maxDocument {
		return nil, &s3api.Error{Code: s3api.EntityTooLarge, Message: "the document is too large"}
	}
	from := source{r: r.Body, left: r.ContentLength}
	text, err := io.ReadAll(&from)
	if err != nil {
		if failure := from.failure(); failure != nil {
			return nil, failure
		}
		return nil, countersign.WrapError(countersign.Invalid, "", "the body can't be read", err)
	}
	return text, nil
}
