package authtest

import "net/http"

// authenticate verifies the request's signature by the key that it names.
func (s *AWSSTS) authenticate(_ *http.Request, _ []byte, _ *AWSCall) (AWSIdentity, error) {
	return AWSIdentity{}, &awsError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
}
