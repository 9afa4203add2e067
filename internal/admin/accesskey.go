package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// The bounds of access keys (RULES F7).
const (
	// DefaultAccessKeyLifetime is how long one lives if nothing is said.
	DefaultAccessKeyLifetime = 90 * 24 * time.Hour
	// MinAccessKeyLifetime and MaxAccessKeyLifetime bound what may be said.
	MinAccessKeyLifetime = time.Hour
	MaxAccessKeyLifetime = 366 * 24 * time.Hour
	// MaxAccessKeys bounds the live ones of a service.
	MaxAccessKeys = 10
)

// AccessKeySpec is what an administrator says of an access key.
type AccessKeySpec struct {
	Name, Service, Role string
	// Lifetime is 0 for the default.
	Lifetime time.Duration
}

// AccessKeyCredentials are shown once.
type AccessKeyCredentials struct {
	AccessKeyID     string
	SecretAccessKey countersign.Secret
	ExpiresAt       time.Time
}

// CreateAccessKey makes a long-lived key with which a service signs S3 requests as a role
// (RULES F7). It gives nobody what the service could not have by itself: the role must trust the
// service by a statement of its own tokens, and one with a condition does not count, because a
// condition judges the login that there is none of here. The key ends with that statement.
//
// Errors: countersign.Invalid, NotFound (no such service), Conflict (the name is taken, or the
// service has its keys), Denied (the role does not trust the service, or no key can be had for
// it), Throttled (sessions of the service or the role were revoked just now), Unavailable.
func (a *Admin) CreateAccessKey(ctx context.Context, actor Actor, spec AccessKeySpec) (ObjectDetail, AccessKeyCredentials, error) {
	c := &change{actor: actor, action: actionOf(resource.KindAccessKey, ApplyCreated), several: true}
	if err := actor.mayBegin(resource.KindAccessKey); err != nil {
		return ObjectDetail{}, AccessKeyCredentials{}, a.refused(ctx, c, err)
	}
	if err := spec.check(); err != nil {
		return ObjectDetail{}, AccessKeyCredentials{}, a.refused(ctx, c, err)
	}
	var made store.AccessKey
	var secret countersign.Secret
	err := a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		key, err := a.newAccessKey(ctx, tx, actor, spec)
		if err != nil {
			return err
		}
		if err := a.makeRoom(ctx, tx, c, key); err != nil {
			return err
		}
		if key, secret, err = a.keys.NewAccessKeyIn(ctx, tx, key); err != nil {
			return err //nolint:wrapcheck // it has its words
		}
		if err := tx.CreateAccessKey(ctx, key); err != nil {
			if errors.Is(err, countersign.Conflict) {
				return countersign.WrapError(countersign.Conflict, countersign.ReasonNameTaken, "the name is taken", err)
			}
			return err
		}
		made = key
		c.objects = append(c.objects, [2]string{resource.KindAccessKey, key.ID})
		c.events = append(c.events, a.accessKeyEvent(c, &key, ApplyCreated))
		return nil
	})
	if err != nil {
		return ObjectDetail{}, AccessKeyCredentials{}, err
	}
	detail, err := a.detailOf(ctx, accessKeyRow(made))
	return detail, AccessKeyCredentials{made.ID, secret, made.ExpiresAt}, err
}

func (s *AccessKeySpec) check() error {
	if _, err := policy.ParseName(s.Name); err != nil {
		return err //nolint:wrapcheck // it has its words
	}
	if s.Lifetime == 0 {
		s.Lifetime = DefaultAccessKeyLifetime
	}
	switch {
	case policy.Reserved(s.Name):
		return invalid(countersign.ReasonNameReserved, "the name is reserved")
	case !countersign.ValidName(s.Service):
		return unknownService(nil)
	case !countersign.ValidName(s.Role):
		return noTrust("there is no such role that trusts the service")
	case s.Lifetime < MinAccessKeyLifetime || s.Lifetime > MaxAccessKeyLifetime || s.Lifetime%time.Second != 0:
		return invalid(countersign.ReasonParameterInvalid, "an access key lives from 1 hour to 366 days, in whole seconds")
	}
	return nil
}

