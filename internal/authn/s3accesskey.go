package authn

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/sigv4"
)

// prefixAccessKey begins the id of a long-lived access key.
const prefixAccessKey = "AKIA"

// accessKey proves who signs with a service's own access key. What ends the key is looked at
// only when the signature is its, so that an id alone tells nothing of it.
func (a *S3) accessKey(ctx context.Context, signed *sigv4.Request, o S3Options) (*S3Caller, error) {
	if !signed.SessionToken.IsZero() { // RULES D5
		return nil, countersign.NewError(countersign.BadClient, countersign.ReasonAccessKeyMalformed, sayEnded)
	}
	from := a.sessions.cfg.Registry
	key, err := from.AccessKey(ctx, signed.AccessKeyID)
	if errors.Is(err, countersign.NotFound) {
		return nil, countersign.WrapError(countersign.BadClient, countersign.ReasonAccessKeyUnknown, sayUnknownKey, err)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if err := a.verify(signed, key.Secret, o); err != nil {
		return nil, err
	}
	return a.ofAccessKey(ctx, signed, key)
}

// ofAccessKey reads what an access key may do that was proven.
func (a *S3) ofAccessKey(ctx context.Context, signed *sigv4.Request, key *registry.AccessKey) (*S3Caller, error) {
	if !a.sessions.cfg.Now().Before(key.ExpiresAt) {
		return nil, errKeyExpired
	}
	revoked, err := a.sessions.cfg.Registry.AccessKeyRevoked(ctx, key)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its words
	}
	if revoked {
		return nil, errKeyEnded
	}
	caller := &S3Caller{AccessKey: key, signed: signed, secret: key.Secret, expiresAt: key.ExpiresAt}
	if err := a.bind(ctx, caller); err != nil {
		return nil, err
	}
	return caller, nil
}

// bind reads the role of an access key, with the values of its service. A key knows no subject,
// issuer or claims: a role that asks for them refuses it (RULES D3).
func (a *S3) bind(ctx context.Context, caller *S3Caller) error {
	key := caller.AccessKey
	role, err := a.sessions.cfg.Registry.Role(ctx, key.Role)
	if err != nil || role.UID != key.RoleUID {
		return goneMeanwhile(err)
	}
	service, err := a.sessions.cfg.Registry.Service(ctx, key.Service)
	if err != nil || service.UID != key.ServiceUID {
		return goneMeanwhile(err)
	}
	caller.Role = role
	values := map[string]string{"service": service.Name, "tenant": service.Tenant, "role": role.Name}
	return caller.resolve(func(name string) string { return values[name] })
}

// goneMeanwhile: it was there when the key was asked whether it is revoked.
func goneMeanwhile(err error) error {
	if err == nil || errors.Is(err, countersign.NotFound) {
		return errKeyEnded
	}
	return fmt.Errorf("read what an access key is bound to: %w", err)
}

// sayUnknownKey is what AWS says.
const sayUnknownKey = "The AWS Access Key Id you provided does not exist in our records."

var (
	errKeyEnded   = countersign.NewError(countersign.BadClient, countersign.ReasonAccessKeyEnded, sayUnknownKey)
	errKeyExpired = countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, "The access key has expired")
)
