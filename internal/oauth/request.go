package oauth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/verify"
)

// maxForm is the largest body that is read, in bytes.
const maxForm = 16 << 10

// authMethod is how a client sent its secret, as discovery and audit name it.
type authMethod string

const (
	secretBasic authMethod = "client_secret_basic"
	secretPost  authMethod = "client_secret_post"
	privateKey  authMethod = "private_key_jwt"
	// The proofs of others, by the service's trust; they have no registered names.
	federatedJWT authMethod = "federated_jwt"
	awsIdentity  authMethod = "aws_identity"
)

// credentials are what a request says of its client; nothing of it is proven. The
// zero value means that none came.
type credentials struct {
	method authMethod
	id     string
	// secret is the client secret or the assertion.
	secret countersign.Secret
}

// tokenRequest is a parsed, unproven token request.
type tokenRequest struct {
	credentials
	grant     grant
	scope     string
	audiences []string // every audience and resource that was named
}

// foreignParameters belong to grants and proofs that we do not serve. RFC 6749 §3.2
// has unknown parameters ignored, but whoever sends one of these relies on what it
// does: a token that ignores it would not be the one that was asked for.
//
// Divergence: RFC 6749 §3.2 ignores unrecognised parameters; these are refused.
var foreignParameters = map[string]bool{
	"assertion": true,                                                                                  // RFC 7521 §4.1
	"code":      true, "redirect_uri": true, "refresh_token": true, "username": true, "password": true, // RFC 6749 §4
	"code_verifier": true,                                                                            // RFC 7636 §4.5
	"subject_token": true, "subject_token_type": true, "actor_token": true, "actor_token_type": true, // RFC 8693 §2.1
	"requested_token_type": true, "device_code": true, "auth_req_id": true, // RFC 8693, RFC 8628 §3.4, CIBA §10.1
	"authorization_details": true, "request": true, "request_uri": true, // RFC 9396 §6, RFC 9101 §5
	"req_cnf": true, "dpop_jkt": true, // RFC 9201 §3.1, RFC 9449 §10
}

// parseTokenRequest reads a token request; it proves nothing.
//
// Errors: countersign.Invalid, BadHeader, TooLarge, Unauthenticated (an Authorization
// header of another scheme), Unsupported (the grant).
// Source: RFC 6749 §4.4.2, RFC 8707 §2.
func parseTokenRequest(r *http.Request) (tokenRequest, error) {
	form, err := parseForm(r, "resource") // RFC 8707 §2 lets it come several times
	if err != nil {
		return tokenRequest{}, err
	}
	var req tokenRequest
	// The credentials come first, so that a refusal for any other cause can name the client.
	if req.credentials, err = parseCredentials(r, form); err != nil {
		return req, err
	}
	name := form.Value("grant_type")
	if name == "" {
		return req, missing("grant_type")
	}
	if req.grant = grants[name]; req.grant == nil {
		return req, countersign.NewError(countersign.Unsupported, countersign.ReasonGrantUnsupported,
			"this grant type is not served here")
	}
	for _, p := range form.Params() {
		if foreignParameters[p.Name] && p.Value != "" {
			return req, invalid(countersign.ReasonParameterInvalid, p.Name+" is not supported here")
		}
	}
	// A client that sends a proof of possession expects a token that is bound to its key.
	if len(r.Header["Dpop"]) > 0 {
		return req, invalid(countersign.ReasonParameterInvalid, "DPoP is not supported here")
	}
	req.scope = form.Value("scope")
	for _, p := range form.Params() {
		if (p.Name == "audience" || p.Name == "resource") && p.Value != "" {
			req.audiences = append(req.audiences, p.Value)
		}
	}
	return req, nil
}

// parseTokenParameter reads the form of introspection and revocation.
//
// Source: RFC 7662 §2.1, RFC 7009 §2.1.
func parseTokenParameter(r *http.Request) (credentials, countersign.Secret, error) {
	form, err := parseForm(r)
	if err != nil {
		return credentials{}, countersign.Secret{}, err
	}
	creds, err := parseCredentials(r, form)
	if err != nil {
		return creds, countersign.Secret{}, err
	}
	token := form.Value("token")
	if token == "" {
		return creds, countersign.Secret{}, missing("token")
	}
	return creds, countersign.NewSecret(token), nil
}

