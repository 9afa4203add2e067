package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/verify"
)

// assertionType is the one kind of client assertion that is served.
//
// Source: RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// maxAssertionLife is how far ahead an assertion may end (RULES B2).
	maxAssertionLife = 5 * time.Minute
	// assertionSkew is what verifiers allow after the end: a jti is kept that long.
	assertionSkew = 60 * time.Second
	// maxAssertionID bounds the jti, in bytes.
	maxAssertionID = 256
	// maxVerifiers bounds the verifiers of clients that are kept. Key: the client's uid
	// and revision; lifetime: until it is changed or another one takes the place.
	maxVerifiers = 1024
)

// assertionChecker proves clients by their private keys.
type assertionChecker struct {
	issuer string
	once   store.SingleUse
	now    func() time.Time
	decoys decoys

	mu        sync.Mutex
	verifiers map[string]clientVerifier
}

// clientVerifier knows the keys of one revision of a client.
type clientVerifier struct {
	revision int64
	*verify.Verifier
}

func newAssertionChecker(issuer string, once store.SingleUse, now func() time.Time) *assertionChecker {
	return &assertionChecker{issuer: issuer, once: once, now: now, verifiers: make(map[string]clientVerifier)}
}

// check proves that the client made the assertion: for us alone, a moment ago, and that
// it never came before, on no replica. A client that is unknown or has no keys costs a
// signature check too (RULES B4).
//
// Errors: countersign.BadClient; countersign.Unavailable when single use or the client's
// keys can't be had: then nothing is accepted (RULES B2).
// Source: RFC 7523 §3.
func (c *assertionChecker) check(ctx context.Context, service *registry.Service, assertion string) error {
	verifier, err := c.verifier(service)
	if err != nil {
		return badAssertion(countersign.ReasonAssertionInvalid, err)
	}
	t, err := verifier.Verify(ctx, assertion)
	switch code := countersign.CodeOf(err); {
	case err == nil:
	case code == countersign.Upstream || code == countersign.Unavailable:
		return countersign.WrapError(countersign.Unavailable, countersign.ReasonKeysUnavailable,
			"the client's keys can't be had now", err)
	default:
		return badAssertion(countersign.ReasonOf(err), err)
	}
	now := c.now()
	switch {
	case service.UID == "" || t.Subject != service.Name:
		return badAssertion(countersign.ReasonClientUnknown, nil)
	case !strings.HasPrefix(string(t.Claims["aud"]), `"`):
		return badAssertion(countersign.ReasonAudMismatch, nil) // a list, even of us alone (vulnerabilities 16)
	case t.ExpiresAt.After(now.Add(maxAssertionLife + assertionSkew)),
		!t.IssuedAt.IsZero() && t.ExpiresAt.Sub(t.IssuedAt) > maxAssertionLife:
		return badAssertion(countersign.ReasonAssertionInvalid, nil)
	case t.ID == "" || len(t.ID) > maxAssertionID:
		return badAssertion(countersign.ReasonClaimMissing, nil)
	}
	first, err := c.once.UseOnce(ctx, assertionKey(service.UID, t.ID), t.ExpiresAt.Add(2*assertionSkew), now)
	if err != nil {
		return fmt.Errorf("note the use of an assertion: %w", err)
	}
	if !first {
		return badAssertion(countersign.ReasonAssertionReplayed, nil)
	}
	return nil
}

// assertionKey is what single use goes by: lengths first, so that no two differ only in
// where one part ends.
func assertionKey(uid, jti string) string {
	h := sha256.New()
	for _, part := range []string{"client-assertion", uid, jti} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = h.Write(size[:])
		_, _ = h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func badAssertion(reason countersign.Reason, cause error) error {
	return countersign.WrapError(countersign.BadClient, reason, sayBadClient, cause)
}

// verifier returns the verifier of the client's keys, made anew when the client changed.
func (c *assertionChecker) verifier(service *registry.Service) (*verify.Verifier, error) {
	c.mu.Lock()
	kept, ok := c.verifiers[service.UID]
	c.mu.Unlock()
	if ok && kept.revision == service.Revision {
		return kept.Verifier, nil
	}
	fresh, err := c.newVerifier(service)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	var dropped []*verify.Verifier
	if old, ok := c.verifiers[service.UID]; ok {
		dropped = append(dropped, old.Verifier)
	}
	for uid, old := range c.verifiers {
		if len(c.verifiers) < maxVerifiers {
			break
		}
		dropped = append(dropped, old.Verifier)
		delete(c.verifiers, uid)
	}
	c.verifiers[service.UID] = clientVerifier{service.Revision, fresh}
	c.mu.Unlock()
	for _, old := range dropped {
		_ = old.Close()
	}
	return fresh, nil
}

// newVerifier takes the client for an issuer of its own: iss and sub are its name.
func (c *assertionChecker) newVerifier(service *registry.Service) (*verify.Verifier, error) {
	name := service.Name
	if name == "" {
		name = "-" // can't be registered; the decoys answer for it
	}
	// A private address that is written there was allowed when it was stored (RULES A8); one
	// that a name turns out to have is not (RULES C2).
	entry := verify.Issuer{URL: name, Subject: verify.Service, Profile: verify.OIDC, JWKSURL: service.JWKSURI,
		AllowPrivateAddresses: resource.NamesPrivateAddress(service.JWKSURI),
		Algorithms:            []string{verify.ES256, verify.RS256, verify.EdDSA}}
	if service.JWKSURI == "" {
		source := &clientKeys{decoys: &c.decoys}
		if len(service.JWKS) > 0 {
			var err error
			if source.own, err = verify.ParseJWKS(service.JWKS); err != nil {
				return nil, fmt.Errorf("read the client's keys: %w", err)
			}
		}
		entry.Keys = source
	}
	return verify.New(verify.Config{Audience: c.issuer, Issuers: []verify.Issuer{entry}, MaxCached: -1, Now: c.now})
}

// close ends the verifiers.
func (c *assertionChecker) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for uid, v := range c.verifiers {
		_ = v.Close()
		delete(c.verifiers, uid)
	}
}

// clientKeys answers for a key that the client does not have with a decoy of that
// algorithm, so that a guesser's assertion costs the same for every client and none.
type clientKeys struct {
	own    verify.KeySource // nil = none
	decoys *decoys
}

// Key implements verify.KeySource.
func (k *clientKeys) Key(ctx context.Context, kid, algorithm string) (any, error) {
	if k.own != nil {
		if key, err := k.own.Key(ctx, kid, algorithm); err == nil {
			return key, nil
		}
	}
	return k.decoys.of(algorithm)
}

// decoys are public keys whose private halves were thrown away. Made at first need.
type decoys struct {
	mu   sync.Mutex
	keys map[string]any
}

func (d *decoys) of(algorithm string) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key, ok := d.keys[algorithm]; ok {
		return key, nil
	}
	key, err := newDecoy(algorithm)
	if err != nil {
		return nil, countersign.WrapError(countersign.BadToken, countersign.ReasonKeyUnknown, sayBadClient, err)
	}
	if d.keys == nil {
		d.keys = make(map[string]any)
	}
	d.keys[algorithm] = key
	return key, nil
}

func newDecoy(algorithm string) (any, error) {
	switch algorithm {
	case verify.ES256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err //nolint:wrapcheck // wrapped by its one caller
		}
		return &key.PublicKey, nil
	case verify.RS256:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
		return &key.PublicKey, nil
	default:
		public, _, err := ed25519.GenerateKey(rand.Reader)
		return public, err //nolint:wrapcheck // as above
	}
}
