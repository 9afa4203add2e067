package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"

	"github.com/countersign/countersign"
)

// RSA keys outside these sizes, in bits, are not used: smaller ones are weak, larger
// ones let an issuer burn our time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

var (
	errKeyType   = errors.New("the key does not fit the algorithm")
	errSignature = errors.New("the signature does not verify")
)

// algorithmOf returns the one algorithm that a key is for, "" for a key that we
// don't use.
func algorithmOf(key any) string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		//nolint:staticcheck // only asks whether the coordinates are there: without them the check would panic
		if k != nil && k.Curve == elliptic.P256() && k.X != nil && k.Y != nil {
			return ES256
		}
	case *rsa.PublicKey:
		if k != nil && k.N != nil && k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits && k.E > 1 {
			return RS256
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return EdDSA
		}
	}
	return ""
}

// checkSignature verifies the signature of a JWS. The algorithm has passed the
// issuer's allow-list; here it is bound to the type of the key, so that no key is
// ever used for another algorithm than its own.
//
// Source: RFC 7518 §3.3, §3.4, RFC 8037 §3.1, RFC 8725 §3.1.
func checkSignature(algorithm string, key any, input string, signature []byte) error {
	if algorithmOf(key) != algorithm {
		return refuseBecause(countersign.ReasonAlgNotAllowed, errKeyType)
	}
	ok := false
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		var der [72]byte
		digest := sha256.Sum256([]byte(input))
		ok = len(signature) == 64 && ecdsa.VerifyASN1(k, digest[:], appendDER(der[:0], signature))
	case *rsa.PublicKey:
		digest := sha256.Sum256([]byte(input))
		ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, []byte(input), signature)
	}
	if !ok {
		return refuseBecause(countersign.ReasonSignatureInvalid, errSignature)
	}
	return nil
}

// appendDER appends the ASN.1 form of an ES256 signature r || s of 64 bytes.
func appendDER(dst, signature []byte) []byte {
	dst = append(dst, 0x30, 0) // SEQUENCE; its length comes last
	dst = appendInteger(dst, signature[:32])
	dst = appendInteger(dst, signature[32:])
	dst[1] = byte(len(dst) - 2) //nolint:gosec // at most 70
	return dst
}

func appendInteger(dst, number []byte) []byte {
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	if number[0] >= 0x80 {
		dst = append(dst, 0x02, byte(len(number)+1), 0) //nolint:gosec // at most 33
		return append(dst, number...)
	}
	dst = append(dst, 0x02, byte(len(number))) //nolint:gosec // at most 32
	return append(dst, number...)
}

// sameKey reports whether two keys of a KeySource are the same. Pointers that are
// equal make it cheap.
func sameKey(a, b any) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		b, ok := b.(*ecdsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	case *rsa.PublicKey:
		b, ok := b.(*rsa.PublicKey)
		return ok && (a == b || a.Equal(b))
	case ed25519.PublicKey:
		b, ok := b.(ed25519.PublicKey)
		return ok && a.Equal(b)
	}
	return false
}
