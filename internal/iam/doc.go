// Package iam is the front door of the IAM API: /api/iam/v1, JSON in and out, errors
// as RFC 9457 problems. Each route belongs to one family, which has a door of its own
// (family.go):
//
//   - user context: tenants, users, oneself, and what concerns the whole platform. A user's
//     own token, or the local administrator on the Unix socket (RULES G1, G3). A service's
//     token alone is refused.
//   - resource kinds: as before, and services with the scope iam:apply (RULES G4).
//   - machines: lookups, enrichment, reports, route policies. A service's token; a user's is
//     refused.
//   - everybody: POST /login, where a one-time code becomes a login, and how else one gets in.
//
// Every write needs If-Match (RULES G4). Every refusal is an audit event;
// those of callers who proved nothing are counted together.
//
// A request goes straight down: who (family.go), what (request.go), the operation
// (one file each), the answer (response.go) or the error (errors.go). It decides
// nothing about services itself, package admin does, and it opens no token, package
// authn does. The documents are those of package iamclient. Start at [New] and
// [API.Routes].
//
// Layer 6.
package iam
