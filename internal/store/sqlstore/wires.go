package sqlstore

import (
	"context"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// wires knows the network connections of a store, so that Close can cut them: a
// farewell to a server that hangs would take seconds for each. They are as many as the
// pools allow, and the listener's. Safe for concurrent use.
type wires struct {
	mu   sync.Mutex
	open map[*wire]struct{}
	cut  bool
}

// dialer returns dial, with what it opens known to w.
func (w *wires) dialer(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.cut {
			_ = conn.Close()
			return nil, net.ErrClosed
		}
		known := &wire{Conn: conn, of: w}
		w.open[known] = struct{}{}
		return known, nil
	}
}

// sever cuts every connection, and those to come.
func (w *wires) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.open {
		_ = c.Conn.Close() // nothing is on it that anybody waits for
	}
	clear(w.open)
}

type wire struct {
	net.Conn
	of *wires
}

// Close implements net.Conn. One that was cut is closed already.
func (c *wire) Close() error {
	c.of.mu.Lock()
	_, open := c.of.open[c]
	delete(c.of.open, c)
	c.of.mu.Unlock()
	if !open {
		return nil
	}
	return c.Conn.Close()
}
