package token

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

// The lifetimes of service tokens.
const (
	DefaultLifetime = 15 * time.Minute
	MinLifetime     = time.Minute
	MaxLifetime     = time.Hour
)

// Bounds of the texts of [Claims], in bytes: the scope, and everything else. They are
// those of package verify: whatever is minted verifies.
const (
	MaxScopeBytes    = 1024
	MaxIdentityBytes = 512
)

// Config of a [Minter]. Issuer and Keys are required.
type Config struct {
	// Issuer is our issuer URL, exactly as in discovery.
	Issuer string
	Keys   *keys.Ring
	// Lifetime is the default lifetime, 1 minute to 1 hour; 0 = 15 minutes.
	Lifetime time.Duration
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Claims are what a service token says, beside what the minter adds. Texts are UTF-8
// without control characters, of at most [MaxIdentityBytes] or [MaxScopeBytes].
type Claims struct {
	// Service is the name: sub, client_id and service_id; ServiceUID is service_uid.
	// Both are required.
	Service, ServiceUID string
	// Audience is exactly one (RULES B1). Scope is space-delimited; "" = none.
	Audience, Scope string
	// Tenant is "" for the platform: the claim is left out.
	Tenant string
	// Lifetime is 1 minute to 1 hour; 0 = the minter's default. Parts of a second are cut.
	Lifetime time.Duration
}

// Minted is a fresh token. Times are whole seconds, as in the token.
type Minted struct {
	Token               countersign.Secret
	ID                  string // jti: the request id that the caller passes, so that log and token agree
	KID                 string // the key that signed it
	IssuedAt, ExpiresAt time.Time
}

// Minter mints service tokens. Safe for concurrent use.
type Minter struct {
	keys     *keys.Ring
	lifetime time.Duration
	now      func() time.Time
	// start is the payload up to the value of sub.
	start []byte
	// header is that of the key that signed last.
	header atomic.Pointer[header]
}

// header is the encoded JOSE header for one key, with the dot that follows.
type header struct {
	signer *keys.Signer
	text   []byte
}

// New returns a Minter.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Minter, error) {
	if cfg.Issuer == "" || !utf8.ValidString(cfg.Issuer) || cfg.Keys == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "a minter needs an issuer and keys")
	}
	m := &Minter{keys: cfg.Keys, lifetime: cfg.Lifetime, now: cfg.Now}
	if m.lifetime == 0 {
		m.lifetime = DefaultLifetime
	}
	if !validLifetime(m.lifetime) {
		return nil, countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("the lifetime of tokens is %v; it is %v to %v", m.lifetime, MinLifetime, MaxLifetime))
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.start = appendString([]byte(`{"iss":`), cfg.Issuer)
	return m, nil
}

// Mint signs a service token with id as its jti. It waits for nothing; ctx is for keys
// that live elsewhere.
//
// Errors: countersign.Invalid for claims that are out of range, countersign.Unavailable
// when no key may sign now.
// Source: RFC 9068 §2.
func (m *Minter) Mint(_ context.Context, id string, c Claims) (Minted, error) {
	if c.Lifetime == 0 {
		c.Lifetime = m.lifetime
	}
	if err := c.check(id); err != nil {
		return Minted{}, err
	}
	signer, err := m.keys.Signer(keys.Token)
	if err != nil {
		return Minted{}, fmt.Errorf("mint access token: %w", err)
	}
	issued := m.now().Unix()
	expires := issued + int64(c.Lifetime/time.Second)

	var room [1024]byte
	payload := m.appendPayload(room[:0], id, c, issued, expires)
	text, err := sign(signer, m.headerFor(signer), payload)
	if err != nil {
		return Minted{}, fmt.Errorf("mint access token: %w", err)
	}
	return Minted{
		Token:     countersign.NewSecret(text),
		ID:        id,
		KID:       signer.KID,
		IssuedAt:  time.Unix(issued, 0).UTC(),
		ExpiresAt: time.Unix(expires, 0).UTC(),
	}, nil
}

// sign returns the compact serialisation; header ends in its dot.
//
// Source: RFC 7515 §7.1.
func sign(signer *keys.Signer, header, payload []byte) (string, error) {
	const signatureRoom = 1 + 342 // a dot and RSA 2048, the longest
	token := make([]byte, 0, len(header)+base64.RawURLEncoding.EncodedLen(len(payload))+signatureRoom)
	token = append(token, header...)
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature, err := signer.Sign(token)
	if err != nil {
		return "", err
	}
	token = append(token, '.')
	return string(base64.RawURLEncoding.AppendEncode(token, signature)), nil
}

func (m *Minter) headerFor(signer *keys.Signer) []byte {
	// The ring returns one *Signer for each key, so the pointer tells keys apart.
	if h := m.header.Load(); h != nil && h.signer == signer {
		return h.text
	}
	raw := appendString([]byte(`{"alg":`), signer.Algorithm)
	raw = append(raw, `,"typ":"at+jwt","kid":`...)
	raw = append(appendString(raw, signer.KID), '}')
	h := &header{signer: signer, text: append(base64.RawURLEncoding.AppendEncode(nil, raw), '.')}
	m.header.Store(h)
	return h.text
}

func (c Claims) check(id string) error {
	required := [...]struct{ name, value string }{
		{"token id", id}, {"service", c.Service}, {"service uid", c.ServiceUID}, {"audience", c.Audience},
	}
	for _, r := range required {
		if strings.TrimSpace(r.value) == "" {
			return invalid("the " + r.name + " is empty")
		}
		if !clean(r.value, MaxIdentityBytes) {
			return invalid("the " + r.name + " is too long or not plain text")
		}
	}
	if !clean(c.Tenant, MaxIdentityBytes) || !clean(c.Scope, MaxScopeBytes) {
		return invalid("tenant or scope is too long or not plain text")
	}
	if !validLifetime(c.Lifetime) {
		return invalid("the lifetime is out of range")
	}
	return nil
}

// clean reports whether text may stand in a claim.
func clean(text string, limit int) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == 0x7f {
			return false
		}
	}
	return len(text) <= limit && utf8.ValidString(text)
}

func validLifetime(d time.Duration) bool { return d >= MinLifetime && d <= MaxLifetime }

func invalid(why string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonClaimInvalid, "no token: "+why)
}
