package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// CreateService registers a service and makes its first secret, which never expires.
//
// Errors: countersign.Invalid, BadScope, BadTarget, Conflict (the name is taken),
// Denied (RULES A7), Unavailable.
func (a *Admin) CreateService(ctx context.Context, actor Actor, spec ServiceSpec) (ServiceDetail, Credentials, error) {
	c := &change{actor: actor, action: "service.create", name: spec.Name}
	now := a.clock()
	s, err := newService(spec, now)
	if err == nil {
		err = actor.mayCreate(serviceTarget(s))
	}
	if err != nil {
		return ServiceDetail{}, Credentials{}, a.refused(ctx, c, err)
	}
	value, secret := a.newSecret(s.UID, now)
	var made ServiceDetail
	err = a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		if err := tenantThere(ctx, tx, actor, s.Tenant); err != nil {
			return err
		}
		if err := mayGrant(actor, s, nil, serviceNamed(ctx, tx)); err != nil {
			return err
		}
		foreign, err := foreignAudience(s, serviceNamed(ctx, tx))
		if err != nil {
			return err
		}
		if foreign != "" {
			return invalid(countersign.ReasonParameterInvalid, "the service "+foreign+" belongs to another tenant, and is not shared with "+s.Tenant)
		}
		if err := tx.CreateService(ctx, s); err != nil {
			if errors.Is(err, countersign.Conflict) {
				return countersign.WrapError(countersign.Conflict, countersign.ReasonNameTaken, "the name is taken", err)
			}
			return err
		}
		if err := tx.PutClientSecret(ctx, secret); err != nil {
			return err
		}
		c.detail = describeGrant(s) + " secret=" + secret.ID
		made, err = a.detail(ctx, tx, s)
		return err
	})
	if err != nil {
		return ServiceDetail{}, Credentials{}, err
	}
	return made, Credentials{ClientID: s.Name, ClientSecret: value}, nil
}

// newSecret makes a secret and the record of it.
func (a *Admin) newSecret(serviceUID string, now time.Time) (countersign.Secret, store.ClientSecret) {
	value, hash := a.keys.NewClientSecret()
	return value, store.ClientSecret{ID: randomID(8), ServiceUID: serviceUID, Hash: hash, CreatedAt: now}
}

// describeGrant tells the audit log what the service got.
func describeGrant(s store.Service) string {
	words := []string{"uid=" + s.UID}
	if s.Tenant != "" {
		words = append(words, "tenant="+s.Tenant)
	}
	if len(s.Scopes) > 0 {
		words = append(words, "scopes="+strings.Join(s.Scopes, ","))
	}
	if len(s.Audiences) > 0 {
		words = append(words, "audiences="+strings.Join(s.Audiences, ","))
	}
	return strings.Join(words, " ")
}

// randomID returns n random bytes in hex.
func randomID(n int) string {
	id := make([]byte, n)
	_, _ = rand.Read(id) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(id)
}
