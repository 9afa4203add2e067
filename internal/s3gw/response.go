package s3gw

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// bufferBytes is what one stream to a client takes, beside the buffers of its two
// connections.
const bufferBytes = 64 << 10

// respond passes an answer on. Nothing is written before the first bytes of it are here: an
// origin that fails at once is an error, and not a broken answer. One that fails later breaks
// the connection: a client must never take half an object for a whole one.
func (e *exchange) respond(answer *s3api.Response) error {
	if answer.Body == nil {
		answer.Body = http.NoBody
	}
	defer func() { _ = answer.Body.Close() }() // it was read to its end, or is given up
	header := e.w.Header()
	passAnswer(header, answer.Header)
	e.hideTags(header)
	length := answer.ContentLength
	hasBody := e.r.Method != http.MethodHead && answer.Status != http.StatusNotModified && answer.Status != http.StatusNoContent
	if length >= 0 && answer.Status != http.StatusNotModified && answer.Status != http.StatusNoContent {
		header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	if !hasBody || length == 0 {
		e.start(answer.Status)
		return nil
	}
	if header["Content-Type"] == nil {
		header["Content-Type"] = []string{"binary/octet-stream"} // S3's; net/http would guess one, also text/html
	}
	room, _ := e.buffers.Get().(*[]byte)
	defer e.buffers.Put(room)
	return e.copy(answer, *room)
}

// start writes the header of the answer, and returns until when the client has to take it.
func (e *exchange) start(status int) time.Time {
	until := e.mayWrite(e.w)
	e.status = status
	e.w.WriteHeader(status)
	return until
}

// copy streams the body of an answer, giving the client a time for each piece of it.
func (e *exchange) copy(answer *s3api.Response, room []byte) error {
	control := http.NewResponseController(e.w)
	var total int64
	var until time.Time
	watch := e.watch()
	for {
		n, err := answer.Body.Read(room)
		gone := watch.again()
		if ended := e.ended.Load(); ended != nil {
			gone = *ended
		}
		if gone != nil {
			return fmt.Errorf("in the middle of the answer: %w", gone)
		}
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return errBroken(err)
		}
		if total += int64(n); answer.ContentLength >= 0 && (total > answer.ContentLength || ended && total < answer.ContentLength) {
			return errBroken(io.ErrUnexpectedEOF)
		}
		if e.status == 0 {
			until = e.start(answer.Status)
		}
		if n > 0 {
			if now := time.Now(); until.Sub(now) < e.cfg.WriteIdle*3/4 { // not a system call for each piece
				until = now.Add(e.cfg.WriteIdle)
				_ = control.SetWriteDeadline(until)
			}
			if _, err := e.w.Write(room[:n]); err != nil {
				return fmt.Errorf("write the answer: %w", err)
			}
			if answer.ContentLength < 0 {
				// It comes in pieces that keep the client waiting for the rest.
				_ = control.Flush()
			}
		}
		if ended {
			return nil
		}
	}
}

func errBroken(cause error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, "", fmt.Errorf("read the origin's answer: %w", cause))
}

// mayWrite gives the client its time to take an answer, whatever the upload before it took.
func (g *Gateway) mayWrite(w http.ResponseWriter) time.Time {
	until := time.Now().Add(g.cfg.WriteIdle)
	_ = http.NewResponseController(w).SetWriteDeadline(until) // not possible in tests alone
	return until
}
