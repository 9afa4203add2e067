package sigv4

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
)

const (
	// defaultChunk is what AWS's SDKs sign.
	defaultChunk = 64 << 10
	// minChunk is what S3 takes at least of any chunk but the last.
	minChunk = 8 << 10
)

// EncodeOptions say how a body is written as aws-chunked.
type EncodeOptions struct {
	// Form is [StreamingPayload], [StreamingPayloadTrailer] or [StreamingUnsignedTrailer]: what
	// x-amz-content-sha256 says.
	Form string
	// Length is how many bytes the body has.
	Length int64
	// ChunkSize is the size of all chunks but the last, at least 8 KiB; 0 = 64 KiB. Signed chunks
	// are held in memory.
	ChunkSize int
	// Secret is the one that the request was signed with; for the signed forms.
	Secret countersign.Secret
	// Trailer is the name of a checksum, as in x-amz-trailer, for the forms that have one.
	// TrailerLength is how long its value will be, and TrailerValue returns it once the body
	// was read to its end.
	Trailer       string
	TrailerLength int
	TrailerValue  func() string
}

func (o *EncodeOptions) check() error {
	if o.ChunkSize == 0 {
		o.ChunkSize = defaultChunk
	}
	trailer := o.Form == StreamingPayloadTrailer || o.Form == StreamingUnsignedTrailer
	switch {
	case kindOfPayload(o.Form) != payloadStreaming:
		return invalid(countersign.ReasonParameterInvalid, "the form is not one of chunks")
	case o.Length < 0 || o.ChunkSize < minChunk:
		return invalid(countersign.ReasonParameterInvalid, "the length of a body or of its chunks is too small")
	case trailer != (o.Trailer != "") || trailer && (!validTrailer(o.Trailer) || o.TrailerLength <= 0):
		return invalid(countersign.ReasonParameterInvalid, "the trailer is not a checksum with a length")
	}
	return nil
}

// EncodedLength returns how long the body is as it is sent: the Content-Length to sign.
//
// Errors: [countersign.Invalid].
func EncodedLength(o EncodeOptions) (int64, error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	extension := int64(0)
	if o.Form != StreamingUnsignedTrailer {
		extension = int64(len(chunkExtension) + signatureDigits)
	}
	line := func(size int64) int64 { return int64(len(strconv.FormatInt(size, 16))) + extension + 2 }
	size := int64(o.ChunkSize)
	length := o.Length/size*(line(size)+size+2) + line(0) + 2
	if rest := o.Length % size; rest > 0 {
		length += line(rest) + rest + 2
	}
	if o.Trailer != "" {
		length += int64(len(o.Trailer) + 1 + o.TrailerLength + 2)
	}
	if o.Form == StreamingPayloadTrailer {
		length += int64(len(trailerSignature) + 1 + signatureDigits + 2)
	}
	return length, nil
}

// EncodeBody returns body as aws-chunked, for r as [Sign] signed it: with x-amz-content-sha256,
// x-amz-decoded-content-length and x-amz-trailer. A body of another length is an error of Read.
// The result is not safe for concurrent use.
//
// Errors: [countersign.Invalid]; of Read: Invalid, and what body returns.
// Source: Amazon S3 API reference, "Transferring Payload in Multiple Chunks", "Including Trailing
// Headers".
func EncodeBody(r *http.Request, body io.Reader, o EncodeOptions) (io.Reader, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Trailer != "" && o.TrailerValue == nil {
		return nil, invalid(countersign.ReasonParameterMissing, "a trailer needs a value")
	}
	if body == nil {
		body = http.NoBody
	}
	e := &encoder{body: body, o: o, left: o.Length}
	if o.Form == StreamingUnsignedTrailer {
		return e, nil
	}
	q, err := Parse(r, ParseOptions{AllowRepeatedKeys: true})
	if err != nil {
		return nil, err
	}
	if q.Presigned || q.PayloadHash != o.Form || o.Secret.IsZero() {
		return nil, invalid(countersign.ReasonParameterInvalid, "the request is not signed for this form of body")
	}
	e.signer = newChunkSigner(signingKey(o.Secret, q.Scope), q.Scope, q.signed.date, q.signed.signature)
	return e, nil
}

// encoder writes lines from a buffer, and the bytes of unsigned chunks as they come.
type encoder struct {
	body   io.Reader
	o      EncodeOptions
	signer *chunkSigner
	left   int64 // bytes of the body that no chunk has
	chunk  int64 // bytes of an unsigned chunk that were not written
	room   []byte
	ready  []byte // in room: to be written next
	ended  bool
	err    error
}

// Read implements io.Reader.
func (e *encoder) Read(p []byte) (int, error) {
	for n := 0; ; {
		if e.err != nil {
			return n, e.err
		}
		if n == len(p) {
			return n, nil
		}
		switch {
		case len(e.ready) > 0:
			copied := copy(p[n:], e.ready)
			e.ready = e.ready[copied:]
			n += copied
		case e.chunk > 0:
			read, err := readSome(e.body, p[n:n+int(min(int64(len(p)-n), e.chunk))])
			e.chunk -= int64(read)
			e.err = err
			if e.chunk == 0 {
				e.ready = append(e.room[:0], "\r\n"...)
			}
			if n += read; e.chunk > 0 {
				return n, e.err // more may be long in coming
			}
		case e.ended:
			e.err = io.EOF
		default:
			e.next()
		}
	}
}

// next makes the next line, and with it a signed chunk.
func (e *encoder) next() {
	size := min(e.left, int64(e.o.ChunkSize))
	if size == 0 {
		e.last()
		return
	}
	e.left -= size
	out := strconv.AppendInt(e.room[:0], size, 16)
	if e.signer == nil {
		e.room = append(out, "\r\n"...)
		e.ready, e.chunk = e.room, size
		return
	}
	// The data goes behind the room for its line, which is as long for every chunk of a size.
	head := len(out) + len(chunkExtension) + signatureDigits + 2
	if need := head + int(size) + 2; cap(out) < need {
		grown := make([]byte, len(out), need+maxChunkLine)
		copy(grown, out)
		out = grown
	}
	data := out[head : head+int(size)]
	if _, err := io.ReadFull(e.body, data); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTooShort
		}
		e.err = err
		return
	}
	out = append(append(out, chunkExtension...), e.signer.chunk(data)...)
	out = append(out, "\r\n"...)
	e.room = append(out[:head+len(data)], "\r\n"...)
	e.ready = e.room
}

// last makes the chunk of size 0 and the trailer.
func (e *encoder) last() {
	if e.err = expectEOF(e.body); e.err != nil {
		return
	}
	out := append(e.room[:0], '0')
	if e.signer != nil {
		out = append(append(out, chunkExtension...), e.signer.chunk(nil)...)
	}
	out = append(out, "\r\n"...)
	if name := strings.ToLower(e.o.Trailer); name != "" {
		value := e.o.TrailerValue()
		if len(value) != e.o.TrailerLength || !isChecksum(value) {
			e.err = invalid(countersign.ReasonParameterInvalid, "the value of the trailer is not one of a checksum")
			return
		}
		out = append(append(append(append(out, name...), ':'), value...), "\r\n"...)
		if e.signer != nil {
			out = append(append(append(out, trailerSignature...), ':'), e.signer.ofTrailer(name, value)...)
			out = append(out, "\r\n"...)
		}
	}
	e.room = append(out, "\r\n"...)
	e.ready, e.ended = e.room, true
}
