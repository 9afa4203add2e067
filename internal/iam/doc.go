// Package iam is the front door of the IAM API: /api/iam/v1, JSON in and out, errors
// as RFC 9457 problems. Two kinds of route:
//
//   - /admin/… : services, revocations and the audit log, for the local administrator
//     on the Unix socket (RULES G1). Whoever comes over TCP is refused, whatever they
//     bring: administration by users and pipelines is a later door.
//   - /system/audit/events : receivers report what they decided, with a service token
//     of ours for the audience iam-service and the scope audit:write. A user's token
//     is refused.
//
// Every write to a service needs If-Match (RULES G4). Every refusal is an audit event;
// those of callers who proved nothing are counted together.
//
// A request goes straight down: who (caller.go), what (request.go), the operation
// (one file each), the answer (response.go) or the error (errors.go). It decides
// nothing about services itself, package admin does, and it opens no token, package
// authn does. The documents are those of package iamclient. Start at [New] and
// [API.Routes].
//
// Layer 6.
package iam
