package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/countersign/countersign"
)

// Signer signs for one purpose with one key. Ask the [Ring] for it each time: a Signer
// that is kept does not see its key's time end. Safe for concurrent use.
type Signer struct {
	unprintable
	KID, Algorithm string

	sign func(input []byte) ([]byte, error)
}

// Sign returns the JWS signature of input (ES256: r || s, 64 bytes).
//
// Source: RFC 7518 §3.3, §3.4; RFC 8037 §3.1.
func (s *Signer) Sign(input []byte) ([]byte, error) { return s.sign(input) }

// newSigner chooses how a private key signs; the algorithm must fit its type.
func newSigner(kid, algorithm string, private crypto.Signer) (*Signer, error) {
	s := &Signer{KID: kid, Algorithm: algorithm}
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		s.sign = func(input []byte) ([]byte, error) { return signES256(key, input) }
	case *rsa.PrivateKey:
		s.sign = func(input []byte) ([]byte, error) {
			digest := sha256.Sum256(input)
			return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		}
	case ed25519.PrivateKey:
		s.sign = func(input []byte) ([]byte, error) { return ed25519.Sign(key, input), nil }
	default:
		return nil, countersign.NewError(countersign.Internal, "", fmt.Sprintf("no way to sign with a %T", private))
	}
	return s, nil
}

// p256Bytes is the length of r and of s.
const p256Bytes = 32

// signES256 signs through SignASN1 and takes the two numbers out of the DER: the other
// way, ecdsa.Sign, goes through math/big.
func signES256(key *ecdsa.PrivateKey, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	der, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign with ES256: %w", err)
	}
	var sequence cryptobyte.String
	var r, s []byte
	rest := cryptobyte.String(der)
	if !rest.ReadASN1(&sequence, asn1.SEQUENCE) || !rest.Empty() ||
		!sequence.ReadASN1Integer(&r) || !sequence.ReadASN1Integer(&s) || !sequence.Empty() ||
		len(r) > p256Bytes || len(s) > p256Bytes {
		return nil, errors.New("sign with ES256: malformed signature")
	}
	signature := make([]byte, 2*p256Bytes)
	copy(signature[p256Bytes-len(r):], r)
	copy(signature[2*p256Bytes-len(s):], s)
	return signature, nil
}
