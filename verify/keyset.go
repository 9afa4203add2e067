package verify

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
)

// maxKeys bounds the keys of one set.
const maxKeys = 100

// KeySource gives verification keys: *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey.
type KeySource interface {
	// Key returns the key of that id for that algorithm. It is asked at every
	// verification, also of cached tokens, so it must be fast. Where nothing has
	// changed it returns the same pointer. kid is "" for a token that names no key:
	// then there must be exactly one that fits.
	//
	// Errors: countersign.BadToken with ReasonKeyUnknown; countersign.Upstream with
	// ReasonKeysUnavailable.
	Key(ctx context.Context, kid, algorithm string) (any, error)
}

// publicKey is a key of a set. Its algorithm follows from its type.
type publicKey struct {
	kid, algorithm string
	key            any
}

// keySet is a set of public keys; it never changes.
type keySet struct {
	byID map[string]publicKey
	// anonymous are keys without an id; they serve tokens without one.
	anonymous []publicKey
}

// find returns the key of that id for that algorithm.
func (s *keySet) find(kid, algorithm string) (any, bool) {
	if kid != "" {
		k, ok := s.byID[kid]
		return k.key, ok && k.algorithm == algorithm
	}
	var found any
	for _, k := range s.byID {
		if k.algorithm == algorithm {
			if found != nil {
				return nil, false
			}
			found = k.key
		}
	}
	for _, k := range s.anonymous {
		if k.algorithm == algorithm {
			if found != nil {
				return nil, false
			}
			found = k.key
		}
	}
	return found, found != nil
}

// Key implements KeySource.
func (s *keySet) Key(_ context.Context, kid, algorithm string) (any, error) {
	if key, ok := s.find(kid, algorithm); ok {
		return key, nil
	}
	return nil, errKeyUnknown
}

var errKeyUnknown = refuse(countersign.ReasonKeyUnknown, "the issuer has no such key")

// StaticKeys returns a KeySource of fixed keys by key id: *ecdsa.PublicKey on P-256,
// *rsa.PublicKey of 2048 to 8192 bits, ed25519.PublicKey.
//
// Errors: [countersign.Invalid].
func StaticKeys(keys map[string]any) (KeySource, error) {
	s := &keySet{byID: make(map[string]publicKey, len(keys))}
	for kid, key := range keys {
		algorithm := algorithmOf(key)
		if kid == "" || algorithm == "" {
			return nil, invalid(fmt.Sprintf("key %q is not a public key that can be used, or has no id", kid))
		}
		s.byID[kid] = publicKey{kid: kid, algorithm: algorithm, key: key}
	}
	return s, nil
}

// ParseJWKS returns a KeySource of the keys of a JWK set, for sets that come in files.
// Keys for other uses than signatures, and of other kinds than ES256, RS256 and EdDSA
// need, are left out. A set that holds a private or symmetric key, a key id twice, or
// more than 100 keys is refused as a whole.
//
// Errors: [countersign.Invalid].
// Source: RFC 7517 §5.
func ParseJWKS(document []byte) (KeySource, error) {
	s, err := parseKeySet(document)
	if err != nil {
		return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonParameterInvalid, "not a usable JWK set", err)
	}
	return s, nil
}

func parseKeySet(document []byte) (*keySet, error) {
	text := string(document)
	members, err := parseObject(text, false, nil)
	if err != nil {
		return nil, err
	}
	list, ok := (&claims{text: text, members: members}).find("keys")
	if !ok {
		return nil, errors.New("there is no member keys")
	}
	s := &keySet{byID: make(map[string]publicKey)}
	count := 0
	err = elementsOf(list, func(element string) error {
		if count++; count > maxKeys {
			return fmt.Errorf("more than %d keys", maxKeys)
		}
		return s.add(element)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// add takes one JWK into the set, or leaves it out if it is not for us.
//
// Source: RFC 7517 §4.
func (s *keySet) add(text string) error {
	members, err := parseObject(text, false, nil)
	if err != nil {
		return err
	}
	r := reader{claims: &claims{text: text, members: members}}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := r.claims.find(private); ok {
			return errors.New("a private or symmetric key")
		}
	}
	kid, kind, use, algorithm := r.optional("kid"), r.optional("kty"), r.optional("use"), r.optional("alg")
	operations := r.list("key_ops")
	switch {
	case r.err != nil:
		return r.err
	case kind == "oct":
		return errors.New("a symmetric key")
	case use != "" && use != "sig", operations != nil && !slices.Contains(operations, "verify"):
		return nil
	case kind != "EC" && kind != "RSA" && kind != "OKP":
		return nil
	}
	key, ok := parseKey(text)
	fits := algorithmOf(key)
	if !ok || fits == "" || algorithm != "" && algorithm != fits {
		return nil
	}
	entry := publicKey{kid: kid, algorithm: fits, key: key}
	if kid == "" {
		s.anonymous = append(s.anonymous, entry)
		return nil
	}
	if _, twice := s.byID[kid]; twice {
		return errors.New("a key id comes twice")
	}
	s.byID[kid] = entry
	return nil
}

// parseKey lets the JOSE library read a JWK. A panic of it on hostile input must not
// end a background refresh, and with it the process.
func parseKey(text string) (key any, ok bool) {
	defer func() {
		if recover() != nil {
			key, ok = nil, false
		}
	}()
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON([]byte(text)) != nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, false
	}
	if ec, isEC := jwk.Key.(*ecdsa.PublicKey); isEC {
		if _, err := ec.ECDH(); err != nil {
			return nil, false // not on the curve
		}
	}
	return jwk.Key, true
}

// reuse takes over the key objects of an older set where the keys are equal, so that
// comparing a cached token's key stays a comparison of pointers.
func (s *keySet) reuse(old *keySet) {
	if old == nil {
		return
	}
	for kid, k := range s.byID {
		if before, ok := old.byID[kid]; ok && sameKey(before.key, k.key) {
			k.key = before.key
			s.byID[kid] = k
		}
	}
	for i := range s.anonymous {
		for _, before := range old.anonymous {
			if sameKey(before.key, s.anonymous[i].key) {
				s.anonymous[i].key = before.key
			}
		}
	}
}
