package countersign

// RouteVerdict is what a route policy says about one call.
type RouteVerdict struct {
	// Allowed is the answer that holds: with a policy that is not enforced a call that
	// no rule allows is Allowed too, and WouldDeny is set.
	Allowed, WouldDeny bool
	// Policy and Rule name what allowed the call; "" when nothing did.
	Policy, Rule string
	// Reason is [ReasonOK] or why no rule allowed it, also where WouldDeny is set.
	Reason Reason
}
