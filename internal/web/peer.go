package web

import (
	"context"
	"net"
)

// peerKey finds the peer's user id (uint32) in a connection's context.
type peerKey struct{}

// ConnContext is for http.Server.ConnContext: it notes the user id of the process at
// the other end of a Unix socket, as the kernel knows it. [Serve] sets it.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if placed, ok := conn.(*placedConn); ok {
		conn = placed.Conn
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, ok := peerUID(unix)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, uid)
}

// PeerUID returns the user id of the process at the other end of a Unix socket; ok
// is false for a TCP connection. It is what makes the local administrator (RULES G1).
func PeerUID(ctx context.Context) (uid uint32, ok bool) {
	uid, ok = ctx.Value(peerKey{}).(uint32)
	return uid, ok
}
