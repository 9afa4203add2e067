package web

import (
	"net"
	"sync"
)

// limitedListener accepts a connection only when one of its places is free. A place is
// given back when the connection closes, once.
type limitedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func limitConnections(listener net.Listener, most int) net.Listener {
	return &limitedListener{Listener: listener, places: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err //nolint:wrapcheck // net/http tells its errors apart by type
	}
	return &placedConn{Conn: conn, leave: func() { <-l.places }}, nil
}

// Close implements net.Listener: it also ends an Accept that waits for a place.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close() //nolint:wrapcheck // as Accept
}

// placedConn is a connection that holds a place.
type placedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (c *placedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err //nolint:wrapcheck // as Accept
}
