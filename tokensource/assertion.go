package tokensource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
)

const (
	// assertionType is what a signed client assertion is called.
	//
	// Source: RFC 7523 §2.2.
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is how long an assertion may be used, once: long enough for a clock
	// that is a little off.
	assertionLife = time.Minute
	// maxKeyBytes bounds a file with a private key.
	maxKeyBytes = 32 << 10
	minRSABits  = 2048
)

// assertion signs that the client is who it says, for this token endpoint and once.
//
// Errors: [countersign.Unavailable] (the file can't be read), [countersign.Invalid] (it
// holds no key that can be used).
// Source: RFC 7523 §3.
func (p *endpoint) assertion() (string, error) {
	key, algorithm, err := readPrivateKey(p.keyFile)
	if err != nil {
		return "", err
	}
	if p.keyID != "" {
		key.KeyID = p.keyID
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "sign with the private key", err)
	}
	now := p.now()
	claims, err := json.Marshal(map[string]any{
		"iss": p.clientID, "sub": p.clientID, "aud": p.issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "write the assertion", err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "sign the assertion", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "write the assertion", err)
	}
	return text, nil
}

// readPrivateKey reads the key and says what it signs with.
func readPrivateKey(path string) (jose.JSONWebKey, jose.SignatureAlgorithm, error) {
	text, err := readFile(path, maxKeyBytes)
	if err != nil {
		return jose.JSONWebKey{}, "", countersign.WrapError(countersign.Unavailable, "", "the private key can't be read", err)
	}
	key, err := parsePrivateKey([]byte(text))
	if err != nil {
		// The cause is not kept: it may quote the file.
		return jose.JSONWebKey{}, "", invalid("PrivateKeyFile holds no private key in PEM or as a JWK")
	}
	algorithm, ok := algorithmOf(key.Key)
	if !ok || key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return jose.JSONWebKey{}, "", invalid("PrivateKeyFile must hold a P-256, an Ed25519 or an RSA key of at least 2048 bits")
	}
	return key, algorithm, nil
}

// parsePrivateKey takes PEM or a JWK.
func parsePrivateKey(text []byte) (jose.JSONWebKey, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err != nil {
			return jose.JSONWebKey{}, err
		}
		return key, nil
	}
	if block.Type == "EC PARAMETERS" { // what openssl ecparam -genkey writes before the key
		if block, _ = pem.Decode(rest); block == nil {
			return jose.JSONWebKey{}, fmt.Errorf("no key behind the parameters")
		}
	}
	var key crypto.PrivateKey
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return jose.JSONWebKey{}, fmt.Errorf("not a private key")
	}
	return jose.JSONWebKey{Key: key}, err
}

// algorithmOf is the one algorithm of a key; RULES B3 says which are served.
func algorithmOf(key any) (jose.SignatureAlgorithm, bool) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return jose.ES256, k.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		return jose.EdDSA, true
	case *rsa.PrivateKey:
		return jose.RS256, k.N.BitLen() >= minRSABits
	default:
		return "", false
	}
}
