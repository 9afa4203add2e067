// Package cognitoseed gives services their identity in an Amazon Cognito user pool: one
// account `service-NAME` a service, whose attribute custom:service_id says NAME, and one
// app client through which they sign in with a password. Name, password and client go to
// the SSM Parameter Store and into an .envrc.
//
// It is idempotent: [Run] looks at what is there, makes what is missing and says what it
// did. It looks at everything before it writes anything, so that what it refuses is
// refused as a whole. A run that broke off is completed by the next one: a password is
// in the Parameter Store before it is the account's, and a run whose stored password does
// not sign in sets it again.
//
// # What it refuses
//
// The attribute is worth something only if those whom it names can't write it. A pool
// with an app client whose users could is refused, as is an account or a client of that
// name that someone else made.
//
// Layer 7.
package cognitoseed
