package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"sync"

	"github.com/countersign/countersign"
)

const (
	chunkExtension   = ";chunk-signature="
	trailerSignature = "x-amz-trailer-signature"
	signatureDigits  = sha256.Size * 2
	maxSizeDigits    = 16

	maxChunkLine   = maxSizeDigits + len(chunkExtension) + signatureDigits + 2
	maxTrailerLine = maxTrailerName + 1 + 128 + 2 // SHA-512 has 88 digits of base64

	// unsignedBuffer holds the lines between chunks, and what is read along with one.
	unsignedBuffer = 4 << 10
	// signedBuffer has room for a chunk of 64 KiB, and the lines around it.
	signedBuffer = 64<<10 + 1<<10
	// maxPooled is the largest buffer that is kept for the next body: of a chunk of 128 KiB.
	maxPooled = 2 * signedBuffer
)

// chunkedBody reads aws-chunked: SIZE[;chunk-signature=SIGNATURE] and DATA as lines, the last of
// size 0; then the trailers, then an empty line. It takes what the SDKs send and nothing else.
//
// Source: Amazon S3 API reference, "Transferring Payload in Multiple Chunks", "Including Trailing
// Headers".
type chunkedBody struct {
	r           io.Reader
	buffer      []byte
	start, stop int // what was read and not used: buffer[start:stop]

	signer   *chunkSigner // nil where chunks are not signed
	trailer  string       // the declared one, "" = none
	maxChunk int64
	rest     int64 // decoded bytes that no chunk has announced yet
	chunk    int64 // bytes of this chunk that were not yielded
	open     bool  // the line end behind this chunk was not read
}

// buffers are used again. One goes back only by the hand of who reads the body: whoever else may
// think that a body is done with, a goroutine that still reads it would write into the next one's.
var buffers = sync.Pool{New: func() any { b := make([]byte, signedBuffer); return &b }}

func (q *Request) chunks(r io.Reader, form string, o BodyOptions) *chunkedBody {
	c := &chunkedBody{r: r, trailer: strings.ToLower(o.Trailer), maxChunk: int64(o.MaxChunk), rest: o.DecodedLength}
	if c.maxChunk <= 0 {
		c.maxChunk = DefaultMaxChunk
	}
	if form == StreamingUnsignedTrailer {
		c.buffer = make([]byte, unsignedBuffer)
		return c
	}
	c.signer = newChunkSigner(signingKey(o.Secret, q.Scope), q.Scope, q.signed.date, q.signed.signature)
	c.buffer = *buffers.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in there
	return c
}

func (c *chunkedBody) release() {
	if b := c.buffer; c.signer != nil && len(b) >= signedBuffer && len(b) <= maxPooled {
		buffers.Put(&b)
	}
	c.buffer, c.start, c.stop = nil, 0, 0
}

// read yields bytes of the current chunk, or of the next one.
func (c *chunkedBody) read(p []byte) (int, error) {
	if c.chunk == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.chunk == 0 { // the last chunk, and not all bytes have come
			return 0, errTooShort
		}
	}
	p = p[:min(int64(len(p)), c.chunk)]
	n := copy(p, c.buffer[c.start:c.stop])
	c.start += n
	if n == 0 { // a signed chunk is in the buffer to its end
		var err error
		if n, err = readSome(c.r, p); err != nil {
			return 0, err
		}
	}
	c.chunk -= int64(n)
	return n, nil
}

// next reads the line before a chunk. A signed one it reads and checks in full.
func (c *chunkedBody) next() error {
	if err := c.lineEnd(); err != nil {
		return err
	}
	line, err := c.line(maxChunkLine)
	if err != nil {
		return err
	}
	size, signature, ok := parseChunkLine(line, c.signer != nil)
	switch {
	case !ok:
		return malformedBody("the line before a chunk is malformed")
	case size > c.rest:
		return malformedBody("the chunks are longer than x-amz-decoded-content-length")
	case c.signer == nil:
		c.rest, c.chunk, c.open = c.rest-size, size, size > 0
		return nil
	case size > c.maxChunk:
		return countersign.NewError(countersign.TooLarge, countersign.ReasonBodyTooLarge, "a signed chunk is too large")
	}
	var want [signatureDigits]byte
	copy(want[:], signature) // the line is overwritten
	if err := c.fill(int(size)); err != nil {
		return err
	}
	if !c.signer.verify(c.buffer[c.start:c.start+int(size)], want[:]) {
		return badSignature(countersign.ReasonSignatureInvalid)
	}
	c.rest, c.chunk, c.open = c.rest-size, size, size > 0
	return nil
}

// lineEnd reads what is behind the data of a chunk.
func (c *chunkedBody) lineEnd() error {
	if !c.open {
		return nil
	}
	c.open = false
	return c.emptyLine()
}

func (c *chunkedBody) emptyLine() error {
	if err := c.fill(2); err != nil {
		return err
	}
	if c.buffer[c.start] != '\r' || c.buffer[c.start+1] != '\n' {
		return malformedBody("a chunk does not end where it should")
	}
	c.start += 2
	return nil
}

// end reads the last chunk and what follows it.
func (c *chunkedBody) end() (trailer string, err error) {
	if err := c.next(); err != nil { // no more bytes may come: it has size 0
		return "", err
	}
	if c.trailer != "" {
		if trailer, err = c.readTrailer(); err != nil {
			return "", err
		}
	}
	if err := c.emptyLine(); err != nil {
		return "", err
	}
	if c.start < c.stop {
		return "", malformedBody("something follows the last chunk")
	}
	return trailer, expectEOF(c.r)
}

