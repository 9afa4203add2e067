package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// DefaultMaxChunk is the largest signed chunk that [Request.Body] takes by default. One has to be
// in memory in full before a byte of it can be believed. AWS's SDKs sign chunks of 64 or 128
// KiB. Chunks that are not signed are passed on as they come, and may be of any size.
const DefaultMaxChunk = 1 << 20

// BodyOptions say what the headers of a request tell of its body.
type BodyOptions struct {
	// Secret is the one that [Request.Verify] was given. Only the signed STREAMING forms need it.
	Secret countersign.Secret
	// DecodedLength is how many bytes the body has without its framing:
	// x-amz-decoded-content-length of a STREAMING form, Content-Length of any other. It has to
	// be known.
	DecodedLength int64
	// Trailer is x-amz-trailer, the one name that it may have: x-amz-checksum-crc32. "" where
	// the header did not come.
	Trailer string
	// Checksum computes what the trailer has to say, in base64. It is new, and required with a
	// Trailer.
	Checksum hash.Hash
	// MaxChunk bounds a signed chunk; 0 = DefaultMaxChunk.
	MaxChunk int
}

// Body reads the bytes that a client means, out of the form in which it sent them. Not safe for
// concurrent use.
type Body struct {
	from     source
	left     int64     // bytes that were not yielded
	sum      hash.Hash // nil where there is nothing to hash
	hash     string    // "" = none was signed
	checksum hash.Hash
	name     string // of the trailer
	value    string // of the trailer
	err      error  // what every Read returns from now on
}

// source yields decoded bytes and then checks how they end. trailer returns what stood there.
type source interface {
	read(p []byte) (int, error)
	end() (trailer string, err error)
	release()
}

