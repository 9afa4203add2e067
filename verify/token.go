package verify

import (
	"context"
	"time"

	"github.com/countersign/countersign"
)

// Token is a verified token. Shared between requests: never change it.
type Token struct {
	// Principal has either its User or its Service set.
	Principal countersign.Principal
	Issuer    string
	Subject   string
	// ID is the jti, "" when there is none.
	ID       string
	ClientID string
	// Audience is aud; the client_id for cognito's access tokens.
	Audience []string
	// IssuedAt is zero when the token does not say (oidc only).
	IssuedAt  time.Time
	ExpiresAt time.Time
	// Claims are all claims, verified, as raw JSON by name.
	Claims map[string]RawClaim
}

// RawClaim is the raw JSON of a verified claim.
type RawClaim []byte

// RevocationChecker knows which tokens are revoked.
type RevocationChecker interface {
	// Revoked is asked at every verification, also for cached tokens, so it must be
	// fast. An error (countersign.Unavailable) refuses the token.
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Unverified is what a token says of itself. It is a type of its own, so that it
// can't be taken for a verified one.
type Unverified struct {
	Algorithm, Type, KeyID string
	Issuer, Subject, ID    string
	ClientID               string
	Audience               []string
	ExpiresAt              time.Time
}

// ParseUnverified reads a token without believing it: for explaining and for tests.
// Header parameters and algorithms that [Verifier.Verify] refuses are let through.
//
// Errors: [countersign.BadToken].
func ParseUnverified(token string) (Unverified, error) {
	if len(token) > maxTokenBytes {
		return Unverified{}, refuse(countersign.ReasonTokenTooLarge, "more than 16 KiB")
	}
	mem := newScratch()
	defer mem.free()
	var d document
	if err := d.parse(token, mem); err != nil {
		return Unverified{}, refuseBecause(countersign.ReasonTokenMalformed, err)
	}
	u := Unverified{Algorithm: d.header.algorithm, Type: d.header.typ, KeyID: d.header.keyID}
	r := reader{claims: &d.claims}
	u.Issuer = r.optional("iss")
	u.Subject = r.optional("sub")
	u.ID = r.optional("jti")
	u.ClientID = r.optional("client_id")
	u.Audience = r.list("aud")
	if exp, ok := r.date("exp"); ok {
		u.ExpiresAt = time.Unix(exp, 0).UTC()
	}
	if r.err != nil {
		return Unverified{}, r.err
	}
	return u, nil
}
