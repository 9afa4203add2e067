package web

import (
	"context"
	"net/netip"
)

// callKey finds the call in a context; there is one value of it.
type callKey struct{}

// call is what Wrap knows about one request: the context node and the response writer
// in one piece, so that a request costs one allocation.
type call struct {
	context.Context
	id       string
	addr     netip.Addr
	placed   bool // has a place of its address's share
	idHeader [1]string
	writer   responseWriter
}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// RequestID returns the id of the request: 36 characters, "" outside of one.
func RequestID(ctx context.Context) string {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.id
	}
	return ""
}

// ClientAddr returns the address of the client as far as proxies are trusted;
// invalid on a Unix socket and outside of a request.
func ClientAddr(ctx context.Context) netip.Addr {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.addr
	}
	return netip.Addr{}
}
