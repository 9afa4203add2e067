package s3gw

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// bodyLength returns how long the decoded body is, which comes in a form of
// x-amz-content-sha256. S3 takes none whose length is not said beforehand.
//
// Errors: MissingContentLength, EntityTooLarge, InvalidRequest.
func (o *operation) bodyLength(r *http.Request, form string) (int64, error) {
	if o.body == noBody {
		if r.ContentLength != 0 {
			return 0, refuse(s3api.InvalidRequest, countersign.ReasonBodyInvalid, "This operation takes no body")
		}
		return 0, nil
	}
	length := r.ContentLength
	if strings.HasPrefix(form, "STREAMING-") {
		text := r.Header.Get("X-Amz-Decoded-Content-Length")
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
			n = -1
		}
		length = n
	}
	switch {
	case length < 0:
		return 0, refuse("MissingContentLength", countersign.ReasonParameterMissing, "You must provide the Content-Length HTTP header")
	case length > o.limit:
		return 0, refuse(s3api.EntityTooLarge, countersign.ReasonBodyTooLarge, "Your proposed upload exceeds the maximum allowed size")
	case length == 0 && o.body == document:
		return 0, refuse(s3api.MalformedXML, countersign.ReasonBodyInvalid, sayMalformed)
	}
	return length, nil
}

// openBody returns the reader of the decoded body, which fails before its last bytes when it
// is not what was signed. It must be called even where there is no body: that was signed too.
func (e *exchange) openBody() (signedBody, error) {
	control := http.NewResponseController(e.w)
	// Over HTTP/2 this one ends a stream that only reads, too; who writes sets it anew.
	_ = control.SetWriteDeadline(time.Time{})
	if e.target.operation.body == noBody {
		return nil, e.endBody(control)
	}
	e.r.Body = &idleReader{ReadCloser: e.r.Body, control: control, idle: e.cfg.ReadIdle, now: time.Now, watch: e.watch()}
	body, err := e.caller.proven.Body(e.r)
	if err != nil {
		return nil, fmt.Errorf("open the body: %w", err)
	}
	return body, nil
}

// endBody is openBody where there is none: its length is known to be 0, and who signed the
// request signed that.
func (e *exchange) endBody(control *http.ResponseController) error {
	_ = control.SetReadDeadline(time.Time{}) // as at the end of a body
	if e.caller.anonymous() {
		return nil
	}
	body, err := e.caller.proven.Body(e.r)
	if err != nil {
		return fmt.Errorf("open the body: %w", err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	return nil
}

// signedBody is a *sigv4.Body.
type signedBody interface {
	io.Reader
	Trailer(name string) string
}

// idleReader gives the client a time for each piece of its body, instead of one for all of
// it. When the body ends it takes the deadline away: the server goes on to read then, to see
// the client leave, and would take a deadline for that.
type idleReader struct {
	io.ReadCloser
	control *http.ResponseController
	idle    time.Duration
	until   time.Time
	now     func() time.Time
	// waited is how long the client was waited for, and came how many bytes came meanwhile.
	waited time.Duration
	came   int64
	watch  *watch
}

// A client that sends a byte now and then would hold its place for ever: beside patience, or one
// pause that it may make, it is waited for as long as what it sent takes at minRate. How long the origin took is not counted.
const (
	minRate  = 1 << 10 // bytes a second
	patience = time.Minute
)

// tooSlow counts what a read took and brought.
func (b *idleReader) tooSlow(took time.Duration, n int) bool {
	b.waited, b.came = b.waited+took, b.came+int64(n)
	return b.waited > max(patience, b.idle)+time.Duration(b.came/minRate)*time.Second
}

// Read implements io.Reader. The end of a body counts only for who may still send it: the
// last bytes are held back until it was seen.
func (b *idleReader) Read(p []byte) (int, error) {
	begun := b.now()
	if b.until.Sub(begun) < b.idle*3/4 { // not a system call for each piece
		b.until = begun.Add(b.idle)
		_ = b.control.SetReadDeadline(b.until) // not possible in tests alone
	}
	n, err := b.ReadCloser.Read(p)
	now := b.now()
	if b.tooSlow(now.Sub(begun), n) && err == nil {
		_ = b.control.SetReadDeadline(now) // nobody waits for the rest of it either
		return 0, bodyError(os.ErrDeadlineExceeded)
	}
	if ended := b.watch.again(); ended != nil {
		b.watch.e.ended.Store(&ended)
		return 0, ended
	}
	if err != nil {
		if b.until = (time.Time{}); errors.Is(err, io.EOF) {
			_ = b.control.SetReadDeadline(time.Time{})
		}
		err = bodyError(err)
	}
	return n, err //nolint:wrapcheck // a reader's errors are as they are
}

// bodyError gives words to what happens to a body on its way to us.
func bodyError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(s3api.RequestTimeout, countersign.ReasonBodyInvalid,
			"Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.")
	}
	return countersign.WrapError(countersign.Invalid, countersign.ReasonBodyInvalid, "You did not provide the number of bytes specified by the Content-Length HTTP header", err)
}

// documentRoom is what a document takes before a byte of it has come.
const documentRoom = 16 << 10

// readDocument reads a whole body of XML and checks it. Its length is bounded already.
//
// Errors: MalformedXML, BadDigest, InvalidDigest; those of the body.
func (e *exchange) readDocument() ([]byte, error) {
	o := e.target.operation
	body, err := e.openBody()
	if err != nil {
		return nil, err
	}
	text := bytes.NewBuffer(make([]byte, 0, min(e.length, documentRoom)+bytes.MinRead)) // it grows with what comes
	if _, err := text.ReadFrom(io.LimitReader(body, o.limit+1)); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if o.name != s3api.CompleteMultipartUpload { // there they are of the object
		digests, err := s3api.ParseDigests(e.header)
		if err != nil {
			return nil, fmt.Errorf("read the checksums: %w", err)
		}
		_, _ = digests.Write(text.Bytes())
		if err := digests.Check(); err != nil {
			return nil, fmt.Errorf("check the body: %w", err)
		}
	}
	if text.Len() == 0 && o.body == optionalDocument {
		return nil, nil
	}
	return text.Bytes(), checkDocument(text.Bytes(), o.root)
}
