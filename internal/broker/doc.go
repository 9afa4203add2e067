// Package broker gets temporary credentials of a real AWS account for a role that brokers
// (RULES D9): by AssumeRoleWithWebIdentity at the AWS STS, with a JWT that we sign as an
// OIDC issuer whose discovery document and keys AWS fetches.
//
// Credentials are kept until they end, by a hash of everything that they were asked for
// with; from 60 s before their end they are renewed in the background, one call at a time
// for each key, and a caller who has valid ones never waits. What AWS refuses is not
// remembered.
//
// They are AWS's: we can't take them back. That is why they live an hour at most.
//
// Layer 4. Start at [New].
package broker
