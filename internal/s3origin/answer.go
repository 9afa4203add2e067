package s3origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// maxSilent is what is read of a body that says nothing, so that the connection can be
// used again.
const maxSilent = 16 << 10

var (
	errUnread  = errors.New("the store answered before it had the whole body")
	errEndless = errors.New("the end of the answer can't be told")
	errStalled = errors.New("the store stopped in the middle of its answer")
)

// hidden are headers that are about one hop, or about the store and not about the object.
var hidden = []string{
	"Alt-Svc", "Connection", "Date", "Keep-Alive", "Location", "Proxy-Authenticate", "Server", "Set-Cookie", "Strict-Transport-Security", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Www-Authenticate", "X-Amz-Access-Point-Alias", "X-Amz-Bucket-Region", "X-Amz-Id-2", "X-Amz-Request-Id",
}

// answer turns a success of the store into one of ours.
func (o *Origin) answer(c *call, e *exchange) (*s3api.Response, error) {
	if c.payload.from != nil && !c.payload.from.done.Load() {
		e.end()
		if failure := c.payload.from.failure(); failure != nil {
			return nil, failure
		}
		return nil, reply(errUnread)
	}
	resp := &s3api.Response{Status: e.StatusCode, Header: e.Header, ContentLength: e.ContentLength}
	for _, name := range hidden {
		delete(resp.Header, name)
	}
	if codings := resp.Header["Content-Encoding"]; codings != nil {
		// Some stores keep what was about the request's framing.
		if coding := s3api.WithoutChunked(codings...); coding == "" {
			delete(resp.Header, "Content-Encoding")
		} else {
			resp.Header["Content-Encoding"] = []string{coding}
		}
	}
	switch {
	case c.op.silent || e.StatusCode == http.StatusNoContent || e.StatusCode == http.StatusNotModified:
		_, _ = io.CopyN(io.Discard, e.Body, maxSilent)
		e.end()
		if c.op.method != http.MethodHead {
			resp.ContentLength = 0
			delete(resp.Header, "Content-Length")
		}
		return resp, nil
	case c.op.answer != nil:
		text, err := o.rewrite(c, e)
		e.end()
		if err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = text, int64(text.Len())
		resp.Header["Content-Length"] = []string{strconv.Itoa(text.Len())}
		return resp, nil
	case e.ContentLength < 0 && len(e.TransferEncoding) == 0:
		// It would end with the connection, and whether that broke nobody knows.
		e.end()
		return nil, reply(errEndless)
	}
	resp.Body = newStream(e, o.stallTimeout)
	return resp, nil
}

// end gives the connection back, or closes it where the answer was not read to its end.
func (e *exchange) end() {
	_ = e.Body.Close()
	e.cancel(nil)
}

func reply(cause error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, "the origin does not answer as it should", cause)
}

// stream is the body of an answer on its way to the client.
type stream struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

func newStream(e *exchange, after time.Duration) *stream {
	s := &stream{body: e.Body, cancel: e.cancel, after: after}
	s.timer = time.AfterFunc(after, func() { e.cancel(errStalled) })
	s.timer.Stop()
	return s
}

// Read implements io.Reader. It fails where the store breaks off: net/http knows the length,
// or the chunk that ends.
func (s *stream) Read(p []byte) (int, error) {
	s.timer.Reset(s.after)
	n, err := s.body.Read(p)
	s.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "the origin broke off", err)
	}
	return n, err
}

// Close implements io.Closer.
func (s *stream) Close() error {
	s.timer.Stop()
	err := s.body.Close()
	s.cancel(nil)
	return err
}
