package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/trust"
)

// awsAssertionType marks a client assertion that is a signed GetCallerIdentity of AWS: the
// base64url text of a JSON object with the members of the STS action's parameters, each
// base64 as there: iam_request_url, iam_request_body, iam_request_headers.
const awsAssertionType = "urn:countersign:client-assertion-type:aws-identity"

// federation proves clients by somebody else's word: a JWT of a trusted issuer, or an AWS
// identity, that the service's own trust names (RULES A2).
type federation struct {
	registry *registry.Registry
	web      *trust.Verifier    // nil = not served
	aws      *trust.AWSVerifier // nil = not served
}

// check proves that the presented assertion is of the service. Its proof is verified first,
// for unknown clients too (RULES B4).
//
// Errors: countersign.BadClient; countersign.Throttled; countersign.Unavailable when the
// proof can't be checked now.
// Source: RFC 7521 §4.2, RFC 7523 §3.
func (f *federation) check(ctx context.Context, service *registry.Service, c credentials, asked trust.RequestContext) error {
	identity, err := f.identity(ctx, c)
	if err != nil {
		return clientError(err)
	}
	if service.UID == "" {
		return badAssertion(countersign.ReasonClientUnknown, nil)
	}
	statements, err := f.registry.ServiceTrust(service)
	if err != nil {
		return clientError(err)
	}
	for i := range statements {
		if ok, _ := statements[i].Match(ctx, identity, asked); ok {
			return f.notDisabled(ctx, service, &identity)
		}
	}
	return badAssertion(countersign.ReasonTrustNotMatched, nil)
}

// notDisabled refuses a user who is disabled on the platform, whatever a service trusts, or in
// the service's tenant or the token's: their issuer may go on to issue tokens.
func (f *federation) notDisabled(ctx context.Context, service *registry.Service, id *trust.Identity) error {
	if !id.User {
		return nil
	}
	disabled, err := f.registry.UserDisabled(ctx, id.Issuer, id.Subject, id.Tenant, service.Tenant)
	if err != nil {
		return clientError(err)
	}
	if disabled {
		return badAssertion(countersign.ReasonUserDisabled, nil)
	}
	return nil
}

func (f *federation) identity(ctx context.Context, c credentials) (trust.Identity, error) {
	if c.method == federatedJWT {
		if f.web == nil {
			return trust.Identity{}, badAssertion(countersign.ReasonAssertionInvalid, nil)
		}
		return f.web.ForeignToken(ctx, c.secret.Reveal()) //nolint:wrapcheck // clientError gives it words
	}
	proof, ok := parseAWSAssertion(c.secret.Reveal())
	if !ok || f.aws == nil {
		return trust.Identity{}, badAssertion(countersign.ReasonAssertionInvalid, nil)
	}
	return f.aws.Verify(ctx, proof) //nolint:wrapcheck // clientError gives it words
}

// clientError gives every failure to prove a client the same words, and keeps those that
// are not the client's apart.
func clientError(err error) error {
	switch countersign.CodeOf(err) {
	case countersign.Throttled:
		return err
	case countersign.Upstream, countersign.Unavailable, countersign.Internal:
		var known *countersign.Error
		wrapped := countersign.WrapError(countersign.Unavailable, countersign.ReasonOf(err), "the client's proof can't be checked now", err)
		if errors.As(err, &known) {
			wrapped.RetryAfter = known.RetryAfter
		}
		return wrapped
	}
	return badAssertion(countersign.ReasonOf(err), err)
}

// parseAWSAssertion reads the three parts; what they hold is for package trust.
func parseAWSAssertion(text string) (trust.AWSProof, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return trust.AWSProof{}, false
	}
	var parts struct {
		URL     []byte `json:"iam_request_url"`
		Body    []byte `json:"iam_request_body"`
		Headers []byte `json:"iam_request_headers"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&parts) != nil || decoder.More() || len(parts.URL) == 0 || len(parts.Headers) == 0 {
		return trust.AWSProof{}, false
	}
	return trust.AWSProof{URL: string(parts.URL), Body: string(parts.Body), Headers: string(parts.Headers)}, true
}