// Body returns the reader of a body, for every form that x-amz-content-sha256 has. Call it only
// after Verify succeeded, and only when the request was allowed: it may read from r already.
//
// What it yields may be acted on as it comes, but for one thing: that all of it came is known
// only at the end. So the last bytes are yielded when everything was checked, and never of a body
// that is wrong:
//
//   - a hash: the body has it;
//   - [StreamingPayload]: no byte of a chunk is yielded before its signature was checked;
//   - [StreamingPayloadTrailer]: as that, and the trailer's signature and checksum;
//   - [StreamingUnsignedTrailer]: the trailer's checksum;
//   - [UnsignedPayload]: nothing but the length.
//
// A body of no bytes is checked here and now, as nobody has to read it.
//
// Content-Encoding: aws-chunked is about the STREAMING forms alone, and undone here: who passes the
// body on takes that word out of the header. It never reads r further than to its end, and
// does not close it.
//
// Errors: those of [Body.Read]; [countersign.Invalid] for a length that is not known, a trailer
// where the form has none, or none where it has one; [countersign.Internal] when the options lack
// the secret or the checksum.
// Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header",
// "Transferring Payload in Multiple Chunks" and "Including Trailing Headers"; RULES F4.
func (q *Request) Body(r io.Reader, o BodyOptions) (*Body, error) {
	if q == nil || q.signed == nil {
		return nil, badSignature(countersign.ReasonSignatureInvalid)
	}
	form := q.PayloadHash
	if form == "" && q.Presigned && PathAuto.resolve(q.Scope.Service) == PathObject {
		form = UnsignedPayload
	}
	if err := checkBodyOptions(form, o); err != nil {
		return nil, err
	}
	if r == nil {
		r = http.NoBody
	}
	b := &Body{left: o.DecodedLength}
	switch kindOfPayload(form) {
	case payloadHash:
		b.from, b.hash = &plainBody{r: r}, form
		if o.DecodedLength > 0 {
			b.sum = sha256.New()
		}
	case payloadUnsigned:
		b.from = &plainBody{r: r}
	case payloadStreaming:
		if q.Presigned && form != StreamingUnsignedTrailer {
			return nil, invalid(countersign.ReasonParameterInvalid, "a presigned request has no signed chunks")
		}
		b.name, b.checksum = strings.ToLower(o.Trailer), o.Checksum
		b.from = q.chunks(r, form, o)
	case payloadUnknown:
		return nil, invalid(countersign.ReasonParameterMissing, "x-amz-content-sha256 is missing")
	}
	if b.left == 0 {
		if err := b.finish(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// maxTrailerName bounds the name of a trailer.
const maxTrailerName = 64

func checkBodyOptions(form string, o BodyOptions) error {
	trailer := form == StreamingPayloadTrailer || form == StreamingUnsignedTrailer
	switch {
	case o.DecodedLength < 0:
		return invalid(countersign.ReasonParameterMissing, "the length of the body is not known")
	case !trailer && o.Trailer != "" && kindOfPayload(form) == payloadStreaming:
		return invalid(countersign.ReasonParameterInvalid, "the request declares a trailer, and its form has none")
	case trailer && o.Trailer == "":
		return invalid(countersign.ReasonParameterMissing, "x-amz-trailer is missing")
	case trailer && !validTrailer(o.Trailer):
		return invalid(countersign.ReasonParameterInvalid, "x-amz-trailer is not the name of one checksum")
	case trailer && o.Checksum == nil:
		return countersign.NewError(countersign.Internal, "", "read a body: no checksum for its trailer")
	case (form == StreamingPayload || form == StreamingPayloadTrailer) && o.Secret.IsZero():
		return countersign.NewError(countersign.Internal, "", "read a body: no secret for its chunks")
	}
	return nil
}

// validTrailer: one name, of a checksum. Which of them there are is for who makes the Checksum.
func validTrailer(name string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
	return ok && rest != "" && len(name) <= maxTrailerName && isPlain(rest, maxTrailerName)
}

// Read implements io.Reader. After an error it returns the same one for ever.
//
// Errors: io.EOF once everything was checked; [countersign.BadSignature] for a chunk or
// trailer that was not signed so; [countersign.BodyMismatch] for a body that is not the one of
// x-amz-content-sha256 (ReasonBodyMismatch) or of its trailer (ReasonChecksumMismatch);
// [countersign.Invalid] with ReasonBodyInvalid for framing that is wrong and a body that is too
// long or too short, with io.ErrUnexpectedEOF in the chain when it is too short;
// [countersign.TooLarge] for a signed chunk over MaxChunk; else what r returned, in the chain.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) < b.left {
		n, err := b.from.read(p)
		if err != nil {
			return 0, b.fail(err)
		}
		b.saw(p[:n])
		return n, nil
	}
	return b.last(p[:b.left])
}

// last reads all that is left. p has room for it, so it holds the bytes back by itself until
// they were checked: to use more of p than is returned is what a Reader may do.
func (b *Body) last(p []byte) (int, error) {
	for read := 0; read < len(p); {
		n, err := b.from.read(p[read:])
		if err != nil {
			clear(p)
			return 0, b.fail(err)
		}
		b.saw(p[read : read+n])
		read += n
	}
	if err := b.finish(); err != nil {
		clear(p)
		return 0, err
	}
	return len(p), io.EOF
}

func (b *Body) saw(p []byte) {
	b.left -= int64(len(p))
	if b.sum != nil {
		_, _ = b.sum.Write(p) // a hash never fails
	}
	if b.checksum != nil {
		_, _ = b.checksum.Write(p)
	}
}

// finish checks the end. The signature of a trailer comes before what it says.
func (b *Body) finish() error {
	value, err := b.from.end()
	if err != nil {
		return b.fail(err)
	}
	if b.hash != "" {
		sum := EmptyPayloadHash
		if b.sum != nil {
			sum = hex.EncodeToString(b.sum.Sum(nil))
		}
		if subtle.ConstantTimeCompare([]byte(sum), []byte(b.hash)) != 1 {
			return b.fail(countersign.NewError(countersign.BodyMismatch, countersign.ReasonBodyMismatch, "the body is not the one that was signed"))
		}
	}
	if b.checksum != nil {
		if value != base64.StdEncoding.EncodeToString(b.checksum.Sum(nil)) {
			return b.fail(countersign.NewError(countersign.BodyMismatch, countersign.ReasonChecksumMismatch,
				"the "+b.name+" that was sent is not that of the body"))
		}
		b.value = value
	}
	_ = b.fail(io.EOF)
	return nil
}

func (b *Body) fail(err error) error {
	b.from.release()
	b.err = err
	return err
}

// Trailer returns the value of the trailer by its name in lower case, once it was checked:
// before Read has returned the last bytes, and for any other name, it is "".
func (b *Body) Trailer(name string) string {
	if b.name == "" || name != b.name {
		return ""
	}
	return b.value
}

// plainBody is a body without framing.
type plainBody struct{ r io.Reader }

func (s *plainBody) read(p []byte) (int, error) { return readSome(s.r, p) }

func (s *plainBody) end() (string, error) { return "", expectEOF(s.r) }

func (*plainBody) release() {}

// maxEmptyReads is how often in a row a reader may return nothing at all.
const maxEmptyReads = 100

// readSome reads at least one byte.
func readSome(r io.Reader, p []byte) (int, error) {
	for range maxEmptyReads {
		n, err := r.Read(p)
		switch {
		case n < 0 || n > len(p):
			return 0, countersign.NewError(countersign.Internal, "", "read a body: its reader miscounts")
		case n > 0:
			return n, nil // the error comes again
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return 0, errTooShort
		case err != nil:
			return 0, fmt.Errorf("read a body: %w", err)
		}
	}
	return 0, fmt.Errorf("read a body: %w", io.ErrNoProgress)
}

func expectEOF(r io.Reader) error {
	var one [1]byte
	switch _, err := readSome(r, one[:]); {
	case err == nil:
		return malformedBody("the body is longer than it was said to be")
	case errors.Is(err, errTooShort):
		return nil
	default:
		return err
	}
}

var errTooShort = countersign.WrapError(countersign.Invalid, countersign.ReasonBodyInvalid,
	"the body is shorter than it was said to be", io.ErrUnexpectedEOF)

func malformedBody(msg string) error { return invalid(countersign.ReasonBodyInvalid, msg) }
