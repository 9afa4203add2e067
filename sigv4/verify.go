package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/countersign/countersign"
)

// VerifyOptions say what a request is held against.
type VerifyOptions struct {
	// Secret is the secret access key of the request's AccessKeyID: that this id has this
	// secret is all that proves the id, which itself is not signed. A zero one verifies
	// nothing.
	Secret countersign.Secret
	// Now is the time of the server.
	Now time.Time
	// Service is the one that was asked: that of the scope has to be the same.
	Service string
	// Regions are those that the scope may name; empty = any.
	Regions []string
	// BodyHash is the hash of the body that came: HashPayload(body). It is what was
	// signed when the request does not say so itself, and what that is compared with when
	// it does.
	BodyHash string
	// BodyLater: the caller reads the body by [Request.Body], or compares it with
	// Request.PayloadHash by itself, and BodyHash is empty.
	BodyLater bool
	// AllowUnsigned takes UNSIGNED-PAYLOAD, and a presigned URL of S3 that says nothing of
	// a body. Meant for TLS and loopback.
	AllowUnsigned bool
	// AllowStreaming takes the STREAMING-* forms; the one with chunks that are not signed only
	// with AllowUnsigned. The caller reads the body by [Request.Body].
	AllowStreaming bool
	// MaxSkew is how far X-Amz-Date may be from Now; 0 = 15 minutes.
	MaxSkew time.Duration
}

// Verify checks that the holder of the secret signed this request, for this service, at
// about this time, with this body. The signature comes first: any error but BadSignature is
// about a request of who holds the secret (but Invalid: that one says nothing of its body).
//
// A header-signed request is good for MaxSkew before and after its date; a presigned one
// from MaxSkew before its date until its Expires, which is not extended.
//
// Errors: [countersign.BadSignature], [countersign.Skewed], [countersign.Expired],
// [countersign.BodyMismatch], [countersign.Invalid]; [countersign.Internal] when the
// options lack the service, or the hash of a body that has to be compared.
// Source: AWS IAM User Guide, "Create a signed AWS API request"; RULES C3, F3.
func (q *Request) Verify(v VerifyOptions) error {
	if q == nil || q.signed == nil {
		return badSignature(countersign.ReasonSignatureInvalid)
	}
	if v.Service == "" {
		return countersign.NewError(countersign.Internal, "", "verify a signature: no service")
	}
	payload, err := q.signedPayload(v)
	if err != nil {
		return err
	}
	if v.Secret.IsZero() || !q.signedWith(v.Secret, payload) {
		return badSignature(countersign.ReasonSignatureInvalid)
	}
	if q.Scope.Service != v.Service || len(v.Regions) > 0 && !slices.Contains(v.Regions, q.Scope.Region) {
		return badSignature(countersign.ReasonCredentialScope)
	}
	if err := q.checkTime(v); err != nil {
		return err
	}
	return checkBody(payload, v)
}

func badSignature(reason countersign.Reason) error {
	return countersign.NewError(countersign.BadSignature, reason, "the signature does not match the request")
}

// signedPayload returns what stands for the body in the canonical request.
func (q *Request) signedPayload(v VerifyOptions) (string, error) {
	switch {
	case q.PayloadHash != "":
		return q.PayloadHash, nil
	case q.Presigned && PathAuto.resolve(q.Scope.Service) == PathObject:
		return UnsignedPayload, nil
	case v.BodyHash != "":
		return v.BodyHash, nil
	}
	return "", invalid(countersign.ReasonParameterMissing, "x-amz-content-sha256 is missing")
}

// signedWith compares in constant time.
func (q *Request) signedWith(secret countersign.Secret, payload string) bool {
	s := q.signed
	key := signingKey(secret, q.Scope)
	room := make([]byte, 0, len(s.canonical)+len(s.otherPath)+len(payload))
	sum := signature(key, q.Scope, s.date, append(append(room, s.canonical...), payload...))
	if hmac.Equal(sum[:], s.signature[:]) {
		return true
	}
	if s.otherPath == "" {
		return false
	}
	other := append(append(room, s.canonical[:s.pathStart]...), s.otherPath...)
	other = append(append(other, s.canonical[s.pathEnd:]...), payload...)
	sum = signature(key, q.Scope, s.date, other)
	return hmac.Equal(sum[:], s.signature[:])
}

func (q *Request) checkTime(v VerifyOptions) error {
	skew := v.MaxSkew
	if skew <= 0 {
		skew = MaxSkew
	}
	switch age := v.Now.Sub(q.Time); {
	case age < -skew, !q.Presigned && age > skew:
		return countersign.NewError(countersign.Skewed, countersign.ReasonClockSkewed, "the time of the request is too far from ours")
	case q.Presigned && age >= q.Expires:
		return countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, "the request has expired")
	}
	return nil
}

// checkBody decides about what was signed for the body.
func checkBody(payload string, v VerifyOptions) error {
	allowed := false
	switch kindOfPayload(payload) {
	case payloadHash:
		if v.BodyHash == "" && !v.BodyLater {
			return countersign.NewError(countersign.Internal, "", "verify a signature: no hash of the body")
		}
		allowed = v.BodyHash == "" || len(v.BodyHash) == sha256.Size*2 &&
			subtle.ConstantTimeCompare([]byte(v.BodyHash), []byte(payload)) == 1
	case payloadUnsigned:
		allowed = v.AllowUnsigned
	case payloadStreaming:
		allowed = v.AllowStreaming && (v.AllowUnsigned || payload != StreamingUnsignedTrailer)
	case payloadUnknown:
	}
	if !allowed {
		return countersign.NewError(countersign.BodyMismatch, countersign.ReasonBodyMismatch, "the body is not the one that was signed")
	}
	return nil
}
