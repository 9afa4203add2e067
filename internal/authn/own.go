package authn

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/verify"
)

// OwnKeys returns our own key set, straight from memory.
func OwnKeys(ring *keys.Ring) verify.KeySource { return ownKeys{ring} }

type ownKeys struct{ ring *keys.Ring }

// Key implements verify.KeySource. Our tokens always name their key.
func (k ownKeys) Key(_ context.Context, kid, algorithm string) (any, error) {
	key, its, ok := k.ring.PublicKey(kid)
	if !ok || its != algorithm {
		return nil, errKeyUnknown
	}
	return key, nil
}

// Revocations returns what the registry knows of the tokens of our issuer and of others.
func Revocations(r *registry.Registry, issuer string) verify.RevocationChecker {
	return ownRevocations{r, issuer}
}

type ownRevocations struct {
	registry *registry.Registry
	issuer   string
}

// Revoked implements verify.RevocationChecker.
func (o ownRevocations) Revoked(ctx context.Context, t *verify.Token) (bool, error) {
	if t.Issuer != o.issuer {
		return o.registry.Revoked(ctx, foreignFacts(t.Issuer, t.Subject, t.IssuedAt))
	}
	service := &t.Principal.Service
	return o.registry.Revoked(ctx, registry.TokenFacts{
		JTI: t.ID, KID: service.Proof.KeyID, Service: service.Name, ServiceUID: service.UID,
		Issuer: t.Issuer, IssuedAt: t.IssuedAt,
	})
}

func foreignFacts(issuer, subject string, issuedAt time.Time) registry.TokenFacts {
	return registry.TokenFacts{Foreign: true, Issuer: issuer, Subject: subject, IssuedAt: issuedAt}
}

var errKeyUnknown = countersign.NewError(countersign.BadToken, countersign.ReasonKeyUnknown, "the token is not valid")