// newAccessKey decides whether there may be such a key, and returns it without id and secret.
func (a *Admin) newAccessKey(ctx context.Context, tx store.Tx, actor Actor, spec AccessKeySpec) (key store.AccessKey, err error) {
	s, err := tx.Service(ctx, spec.Service)
	if err != nil {
		return key, err
	}
	if err := actor.mayCreate(target{resource.KindAccessKey, spec.Name, s.Tenant, ""}); err != nil {
		if !actor.MayRead(resource.KindService, s.Name, s.Tenant) {
			err = unknownService(nil)
		}
		return key, err
	}
	if s.Disabled {
		return key, countersign.NewError(countersign.Denied, countersign.ReasonClientDisabled, "the service is disabled")
	}
	role, err := find(ctx, tx, resource.KindRole, spec.Role)
	if errors.Is(err, countersign.NotFound) {
		return key, noTrust("there is no such role that trusts the service")
	}
	if err != nil {
		return key, err
	}
	fingerprint, err := a.accessKeyTrust(ctx, role.document, s)
	if err != nil {
		return key, err
	}
	// What another replica revoked before is committed: nothing runs beside this transaction.
	bounded, cancel := pollWithin(ctx)
	defer cancel()
	if err := a.registry.CatchUp(bounded); err != nil {
		return key, err //nolint:wrapcheck // it has its words
	}
	now := a.clock()
	key = store.AccessKey{
		UID: randomID(16), Name: spec.Name, Tenant: s.Tenant, Service: s.Name, ServiceUID: s.UID,
		Role: spec.Role, RoleUID: role.uid, Trust: fingerprint, Revision: 1, CreatedAt: now, ExpiresAt: now.Add(spec.Lifetime).Truncate(time.Second),
	}
	// One that is made earlier would be born revoked (RULES E3).
	from := a.registry.MintSessionFrom(registry.SessionFacts{Service: s.Name, ServiceUID: s.UID, Role: key.Role, RoleUID: key.RoleUID})
	if now.Before(from) {
		return key, &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonSessionRevoked,
			Msg: "sessions of this service or role were revoked just now: try again in a moment", RetryAfter: from.Sub(now)}
	}
	return key, nil
}

// accessKeyTrust returns the fingerprint of the statement by which the role trusts the service.
func (a *Admin) accessKeyTrust(ctx context.Context, role *resource.Document, s store.Service) (fingerprint string, err error) {
	// What is of another tenant is not told apart from what is not there (RULES A6).
	refused := noTrust("there is no such role that trusts the service, by a statement without a condition")
	if role.Tenant != "" && role.Tenant != s.Tenant && !slices.Contains(s.SharedWith, role.Tenant) {
		return "", refused
	}
	issuer := a.issuer
	if issuer == "" {
		issuer = "countersign"
	}
	id := trust.Identity{Kind: trust.KindService, Issuer: issuer, Subject: s.Name, Service: s.Name, ServiceUID: s.UID, Tenant: s.Tenant}
	for i := range role.Role.Trust {
		statement := &role.Role.Trust[i]
		if statement.Service == nil || statement.Service.Condition != "" {
			continue
		}
		compiled, err := trust.Compile(registry.TrustSpec(statement))
		if err != nil {
			return "", fmt.Errorf("compile the trust of role %s: %w", role.Name, err)
		}
		if ok, _ := compiled.Match(ctx, id, trust.RequestContext{Time: a.now(), Role: role.Name, Tenant: role.Tenant}); ok {
			fingerprint = compiled.Fingerprint()
			break
		}
	}
	switch {
	case fingerprint == "":
		return "", refused
	case role.Role.Broker != nil:
		return "", noTrust("the role hands out credentials of a real cloud, and no keys of ours")
	}
	return fingerprint, mayResolve(role, s)
}

