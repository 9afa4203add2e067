package keys

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Purpose separates keys (RULES B7): a key serves exactly one.
type Purpose string

// The purposes.
const (
	Token Purpose = "token" // access tokens: at+jwt
	Audit Purpose = "audit" // heads of the audit chain
)

// Config of a [Ring]. Store, Master and DeploymentID are required.
type Config struct {
	Store        store.Store
	Master       *Master
	DeploymentID string
	// Algorithm of new token keys: ES256 (default), RS256 (2048 bits), EdDSA. When it
	// differs from that of the key in use, a new key is made and used from now on, and
	// the old one stays published.
	Algorithm string
	// TokenLifetime is the longest lifetime of a token: a key leaves the JWKS no
	// earlier than that after its last use.
	TokenLifetime time.Duration
	Now           func() time.Time
}

// Ring holds the keys in memory. Safe for concurrent use.
type Ring struct{}

// Open loads all keys, makes those that are missing, and checks that the master key
// is the one that sealed them.
//
// Errors: countersign.Unavailable (store), countersign.Invalid (wrong master key).
func Open(ctx context.Context, cfg Config) (*Ring, error) { panic("contract") }

// Signer signs for one purpose with one key.
type Signer struct {
	KID, Algorithm string
}

// Sign returns the JWS signature of input (ES256: r || s, 64 bytes).
func (s *Signer) Sign(input []byte) ([]byte, error) { panic("contract") }

// Signer returns the key in use for a purpose.
func (r *Ring) Signer(p Purpose) (*Signer, error) { panic("contract") }

// JWKS returns the published token keys as a JSON document and its ETag (with quotes).
func (r *Ring) JWKS() (body []byte, etag string) { panic("contract") }

// PublicKey returns the published token key of that id and its algorithm: a
// *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey.
func (r *Ring) PublicKey(kid string) (key any, algorithm string, ok bool) { panic("contract") }

// SignHead and VerifyHead implement audit.HeadSigner with the audit keys, which are
// kept for ever.
func (r *Ring) SignHead(message []byte) (kid string, signature []byte, err error) { panic("contract") }

// VerifyHead reports whether signature is kid's over message.
func (r *Ring) VerifyHead(kid string, message, signature []byte) bool { panic("contract") }

// Created returns the keys that Open made, for the audit log.
func (r *Ring) Created() []store.SigningKey { panic("contract") }

// NewClientSecret makes a client secret: csk_ + 256 random bits + CRC32, base62
// (RULES B3), and its keyed hash.
func (r *Ring) NewClientSecret() (secret countersign.Secret, hash []byte) { panic("contract") }

// HashClientSecret returns the keyed hash (HMAC-SHA-256) of a presented secret. The
// caller compares in constant time.
func (r *Ring) HashClientSecret(secret string) [32]byte { panic("contract") }

// WellFormedClientSecret reports whether secret has our form and checksum.
func WellFormedClientSecret(secret string) bool { panic("contract") }
