// Package sts is the front door of the AWS Query API: it trades a proof of identity for
// temporary credentials, as AWS STS does, so that unmodified AWS SDKs and the AWS CLI use
// it. POST /sts, /sts/, / and // (some clients double the slash), and GET of /sts.
//
//	AssumeRoleWithWebIdentity   a JWT: ours, or one of a trusted issuer
//	AssumeRoleWithAWSIdentity   a signed GetCallerIdentity of AWS
//	GetCallerIdentity           who a session is, by its signature
//	GetAccessKeyInfo            which account an access key id is of
//
// The action and its parameters come in the form body or in the query, never in both, each
// once. A parameter that is not fully served is refused: a session that could do more than
// was asked for would be a hole. Answers are AWS's XML; errors.go is the one table from
// [countersign.Code] to AWS's error codes.
//
// It decides nothing about trust or permissions: package trust proves who somebody is and
// matches the statements of a role, package policy says what a role may, package session
// seals. Minting writes nothing but the audit event, which is durable before the answer.
//
// Source: AWS STS API reference, version 2011-06-15.
//
// Layer 6. Start at [New].
package sts