// readTrailer reads the declared trailer and its signature.
func (c *chunkedBody) readTrailer() (string, error) {
	line, err := c.line(maxTrailerLine)
	if err != nil {
		return "", err
	}
	name, value, _ := strings.Cut(string(line), ":")
	// MinIO's own client ends this one line with \n, and an empty line follows.
	value, bare := strings.CutSuffix(value, "\n")
	if strings.ToLower(name) != c.trailer || !isChecksum(value) || bare && c.signer == nil {
		return "", malformedBody("the trailer is not the one that was declared")
	}
	if c.signer == nil {
		return value, nil
	}
	if bare {
		if err := c.emptyLine(); err != nil {
			return "", err
		}
	}
	if line, err = c.line(maxTrailerLine); err != nil {
		return "", err
	}
	name, signature, _ := strings.Cut(string(line), ":")
	if strings.ToLower(name) != trailerSignature || !isLowerHex(signature, signatureDigits) {
		return "", malformedBody("the signature of the trailer is missing")
	}
	if !c.signer.verifyTrailer(c.trailer, value, []byte(signature)) {
		return "", badSignature(countersign.ReasonSignatureInvalid)
	}
	return value, nil
}

// isChecksum: base64, of which there is some.
func isChecksum(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return text != ""
}

// parseChunkLine reads SIZE or SIZE;chunk-signature=SIGNATURE.
func parseChunkLine(line []byte, signed bool) (size int64, signature []byte, ok bool) {
	digits := 0
	for digits < len(line) && digits < maxSizeDigits {
		value := hexValue[line[digits]]
		if value == 0 {
			break
		}
		if size > (1<<63-1)>>4 {
			return 0, nil, false
		}
		size = size<<4 | int64(value-1)
		digits++
	}
	rest := line[digits:]
	if digits == 0 || !signed {
		return size, nil, digits > 0 && len(rest) == 0
	}
	signature, ok = bytes.CutPrefix(rest, []byte(chunkExtension))
	return size, signature, ok && isLowerHex(signature, signatureDigits)
}

// line returns the next line without its end. It lies in the buffer until the next read. A line
// that ends with \n alone keeps that.
func (c *chunkedBody) line(limit int) ([]byte, error) {
	for looked := 0; ; {
		have := c.buffer[c.start:min(c.stop, c.start+limit)]
		if at := bytes.IndexByte(have[looked:], '\n'); at >= 0 {
			line := have[:looked+at+1]
			c.start += len(line)
			return bytes.TrimSuffix(line, []byte("\r\n")), nil
		}
		if looked = len(have); looked >= limit {
			return nil, malformedBody("a line between chunks is too long")
		}
		if err := c.fill(looked + 1); err != nil {
			return nil, err
		}
	}
}

// fill reads until at least so many bytes are in the buffer. It grows with what has come, not
// with what was announced.
func (c *chunkedBody) fill(need int) error {
	for c.stop-c.start < need {
		if c.start > 0 && (c.start == c.stop || c.stop == len(c.buffer)) {
			c.stop = copy(c.buffer, c.buffer[c.start:c.stop])
			c.start = 0
		}
		if c.stop == len(c.buffer) {
			grown := make([]byte, max(min(2*len(c.buffer), need+maxChunkLine), len(c.buffer)+1))
			copy(grown, c.buffer)
			c.buffer = grown
		}
		n, err := readSome(c.r, c.buffer[c.stop:])
		if err != nil {
			return err
		}
		c.stop += n
	}
	return nil
}

// chunkSigner makes the chain of signatures: each is over the one before it, and the first over
// that of the request.
type chunkSigner struct {
	key      [sha256.Size]byte
	about    string // date and scope
	previous [signatureDigits]byte
}

func newChunkSigner(key [sha256.Size]byte, scope Scope, date string, seed [sha256.Size]byte) *chunkSigner {
	s := &chunkSigner{key: key, about: date + "\n" + scope.String() + "\n"}
	hex.Encode(s.previous[:], seed[:])
	return s
}

// chunk returns the signature of a chunk's data and moves on to it.
//
// Source: Amazon S3 API reference, "Transferring Payload in Multiple Chunks", "Defining the Chunk
// Body".
func (s *chunkSigner) chunk(data []byte) []byte {
	return s.sign("AWS4-HMAC-SHA256-PAYLOAD\n", EmptyPayloadHash+"\n", sha256.Sum256(data))
}

// ofTrailer returns the signature of a trailer.
//
// Source: Amazon S3 API reference, "Including Trailing Headers".
func (s *chunkSigner) ofTrailer(name, value string) []byte {
	return s.sign("AWS4-HMAC-SHA256-TRAILER\n", "", sha256.Sum256([]byte(name+":"+value+"\n")))
}

func (s *chunkSigner) sign(kind, between string, sum [sha256.Size]byte) []byte {
	var room [512]byte
	text := append(append(room[:0], kind...), s.about...)
	text = append(append(append(text, s.previous[:]...), '\n'), between...)
	text = hex.AppendEncode(text, sum[:])
	made := mac(s.key[:], text)
	hex.Encode(s.previous[:], made[:])
	return s.previous[:]
}

func (s *chunkSigner) verify(data, signature []byte) bool {
	return hmac.Equal(s.chunk(data), signature)
}

func (s *chunkSigner) verifyTrailer(name, value string, signature []byte) bool {
	return hmac.Equal(s.ofTrailer(name, value), signature)
}
