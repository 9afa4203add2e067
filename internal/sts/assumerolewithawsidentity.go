package sts

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// assumeRoleWithAWSIdentity trades a signed GetCallerIdentity of AWS for a session: AWS
// says who signed it. A role that trusts no AWS identity costs no call of AWS.
//
// Source: DESIGN §6, RULES D8; AWS STS API reference, GetCallerIdentity.
func (h *Handler) assumeRoleWithAWSIdentity(r *http.Request, q query, d *decision) (any, error) {
	// 1 What is asked for.
	request, err := h.parseAssume(q)
	if err != nil {
		return nil, err
	}
	d.event.Proof = "aws_identity"
	if h.cfg.AWSIdentity == nil {
		return nil, countersign.NewError(countersign.Unsupported, countersign.ReasonActionUnsupported,
			"AWS identities are not served here: sts.server_id is not set")
	}
	proof, err := parseProof(q)
	if err != nil {
		return nil, err
	}
	a := &assumption{request: request}
	if a.role, err = h.lookUp(r.Context(), request.role); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(a.role.Trust, func(s trust.Statement) bool { return s.Kind() == trust.KindAWS }) {
		return nil, errNotTrusted(countersign.ReasonTrustNotMatched)
	}
	// 2 Who it is: one call of AWS, once for each signature.
	if a.identity, err = h.cfg.AWSIdentity.Verify(r.Context(), proof); err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	d.proves(&a.identity)
	if a.request.sessionName == "" {
		a.request.sessionName = defaultSessionName(a.identity.AWS.ARN)
	}
	// 3 What they may be, and what that may do.
	if err := h.authorise(r, a, d); err != nil {
		return nil, err
	}
	// 4 The credentials, and the event before they leave.
	credentials, err := h.issue(r, a, d)
	if err != nil {
		return nil, err
	}
	return h.answer(r, q.action, a, credentials), nil
}

// parseProof decodes the three parts of the signed request; their content is for package
// trust.
func parseProof(q query) (trust.AWSProof, error) {
	var parts [3]string
	for i, name := range []string{"IamRequestUrl", "IamRequestBody", "IamRequestHeaders"} {
		text := q.form.Value(name)
		if text == "" && name != "IamRequestBody" { // a presigned request has none
			return trust.AWSProof{}, missing(name)
		}
		decoded, ok := decodeBase64(text)
		if !ok {
			return trust.AWSProof{}, invalid(name + " is not base64")
		}
		parts[i] = decoded
	}
	return trust.AWSProof{URL: parts[0], Body: parts[1], Headers: parts[2]}, nil
}

// decodeBase64 takes the standard and the URL-safe alphabet, padded or not, but one
// spelling of each value only.
func decodeBase64(text string) (string, bool) {
	text = strings.TrimRight(text, "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	decoded, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return "", false
	}
	return string(decoded), true
}

// defaultSessionName is the last part of an ARN, in the form of a session's name.
func defaultSessionName(arn string) string {
	name := arn[strings.LastIndexAny(arn, "/:")+1:]
	clean := []byte(name[:min(len(name), 64)])
	for i, c := range clean {
		if !validSessionName(string([]byte{c, c})) {
			clean[i] = '_'
		}
	}
	if len(clean) < 2 {
		return "aws-identity"
	}
	return string(clean)
}
