package countersign

import (
	"context"
	"time"
)

// Decision is what a receiver decided about one call.
type Decision struct {
	// Time of the decision.
	Time time.Time
	// ID is the request id that a denied caller is told; "" for an allowed call.
	ID string
	// Allowed is the verdict and Reason why ([ReasonOK] when allowed).
	Allowed bool
	Reason  Reason
	// Caller is who was calling as far as it was verified; nil = nobody.
	Caller *Principal
	// Target is the receiving service: the audience that its verifier expects.
	Target string
	// Method and Route say what was called. Route is the pattern without its method, not the path, so
	// that it is bounded and holds nothing personal.
	Method, Route string
	// Rule names the rule or middleware that decided.
	Rule string
}

// Recorder takes the decisions of a receiver. Package auditclient sends them to
// Countersign. Record must not block on I/O, must not keep anything of ctx, and is
// safe for concurrent use.
type Recorder interface {
	Record(ctx context.Context, d Decision)
}
