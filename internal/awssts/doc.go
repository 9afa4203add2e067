// Package awssts calls the AWS STS and believes little of what it answers: a table of its
// endpoints in all partitions, one exchange without redirects and within bounds, and XML
// that is read as a grammar and not as a search for elements. A refusal of AWS becomes a
// code of ours; everything that is neither an answer nor a refusal is Upstream or
// Throttled, never a yes.
//
// It signs nothing and knows no roles.
//
// Layer 2. Start at [Call].
package awssts