// parseForm reads the body; an empty value counts as none (RFC 6749 §3.2). Parameters in the URL are refused: URLs end in logs.
func parseForm(r *http.Request, repeatable ...string) (web.Form, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return web.Form{}, invalid(countersign.ReasonParameterInvalid, "parameters belong into the body, not into the URL")
	}
	return web.ReadForm(r, maxForm, repeatable...)
}

// parseCredentials finds the client's id and secret, in the header or in the form.
//
// Source: RFC 6749 §2.3.1.
func parseCredentials(r *http.Request, form web.Form) (credentials, error) {
	headers := r.Header["Authorization"]
	id, secret := form.Value("client_id"), form.Value("client_secret")
	switch {
	case form.Value("client_assertion") != "" || form.Value("client_assertion_type") != "":
		if len(headers) > 0 || secret != "" {
			return credentials{id: id}, invalid(countersign.ReasonClientAuthDoubled, "the client authenticates in two ways at once")
		}
		return parseAssertion(form.Value("client_assertion_type"), form.Value("client_assertion"), id)
	case len(headers) > 1:
		return credentials{}, countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated,
			"there is more than one Authorization header")
	case len(headers) == 1:
		creds, err := parseBasic(headers[0])
		if err != nil {
			return credentials{}, err
		}
		if secret != "" {
			return creds, invalid(countersign.ReasonClientAuthDoubled, "the client authenticates in two ways at once")
		}
		if id != "" && id != creds.id {
			return creds, invalid(countersign.ReasonClientAuthDoubled, "client_id is not the client of the Authorization header")
		}
		return creds, nil
	case secret != "" && id == "":
		return credentials{}, missing("client_id")
	case secret != "":
		return credentials{method: secretPost, id: id, secret: countersign.NewSecret(secret)}, nil
	}
	return credentials{id: id}, nil
}

// parseAssertion finds out which client an assertion is said to be of. One that the client
// signed itself names it; another's does not, so that client_id has to.
//
// Source: RFC 7521 §4.2, RFC 7523 §3.
func parseAssertion(kind, assertion, id string) (credentials, error) {
	switch {
	case assertion == "":
		return credentials{id: id}, missing("client_assertion")
	case kind == awsAssertionType && id == "":
		return credentials{}, missing("client_id")
	case kind == awsAssertionType:
		return credentials{method: awsIdentity, id: id, secret: countersign.NewSecret(assertion)}, nil
	case kind != assertionType:
		return credentials{id: id}, invalid(countersign.ReasonParameterInvalid, "client_assertion_type is not "+assertionType)
	}
	claimed, err := verify.ParseUnverified(assertion)
	// A URL is no client's name, so the two can't be mistaken for each other.
	if err == nil && id != "" && claimed.Issuer != id && strings.Contains(claimed.Issuer, "://") {
		return credentials{method: federatedJWT, id: id, secret: countersign.NewSecret(assertion)}, nil
	}
	if err != nil || claimed.Subject == "" || claimed.Subject != claimed.Issuer || id != "" && id != claimed.Subject {
		return credentials{id: id}, countersign.NewError(countersign.BadClient, countersign.ReasonAssertionInvalid, sayBadClient)
	}
	return credentials{method: privateKey, id: claimed.Subject, secret: countersign.NewSecret(assertion)}, nil
}

// parseBasic reads an Authorization header of the Basic scheme. Its two parts are
// form-encoded before they are joined and base64-encoded.
//
// Errors: countersign.BadHeader; countersign.Unauthenticated for another scheme.
// Source: RFC 7617 §2, RFC 6749 §2.3.1.
func parseBasic(header string) (credentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, countersign.NewError(countersign.Unauthenticated, countersign.ReasonHeaderMalformed,
			"clients authenticate with client_secret_basic, client_secret_post or private_key_jwt")
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return credentials{}, badHeader()
	}
	rawID, rawSecret, found := strings.Cut(string(decoded), ":")
	if !found {
		return credentials{}, badHeader()
	}
	id, err := url.QueryUnescape(rawID)
	if err != nil || id == "" {
		return credentials{}, badHeader()
	}
	secret, err := url.QueryUnescape(rawSecret)
	if err != nil {
		return credentials{}, badHeader()
	}
	return credentials{method: secretBasic, id: id, secret: countersign.NewSecret(secret)}, nil
}

// The causes are left out of these errors on purpose: they would quote the header.

func badHeader() error {
	return countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderMalformed, "the Authorization header is malformed")
}

func missing(name string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing, name+" is missing")
}

func invalid(reason countersign.Reason, msg string) error {
	return countersign.NewError(countersign.Invalid, reason, msg)
}
