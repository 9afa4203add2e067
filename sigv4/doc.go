// Package sigv4 checks and makes AWS Signature Version 4: in the Authorization header, and
// in the query of a presigned URL.
//
// A server asks in two steps, because the secret depends on what the request says:
//
//	request, err := sigv4.Parse(r, sigv4.ParseOptions{})  // what it says; nothing is believed yet
//	secret := …                                           // of request.AccessKeyID and request.SessionToken
//	err = request.Verify(sigv4.VerifyOptions{
//		Secret: secret, Now: time.Now(), Service: "sts", BodyHash: sigv4.HashPayload(body),
//	})
//
// A client signs with [Sign] or [Presign].
//
// # What a request must be, beyond a good signature
//
//   - It authenticates in one way: by one Authorization header or by the query, not both.
//   - The parameters of a presigned URL are written exactly so and come once. By default no
//     key of the query comes twice, or in two spellings.
//   - Host, every X-Amz-* header that is there, and the session token are signed. So is
//     the whole query.
//   - The date of the scope is that of X-Amz-Date. That is at most 15 minutes from ours; a
//     presigned URL lives from 1 second to 7 days, and for 15 minutes where it does not
//     say (S3 requires it).
//   - The service of the scope is the one that was asked ([VerifyOptions].Service).
//   - The body is the one that was signed. UNSIGNED-PAYLOAD, the STREAMING-* forms and a
//     body that is checked later are refused unless the caller allows them.
//   - A signature has one spelling: 64 lower-case digits.
//
// # The path
//
// AWS defines two canonical paths. Of S3 it is the decoded path, encoded once; of all other
// services it is the encoded path, normalised and encoded again. Clients do not agree on
// when to do that, so [PathAuto] also accepts a signature over the path exactly as it was
// sent: encoded once more, or for S3 as it is. Nothing else is tried.
//
// So outside of S3 a signature for /a/b is good for //a/./b as well, as it is at AWS: who
// decides by the path there refuses one that is not normalised (package routepolicy does).
//
// # What it does not do
//
// No I/O: it never reads a body, a clock or the network. It keeps no keys. It does not know
// whose an access key is, and not who may do what. It does not check the signatures inside
// of a STREAMING-* body, which are about the body and not about the request. It does not
// see a replay within the 15 minutes; signatures are good as often as they are sent.
//
// Layer 1.
package sigv4
