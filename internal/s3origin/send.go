package s3origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

var errSlow = errors.New("the store did not answer in time")

// exchange is an answer of the store, and what ends it.
type exchange struct {
	*http.Response
	cancel context.CancelCauseFunc
}

// send signs and sends a request. It does so a second time only where the store did not
// take our credentials, there are other ones, and no byte of a body was read.
func (o *Origin) send(ctx context.Context, c *call) (*exchange, error) {
	for again := false; ; again = true {
		credentials, err := o.credentials.Get(ctx)
		if err != nil {
			return nil, fmt.Errorf("get the origin's credentials: %w", err)
		}
		resp, err := o.exchange(ctx, c, func(ctx context.Context) (*http.Request, error) {
			return o.sign(ctx, c, credentials)
		})
		if err == nil {
			return resp, nil
		}
		if !errors.Is(err, errCredentials) {
			return nil, err
		}
		o.credentials.Refused(credentials)
		if again || c.payload.from != nil && c.payload.small == nil && c.payload.from.begun.Load() {
			return nil, err
		}
		fresh, failed := o.credentials.Get(ctx)
		if failed != nil || fresh.AccessKeyID == credentials.AccessKeyID && fresh.SecretAccessKey.Equal(credentials.SecretAccessKey) {
			return nil, err
		}
	}
}

// exchange sends one request. An answer that is a refusal comes back as an error.
func (o *Origin) exchange(ctx context.Context, c *call, sign func(context.Context) (*http.Request, error)) (*exchange, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := sign(ctx)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	var timer *time.Timer
	if !c.op.slow && c.payload.from == nil {
		timer = time.AfterFunc(o.headerTimeout, func() { cancel(errSlow) })
	}
	resp, err := o.transport.RoundTrip(request) //nolint:bodyclose // by refusal, or by who gets the exchange
	if timer != nil {
		timer.Stop()
	}
	if err != nil {
		defer cancel(nil)
		return nil, unreached(ctx, c, err)
	}
	if err := c.refusal(resp); err != nil {
		cancel(nil)
		return nil, err
	}
	return &exchange{resp, cancel}, nil
}

// unreached says why there is no answer. What is wrong with the client's body comes first:
// it is what broke the request.
func unreached(ctx context.Context, c *call, err error) error {
	if failure := c.payload.from.failure(); failure != nil {
		return failure
	}
	cause := context.Cause(ctx)
	if cause == nil {
		cause = egress.WithoutURL(err)
	}
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "the origin can't be reached now", cause)
}
