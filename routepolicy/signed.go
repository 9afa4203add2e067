package routepolicy

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/countersign/countersign/egress"
)

const (
	mediaType = "application/route-policies+jwt"
	tokenType = "route-policies+jwt"
	skew      = 60  // seconds that clocks may differ (RULES C3)
	maxAge    = 120 // seconds that a fresh answer may be old
)

// keySet holds the keys that sign policies, by id. They sign nothing else (RULES B7).
type keySet map[string]ed25519.PublicKey

// signedPolicies is the payload.
type signedPolicies struct {
	Issuer   string            `json:"iss"`
	Audience string            `json:"aud"`
	IssuedAt int64             `json:"iat"`
	Policies []json.RawMessage `json:"policies"`
}

// parts splits a compact JWS and decodes it.
//
// Source: RFC 7515 §7.1.
func parts(signed string) (header, payload, signature []byte, input string, err error) {
	fields := strings.Split(signed, ".")
	if len(fields) != 3 {
		return nil, nil, nil, "", errDocument
	}
	var decoded [3][]byte
	for i, field := range fields {
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(field); err != nil {
			return nil, nil, nil, "", errDocument
		}
	}
	return decoded[0], decoded[1], decoded[2], fields[0] + "." + fields[1], nil
}

// keyOf returns the id of the key that signed, as the header says; type and algorithm are
// the only ones that there are.
func keyOf(signed string) (string, error) {
	header, _, _, _, err := parts(signed)
	if err != nil {
		return "", err
	}
	var h struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		KeyID     string `json:"kid"`
	}
	if err := strict(header, &h); err != nil || h.Algorithm != "EdDSA" || h.Type != tokenType || h.KeyID == "" {
		return "", errDocument
	}
	return h.KeyID, nil
}

// open checks the signature and reads what is signed.
//
// Source: RFC 7515 §5.2, RFC 8037 §3.1.
func open(signed string, keys keySet) (signedPolicies, error) {
	var doc signedPolicies
	kid, err := keyOf(signed)
	if err != nil {
		return doc, err
	}
	_, payload, signature, input, err := parts(signed)
	if err != nil {
		return doc, err
	}
	key := keys[kid]
	if key == nil || !ed25519.Verify(key, []byte(input), signature) {
		return doc, errKey
	}
	// A field that is not known here may narrow a rule: such a policy is not understood.
	if err := strict(payload, &doc); err != nil {
		return doc, fmt.Errorf("%w: %w", errDocument, err)
	}
	return doc, nil
}

// strict decodes one JSON value with known fields only.
func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errDocument
	}
	return nil
}

// fetchKeys finds the key set by the issuer's discovery document, which names it at the
// issuer's own origin only (RULES C2).
func (f *Follower) fetchKeys(ctx context.Context) error {
	issuer := f.cfg.URL
	body, _, err := egress.Get(ctx, f.client, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", "application/json")
	if err != nil {
		return err
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"policies_jwks_uri"`
		Tokens string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &found); err != nil || found.Issuer != issuer || !sameOrigin(found.Keys, issuer) || found.Keys == found.Tokens {
		return errDocument
	}
	body, _, err = egress.Get(ctx, f.client, found.Keys, "application/jwk-set+json, application/json")
	if err != nil {
		return err
	}
	keys, err := parseKeys(body)
	if err != nil {
		return err
	}
	f.keys, f.keysText, f.keysAt = keys, body, f.cfg.Now()
	return nil
}

// parseKeys reads the Ed25519 keys of a JWK set.
//
// Source: RFC 7517 §5, RFC 8037 §2.
func parseKeys(text []byte) (keySet, error) {
	var set struct {
		Keys []struct {
			Type  string `json:"kty"`
			Curve string `json:"crv"`
			KeyID string `json:"kid"`
			X     string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) > 100 {
		return nil, errDocument
	}
	keys := make(keySet)
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if k.Type != "OKP" || k.Curve != "Ed25519" || k.KeyID == "" || err != nil || len(x) != ed25519.PublicKeySize {
			continue
		}
		keys[k.KeyID] = x
	}
	return keys, nil
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && x.Host == y.Host && x.Host != "" && egress.CheckURL(a) == nil
}
