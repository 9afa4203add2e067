package resource

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
)

// The bounds of a key set (RULES B3).
const (
	maxKeys    = 16
	minRSABits = 2048
	maxRSABits = 8192
)

// jwk is one public key, its members in canonical order.
//
// Source: RFC 7517 §4, RFC 7518 §6, RFC 8037 §2.
type jwk struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	Modulus   string `json:"n,omitempty"`
	Exponent  string `json:"e,omitempty"`
}

var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// readJWKS returns a key set as canonical JSON, nil when there is no key.
func readJWKS(f *fields) json.RawMessage {
	if f == nil {
		return nil
	}
	f.required("keys")
	var set struct {
		Keys []jwk `json:"keys"`
	}
	ids := make(map[string]bool)
	for _, item := range f.items("keys", maxKeys) {
		key := readKey(item)
		if key.KeyID != "" && ids[key.KeyID] {
			item.wrong("kid", "is given twice")
		}
		ids[key.KeyID] = true
		set.Keys = append(set.Keys, key)
	}
	f.done()
	if len(set.Keys) == 0 {
		return nil
	}
	text, err := marshal(set)
	if err != nil {
		f.wrong("keys", "can't be written")
	}
	return text
}

func readKey(f *fields) jwk {
	for _, name := range privateMembers {
		if f.has(name) {
			f.asked = append(f.asked, name)
			f.wrong(name, "belongs to a private or symmetric key: give the public key only, and replace this one, it is known now")
		}
	}
	key := jwk{KeyType: f.text("kty"), KeyID: f.text("kid"), Use: f.text("use"), Algorithm: f.text("alg")}
	f.required("kty")
	if f.has("use") && key.Use != "sig" {
		f.wrong("use", "must be sig")
	}
	fits := ""
	switch key.KeyType {
	case "EC":
		fits = "ES256"
		key.Curve, key.X, key.Y = f.text("crv"), f.text("x"), f.text("y")
		if key.Curve != "P-256" {
			f.wrong("crv", "must be P-256")
		} else if !onP256(key.X, key.Y) {
			f.wrong("x", "x and y must be a point of P-256, each 32 bytes in base64url without padding")
		}
	case "OKP":
		fits = "EdDSA"
		key.Curve, key.X = f.text("crv"), f.text("x")
		if x, ok := decode64(key.X); key.Curve != "Ed25519" {
			f.wrong("crv", "must be Ed25519")
		} else if !ok || len(x) != 32 {
			f.wrong("x", "must be 32 bytes in base64url without padding")
		}
	case "RSA":
		fits = "RS256"
		key.Modulus, key.Exponent = f.text("n"), f.text("e")
		f.rsa(key)
	default:
		if f.has("kty") {
			f.oneOf("kty", key.KeyType, []string{"EC", "OKP", "RSA"})
		}
		return key // its members are unknown
	}
	if f.has("alg") && key.Algorithm != fits {
		f.wrong("alg", fmt.Sprintf("must be %s for this key", fits))
	}
	f.done()
	return key
}

func (f *fields) rsa(key jwk) {
	n, ok := decode64(key.Modulus)
	bits := new(big.Int).SetBytes(n).BitLen()
	if !ok || bits < minRSABits || bits > maxRSABits || n[len(n)-1]&1 == 0 {
		f.wrong("n", fmt.Sprintf("must be a modulus of %d to %d bits in base64url without padding", minRSABits, maxRSABits))
	}
	e, ok := decode64(key.Exponent)
	exponent := new(big.Int).SetBytes(e)
	if !ok || exponent.BitLen() > 31 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0 {
		f.wrong("e", "must be an odd exponent from 3 to 2^31-1 in base64url without padding")
	}
}

func onP256(x, y string) bool {
	bx, okX := decode64(x)
	by, okY := decode64(y)
	if !okX || !okY || len(bx) != 32 || len(by) != 32 {
		return false
	}
	_, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, bx, by))
	return err == nil
}

func decode64(text string) ([]byte, bool) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return decoded, err == nil && len(decoded) > 0
}
