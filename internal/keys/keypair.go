package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// The algorithms of token keys. Those of other purposes have one each.
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
	// HKDFA256GCM is that of the sealing keys (RULES D5): each session token has an
	// AES-256-GCM key of its own, derived by HKDF-SHA-256. Nothing is signed with it.
	HKDFA256GCM = "HKDF-A256GCM"
)

// rsaBits is the size of new RSA keys, and the least that is opened (RULES B3).
const rsaBits = 2048

// keyPair is one key in memory. A sealing key has neither a public half nor a signer.
type keyPair struct {
	row    store.SigningKey // without Sealed
	public any
	jwk    json.RawMessage
	signer *Signer
	secret func() []byte // of a sealing key; nil = it is none
}

// makeKeyPair makes a key and returns its row, sealed. Of row it takes purpose, algorithm
// and schedule.
func makeKeyPair(cfg Config, row store.SigningKey) (store.SigningKey, error) {
	if symmetric(Purpose(row.Purpose)) {
		return makeSealingKey(cfg, row)
	}
	private, err := generate(row.Algorithm)
	if err != nil {
		return row, err
	}
	pair, err := newKeyPair(row, private)
	if err != nil {
		return row, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return row, fmt.Errorf("encode private key: %w", err)
	}
	defer clear(plain)
	row = pair.row
	row.Sealed, err = cfg.Master.Seal(row.Purpose, row.KID, cfg.DeploymentID, plain)
	if err != nil {
		return row, fmt.Errorf("seal private key: %w", err)
	}
	return row, nil
}

// openKeyPair opens a stored key. The public half is computed from the private one,
// which only the master key can have sealed: what the row says beside is not believed.
func openKeyPair(cfg Config, row store.SigningKey) (*keyPair, error) {
	plain, _, err := cfg.unseal(row.Purpose, row.KID, row.Sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if symmetric(Purpose(row.Purpose)) {
		return newSealingKey(row, plain)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, fmt.Errorf("decode private key: %w", err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !fits(row.Algorithm, private) {
		return nil, countersign.NewError(countersign.Invalid, "", "a private key does not fit its algorithm")
	}
	kid := row.KID
	pair, err := newKeyPair(row, private)
	if err != nil {
		return nil, err
	}
	if pair.row.KID != kid {
		return nil, countersign.NewError(countersign.Invalid, "", "a private key does not fit its id")
	}
	return pair, nil
}

// newKeyPair computes what follows from the private key: the public key, the key id
// (RFC 7638 thumbprint) and the JWK. Of row it takes the algorithm and the schedule.
func newKeyPair(row store.SigningKey, private crypto.Signer) (*keyPair, error) {
	public := private.Public()
	jwk := jose.JSONWebKey{Key: public, Algorithm: row.Algorithm, Use: "sig"}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("compute key id: %w", err)
	}
	row.KID = base64.RawURLEncoding.EncodeToString(thumbprint)
	jwk.KeyID = row.KID
	encoded, err := jwk.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	signer, err := newSigner(row.KID, row.Algorithm, private)
	if err != nil {
		return nil, err
	}
	row.Public, row.Sealed = encoded, nil
	return &keyPair{row: row, public: public, jwk: encoded, signer: signer}, nil
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, countersign.NewError(countersign.Invalid, "",
		fmt.Sprintf("signing algorithm %q is not one of ES256, RS256, EdDSA", algorithm))
}

// fits reports whether a key is one for an algorithm: neither may choose the other.
func fits(algorithm string, private crypto.Signer) bool {
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		return algorithm == ES256 && key.Curve == elliptic.P256()
	case *rsa.PrivateKey:
		return algorithm == RS256 && key.N.BitLen() >= rsaBits
	case ed25519.PrivateKey:
		return algorithm == EdDSA
	}
	return false
}

// usable reports whether the key signs at the time: [UseFrom, UseUntil).
func (k *keyPair) usable(at time.Time) bool { return within(at, k.row.UseFrom, k.row.UseUntil) }

// published reports whether the key is in the JWK set: [PublishAt, KeepUntil).
func (k *keyPair) published(at time.Time) bool { return within(at, k.row.PublishAt, k.row.KeepUntil) }

// within reports whether at is in [from, until); a zero until is no end.
func within(at, from, until time.Time) bool {
	return !at.Before(from) && (until.IsZero() || at.Before(until))
}
