package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

// maxLiveSecrets is how many secrets of a service are live at once (RULES B3).
const maxLiveSecrets = 2

// sayBadClient is what every client hears that could not be authenticated: an
// unknown or disabled one, and one with a wrong or an expired secret (RULES B4).
const sayBadClient = "client authentication failed"

// secretChecker finds out which secret of a service was presented. The work is the
// same for every service and for none: one keyed hash and maxLiveSecrets comparisons
// in constant time.
type secretChecker struct {
	hash func(secret string) [32]byte
}

func newSecretChecker(ring *keys.Ring) secretChecker {
	return secretChecker{hash: ring.HashClientSecret}
}

// match returns the secret that was presented, nil when it is none of them. Expired
// ones are found too.
func (c secretChecker) match(live []registry.Secret, presented countersign.Secret) *registry.Secret {
	live = live[max(0, len(live)-maxLiveSecrets):]
	var slots [maxLiveSecrets][32]byte
	for i := range live {
		slots[i] = live[i].Hash
	}
	sum := c.hash(presented.Reveal())
	var same [maxLiveSecrets]int
	for i := range slots {
		same[i] = subtle.ConstantTimeCompare(sum[:], slots[i][:])
	}
	for i := range live { // an empty slot matches nothing, whatever the hash is
		if same[i] == 1 {
			return &live[i]
		}
	}
	return nil
}

// Failed authentications are limited: after failureBurst of them one more every
// failureEvery.
const (
	failureBurst = 10
	failureEvery = 6 * time.Second
)

// failureKey is what they are counted by: the client id, "" for all that can't be
// one, and the address (IPv6: its /64). So a guesser is stopped, and nobody can lock
// a service out from elsewhere (RULES B4).
type failureKey struct {
	client string
	from   netip.Prefix
}

func newFailureKey(client string, addr netip.Addr) failureKey {
	if !countersign.ValidName(client) {
		client = ""
	}
	return failureKey{client, web.LimiterKey(addr)}
}

// authenticate proves the client. It does the same work for an unknown client as for
// a known one, and its answer is the same; only the reason differs, which goes to the
// audit log.
//
// Errors: countersign.Unauthenticated (no credentials), BadClient, Throttled,
// Unavailable.
// Source: RFC 6749 §2.3.1.
func (h *Handler) authenticate(ctx context.Context, c credentials) (*registry.Service, error) {
	if c.method == "" {
		return nil, countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing,
			"client authentication is required")
	}
	key := newFailureKey(c.id, web.ClientAddr(ctx))
	if wait, blocked := h.failures.Blocked(key); blocked {
		return nil, &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited,
			Msg: "too many failed attempts; try again later", RetryAfter: wait}
	}
	service, err := h.lookUp(ctx, c.id)
	if err != nil {
		return nil, err
	}
	if err := h.prove(ctx, service, c); err != nil {
		if errors.Is(err, countersign.BadClient) {
			h.failures.Fail(key)
		}
		return nil, err
	}
	if h.identities != nil && !h.identities.Allow(service.Name) {
		return nil, &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited,
			Msg: "too many requests of this client; try again later", RetryAfter: time.Second}
	}
	return service, nil
}

// prove holds what was presented against what the service has.
//
// Errors: countersign.BadClient, Unavailable.
func (h *Handler) prove(ctx context.Context, service *registry.Service, c credentials) error {
	if c.method == privateKey || c.method == federatedJWT || c.method == awsIdentity {
		if err := h.proveByAssertion(ctx, service, c); err != nil {
			return err
		}
		if service.Disabled {
			return countersign.NewError(countersign.BadClient, countersign.ReasonClientDisabled, sayBadClient)
		}
		return nil
	}
	now := h.cfg.Now()
	secret := h.secrets.match(service.Secrets, c.secret)
	if reason := judge(service, secret, now); reason != countersign.ReasonOK {
		return countersign.NewError(countersign.BadClient, reason, sayBadClient)
	}
	h.cfg.Registry.Used(service.Name, secret.ID, now)
	return nil
}

func (h *Handler) proveByAssertion(ctx context.Context, service *registry.Service, c credentials) error {
	if c.method == privateKey {
		return h.assertions.check(ctx, service, c.secret.Reveal())
	}
	return h.federation.check(ctx, service, c, trust.RequestContext{Time: h.cfg.Now(), Tenant: service.Tenant})
}

// nobody stands for a client that is not registered.
var nobody registry.Service

// lookUp returns the service of that name, or nobody.
func (h *Handler) lookUp(ctx context.Context, id string) (*registry.Service, error) {
	if !countersign.ValidName(id) {
		return &nobody, nil // can't be registered: no reason to ask the database
	}
	service, err := h.cfg.Registry.Service(ctx, id)
	if errors.Is(err, countersign.NotFound) {
		return &nobody, nil
	}
	return service, err
}

// judge says why the client is not believed, or ReasonOK. A disabled client is told
// apart only once its secret was right.
func judge(service *registry.Service, secret *registry.Secret, now time.Time) countersign.Reason {
	switch {
	case service.UID == "":
		return countersign.ReasonClientUnknown
	case secret == nil:
		return countersign.ReasonSecretWrong
	case !secret.ExpiresAt.IsZero() && !now.Before(secret.ExpiresAt):
		return countersign.ReasonSecretExpired
	case service.Disabled:
		return countersign.ReasonClientDisabled
	}
	return countersign.ReasonOK
}
