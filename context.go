package countersign

import "context"

// callerKey finds the caller in a context; there is one value of it.
type callerKey struct{}

// Caller is a context that carries who is calling. One node holds both the principal
// and the user's token. It is for packages that verify callers: they embed a Caller
// in a node of their own, so that a request costs one allocation, and make one with
// [NewCaller]. Everybody else uses [NewContext] and [FromContext]. Never change one
// after it was handed out.
type Caller struct {
	context.Context
	principal *Principal
	userToken Secret
}

// NewCaller returns the node that [NewContext] returns a pointer to.
func NewCaller(ctx context.Context, p *Principal, userToken Secret) Caller {
	return Caller{Context: ctx, principal: p, userToken: userToken}
}

// Value implements context.Context.
func (c *Caller) Value(key any) any {
	if _, ok := key.(callerKey); ok {
		return c
	}
	return c.Context.Value(key)
}

var nobody Principal

// NewContext returns a context that carries p and, where the caller came with a
// user's token, that token for forwarding (the zero Secret = none). Package
// middleware calls it; handlers only ask [FromContext].
func NewContext(ctx context.Context, p *Principal, userToken Secret) context.Context {
	c := NewCaller(ctx, p, userToken)
	return &c
}

// FromContext returns who is calling. It is never nil: without a verified caller
// it is a Principal for which IsZero is true. Do not change what it points to.
func FromContext(ctx context.Context) *Principal {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok && c.principal != nil {
		return c.principal
	}
	return &nobody
}

// WithUserToken returns a context whose outgoing calls (package transport) carry
// the user's token. The token is not looked at here. "" removes it: what follows
// is the service's own doing, not the user's.
func WithUserToken(ctx context.Context, token string) context.Context {
	return NewContext(ctx, FromContext(ctx), NewSecret(token))
}

// UserToken returns the user's token that outgoing calls carry; the zero Secret
// when there is none.
func UserToken(ctx context.Context) Secret {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c.userToken
	}
	return Secret{}
}
