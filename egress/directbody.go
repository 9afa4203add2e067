package egress

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// directUse is the use of a connection by one request, and the body of its answer. Read is
// for one goroutine; Close may be called meanwhile by another.
type directUse struct {
	conn *directConn
	pool *idleConns
	ctx  context.Context //nolint:containedctx // of the request: its end is the body's
	stop func() bool     // ends the watch over ctx
	body io.Reader
	keep bool
	err  error // what Read goes on to return
	over atomic.Bool
}

// Read implements io.Reader. The connection is kept when the answer was read to its end.
func (u *directUse) Read(p []byte) (int, error) {
	switch {
	case u.err != nil:
		return 0, u.err
	case u.over.Load():
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := u.body.Read(p)
	if err != nil {
		u.end(u.keep && errors.Is(err, io.EOF))
		u.err = u.reason(err)
	}
	return n, u.err
}

// Close implements io.Closer. An answer that was not read to its end takes its connection
// with it.
func (u *directUse) Close() error {
	u.end(false)
	return nil
}

// end is where the connection leaves the request, once.
func (u *directUse) end(keep bool) {
	if !u.over.CompareAndSwap(false, true) {
		return
	}
	if u.stop() && keep && u.conn.in.Buffered() == 0 { // what comes behind an answer is nobody's
		u.pool.put(u.conn)
		return
	}
	_ = u.conn.Close()
}

// reason: a connection that was closed because the request is over says less than why.
func (u *directUse) reason(err error) error {
	if u.ctx.Err() != nil && !errors.Is(err, io.EOF) {
		return context.Cause(u.ctx)
	}
	return err
}
