// Package countersign is the vocabulary that everything else shares: who is
// calling ([Principal]), what went wrong ([Code], [Error], [Reason]), values that
// must not be printed ([Secret]), and how a decision is reported ([Recorder]).
//
// # What to use first
//
// A receiving service wraps its handlers with package middleware and then asks
//
//	p := countersign.FromContext(ctx)
//	p.Service.Name // which service calls, "" when none did
//	p.User.Subject // for which user, "" when there is none
//
// A calling service gives package transport a source of tokens (package
// tokensource) and, where it acts for a user, passes the user's token along with
// [WithUserToken]; middleware does that by itself for users that it let in.
//
// # What it does not do
//
// It verifies nothing, opens no connection and reads no clock. It is layer 0: it
// imports the standard library only, and every other package may import it.
package countersign