// mayResolve refuses a role whose templates have no value for a key, as package authn has them:
// such a key would open nothing.
func mayResolve(role *resource.Document, s store.Service) error {
	permissions := make([]policy.Permission, 0, len(role.Role.Permissions))
	for _, p := range role.Role.Permissions {
		permissions = append(permissions, policy.Permission(p))
	}
	compiled, err := policy.CompilePermissions(permissions)
	if err == nil {
		_, err = compiled.Resolve(map[string]string{"tenant": s.Tenant, "service": s.Name, "role": role.Name})
	}
	if countersign.ReasonOf(err) == countersign.ReasonTemplateValue {
		return countersign.WrapError(countersign.Denied, countersign.ReasonTemplateValue,
			"a template in the role's permissions has no value for a key of this service: there is no subject, issuer or claim, and {tenant} is that of the service", err)
	}
	return err //nolint:wrapcheck // it has its words
}

// makeRoom refuses too many live keys of a service, and forgets those that ended long ago.
func (a *Admin) makeRoom(ctx context.Context, tx store.Tx, c *change, key store.AccessKey) error {
	now := key.CreatedAt
	live := 0
	for after := ""; ; {
		page, err := tx.AccessKeys(ctx, store.AccessKeyFilter{ServiceUID: key.ServiceUID}, store.Page{After: after, Limit: store.MaxLimit})
		if err != nil {
			return err
		}
		for _, other := range page {
			after = other.Name
			end := other.ExpiresAt
			if !other.RevokedAt.IsZero() && other.RevokedAt.Before(end) {
				end = other.RevokedAt
			}
			switch {
			case now.Before(end):
				live++
			case end.Before(now.Add(-keepExpired)):
				if err := tx.DeleteAccessKey(ctx, other.UID); err != nil {
					return err
				}
				c.objects = append(c.objects, [2]string{resource.KindAccessKey, other.ID})
			}
		}
		if len(page) < store.MaxLimit {
			break
		}
	}
	if live >= MaxAccessKeys {
		return countersign.NewError(countersign.Conflict, countersign.ReasonAccessKeyLimit,
			fmt.Sprintf("the service has %d live access keys, which is the most: delete one", live))
	}
	return nil
}

// accessKeyEvent tells of one access key.
func (a *Admin) accessKeyEvent(c *change, key *store.AccessKey, action ApplyAction) audit.Event {
	detail := fmt.Sprintf("uid=%s expires=%s", key.UID, key.ExpiresAt.Format(time.RFC3339))
	if key.Tenant != "" {
		detail += " tenant=" + key.Tenant
	}
	e := a.objectEvent(c, resource.KindAccessKey, key.Name, action, detail)
	e.Role, e.Session = key.Role, key.ID
	if e.Service == "" { // else that is who does it
		e.Service, e.ServiceUID = key.Service, key.ServiceUID
	}
	return e
}

// The states of an access key.
const (
	AccessKeyLive    = "live"
	AccessKeyRevoked = "revoked"
	AccessKeyExpired = "expired"
	// AccessKeyEnded: its service, its role or the trust between them is another one now.
	AccessKeyEnded = "ended"
)

// accessKeyState tells what has become of a key; "" = that can't be told now.
func (a *Admin) accessKeyState(ctx context.Context, k *store.AccessKey) string {
	switch {
	case !k.RevokedAt.IsZero():
		return AccessKeyRevoked
	case !a.now().Before(k.ExpiresAt):
		return AccessKeyExpired
	}
	revoked, err := a.registry.AccessKeyRevoked(ctx, &registry.AccessKey{
		ID: k.ID, Service: k.Service, ServiceUID: k.ServiceUID, Role: k.Role, RoleUID: k.RoleUID, Trust: k.Trust,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
	})
	switch {
	case err != nil:
		return ""
	case revoked:
		return AccessKeyEnded
	}
	return AccessKeyLive
}

func noTrust(msg string) error {
	return countersign.NewError(countersign.Denied, countersign.ReasonTrustNotMatched, msg)
}
