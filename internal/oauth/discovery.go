package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/countersign/countersign"
)

// metadataBody is the discovery document, for both of its URLs.
//
// Source: RFC 8414 §2, OpenID Connect Discovery 1.0 §3.
type metadataBody struct {
	Issuer                string `json:"issuer"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	// Our own: what a receiver follows, and the keys that sign it.
	RevocationsEndpoint string   `json:"revocations_endpoint"`
	RevocationsJWKSURI  string   `json:"revocations_jwks_uri"`
	PoliciesJWKSURI     string   `json:"policies_jwks_uri"`
	GrantTypes          []string `json:"grant_types_supported"`
	TokenAuth           []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth   []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuth      []string `json:"revocation_endpoint_auth_methods_supported"`
	// ResponseTypes is required and may not be empty, but there is no authorization
	// endpoint: "none" is the registered type that returns nothing from it.
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	// Algorithms are all that we may ever sign with: verifiers read this once and
	// then live through a change of the algorithm. We issue no ID tokens; they take
	// it for the algorithms of access tokens.
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
}

// newMetadata makes the document. An issuer's own trailing slash is not doubled.
func newMetadata(issuer string) (document, error) {
	base := strings.TrimSuffix(issuer, "/")
	methods := []string{string(secretBasic), string(secretPost), string(privateKey)}
	algorithms := []string{"ES256", "RS256", "EdDSA"}
	body, err := json.MarshalIndent(metadataBody{
		Issuer:                issuer,
		TokenEndpoint:         base + pathToken,
		JWKSURI:               base + pathJWKS,
		IntrospectionEndpoint: base + pathIntrospect,
		RevocationEndpoint:    base + pathRevoke,
		RevocationsEndpoint:   base + pathFeed,
		RevocationsJWKSURI:    base + pathFeedKeys,
		PoliciesJWKSURI:       base + pathPolicyKeys,
		GrantTypes:            grantTypes(),
		TokenAuth:             methods,
		TokenAuthAlgorithms:   algorithms,
		IntrospectionAuth:     methods,
		RevocationAuth:        methods,
		ResponseTypes:         []string{"none"},
		SubjectTypes:          []string{"public"},
		Algorithms:            algorithms,
	}, "", "  ")
	if err != nil {
		return document{}, countersign.WrapError(countersign.Internal, "", "oauth: discovery document", err)
	}
	sum := sha256.Sum256(body)
	return document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}, nil
}

// Metadata says what this server is and where its endpoints are.
//
// Source: RFC 8414 §3.2, OpenID Connect Discovery 1.0 §4.2.
func (h *Handler) Metadata(w http.ResponseWriter, r *http.Request) error {
	writeDocument(w, r, h.metadata)
	return nil
}

// JWKS returns the public keys that tokens are signed with, ours and those for real clouds
// (RULES D9), and those of the next rotation.
//
// Source: RFC 7517 §5.
func (h *Handler) JWKS(w http.ResponseWriter, r *http.Request) error {
	body, etag := h.cfg.Keys.JWKS()
	writeDocument(w, r, document{body: body, etag: etag})
	return nil
}
