package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// now is the clock of tests that don't move it.
var now = time.Unix(1_800_000_000, 0)

const (
	issuerURL  = "https://auth.example.com"
	foreignURL = "https://idp.example.com/pool"
	audience   = "parse-service"
)

// The keys of all tests: making them is slow.
var (
	ecKey  = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	ecKey2 = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	edKey  = ed25519.NewKeyFromSeed(make([]byte, 32))
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// object is a JSON object of a test; raw JSON goes in as json.RawMessage.
type object map[string]any

// with returns a copy with changes; a nil value takes a member out.
func (o object) with(changes object) object {
	c := maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

func header() object { return object{"alg": "ES256", "typ": "at+jwt", "kid": "k1"} }

func serviceClaims() object {
	return object{
		"iss": issuerURL, "sub": "document-service", "aud": audience, "client_id": "document-service",
		"service_id": "document-service", "service_uid": "u-1", "scope": "s2s:internal documents:read",
		"tenant": "acme", "jti": "0190a5f2-0000-7000-8000-000000000001",
		"iat": now.Unix(), "exp": now.Unix() + 900,
	}
}

func userClaims() object {
	return object{
		"iss": foreignURL, "sub": "alice", "aud": audience, "exp": now.Unix() + 900,
		"iat": now.Unix(), "roles": []string{"admins", "other"}, "scope": "read write", "tenant": "acme",
	}
}

func encode(part []byte) string { return base64.RawURLEncoding.EncodeToString(part) }

// mint signs with the private key that fits alg; the header decides nothing else.
func mint(header, claims object) string {
	return mintRaw(header, must(json.Marshal(claims)), ecKey)
}

func mintRaw(header object, payload []byte, key any) string {
	return sign(must(json.Marshal(header)), payload, key)
}

func sign(header, payload []byte, key any) string {
	input := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s := must2(ecdsa.Sign(rand.Reader, k, digest[:]))
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		signature = must(rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:]))
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(input))
	case []byte:
		signature = k
	default:
		panic(fmt.Sprintf("no key: %T", key))
	}
	return input + "." + encode(signature)
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func keys() verify.KeySource {
	return must(verify.StaticKeys(map[string]any{"k1": &ecKey.PublicKey}))
}

// config is a receiver of service tokens and of one foreign issuer's users.
func config() verify.Config {
	return verify.Config{
		Audience: audience,
		Issuers: []verify.Issuer{
			{URL: issuerURL, Keys: keys()},
			{
				URL: foreignURL, Subject: verify.User, Keys: keys(),
				Roles: map[string]string{"admins": "admin"}, Scopes: []string{"read"}, Tenants: []string{"acme"},
			},
		},
		Now: func() time.Time { return now },
	}
}

func newVerifier(t testing.TB, cfg verify.Config) *verify.Verifier {
	t.Helper()
	v, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// wantReason checks that err has the reason, and the code that belongs to it.
func wantReason(t testing.TB, err error, reason countersign.Reason) {
	t.Helper()
	code, other := map[countersign.Reason]countersign.Code{
		countersign.ReasonTokenExpired:      countersign.Expired,
		countersign.ReasonKeysUnavailable:   countersign.Upstream,
		countersign.ReasonRevocationUnknown: countersign.Unavailable,
	}[reason]
	if !other {
		code = countersign.BadToken
	}
	if err == nil || countersign.ReasonOf(err) != reason || countersign.CodeOf(err) != code {
		t.Errorf("got %v (%s, %s), want %s, %s", err, countersign.CodeOf(err), countersign.ReasonOf(err), code, reason)
	}
}
