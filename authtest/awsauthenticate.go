package authtest

import (
	"bytes"
	"io"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// authenticate verifies the request's signature by the key that it names.
func (s *AWSSTS) authenticate(r *http.Request, body []byte, call *AWSCall) (AWSIdentity, error) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	signed, err := sigv4.Parse(r, sigv4.ParseOptions{AllowRepeatedKeys: true})
	if err != nil {
		return AWSIdentity{}, signatureError(err)
	}
	call.AccessKeyID = signed.AccessKeyID
	s.mu.Lock()
	key, known := s.keys[signed.AccessKeyID]
	s.mu.Unlock()
	// An unknown key, a missing and a foreign session token look the same.
	if !known || !key.identity.SessionToken.Equal(signed.SessionToken) {
		return AWSIdentity{}, &awsError{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	now := s.clock.now()
	if err := signed.Verify(sigv4.VerifyOptions{
		Secret: key.identity.SecretAccessKey, Now: now, Service: "sts", BodyHash: sigv4.HashPayload(body),
	}); err != nil {
		return AWSIdentity{}, signatureError(err)
	}
	if expires := key.identity.ExpiresAt; !expires.IsZero() && !now.Before(expires) {
		return AWSIdentity{}, &awsError{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"}
	}
	return key.identity, nil
}

// signatureError is AWS's word for what is wrong with a signature.
func signatureError(err error) error {
	switch countersign.CodeOf(err) {
	case countersign.Unauthenticated:
		return &awsError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	case countersign.BadHeader, countersign.Invalid:
		return &awsError{http.StatusBadRequest, "IncompleteSignature", "The request signature does not conform to AWS standards."}
	case countersign.Skewed, countersign.Expired:
		return &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired or not yet current."}
	default:
		return &awsError{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
}
