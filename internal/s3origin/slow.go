package s3origin

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// patience is how long the answer to a copy, or to the end of an upload, is waited for before
// the client is told that it will come, and how often it is told so again: clients give up a
// silent connection after a minute.
//
// Source: Amazon S3 API reference, CompleteMultipartUpload: "Amazon S3 periodically sends
// white space characters to keep the connection from timing out".
const patience = 15 * time.Second

// doSlow carries out what the store may work on for minutes. An answer that takes long
// begins before it is known, as S3's does: with status 200, and what went wrong in a document.
func (o *Origin) doSlow(ctx context.Context, c *call) (*s3api.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &waiting{cancel: cancel, every: o.patience, done: make(chan struct{})}
	w.running.Go(func() {
		defer close(w.done)
		w.resp, w.err = o.do(ctx, c)
	})
	timer := time.NewTimer(o.patience)
	defer timer.Stop()
	select {
	case <-w.done:
		cancel()
		return w.resp, w.err
	case <-timer.C:
		return &s3api.Response{
			Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}}, Body: w, ContentLength: -1,
		}, nil
	}
}

// waiting is the body of an answer that has begun: white space, until there is a document.
type waiting struct {
	cancel  context.CancelFunc
	every   time.Duration
	running sync.WaitGroup
	done    chan struct{}
	// resp and err are set before done is closed.
	resp *s3api.Response
	err  error

	begun bool
	rest  io.Reader // nil = not known yet
}

// Read implements io.Reader. What it returns is to be sent at once.
func (w *waiting) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case w.rest != nil:
		return w.rest.Read(p)
	case !w.begun && len(p) >= len(xml.Header):
		w.begun = true
		return copy(p, xml.Header), nil
	}
	timer := time.NewTimer(w.every)
	defer timer.Stop()
	select {
	case <-timer.C:
		p[0] = ' '
		return 1, nil
	case <-w.done:
		w.rest = w.document()
		return w.rest.Read(p)
	}
}

// document is the end of the answer, without what it began with.
func (w *waiting) document() io.Reader {
	if w.err == nil {
		text, err := io.ReadAll(w.resp.Body) // it is in memory
		if err == nil {
			return bytes.NewReader(bytes.TrimPrefix(text, []byte(xml.Header)))
		}
		w.err = err
	}
	failed := struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: s3api.InternalError, Message: "the origin does not answer as it should"}
	if e, ok := errors.AsType[*s3api.Error](w.err); ok {
		failed.Code, failed.Message = e.Code, e.Message
	}
	text, err := xml.Marshal(&failed)
	if err != nil {
		return bytes.NewReader(nil)
	}
	return bytes.NewReader(text)
}

// Close implements io.Closer. It ends the request that runs, and waits for it.
func (w *waiting) Close() error {
	w.cancel()
	w.running.Wait()
	return nil
}
