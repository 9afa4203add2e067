package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// Limits of what is kept.
const (
	// MaxTokenLifetime is the longest that a token of ours may live.
	MaxTokenLifetime = time.Hour
	// MinTokenLifetime is the shortest.
	MinTokenLifetime = time.Minute
	// MaxGrace is how long a rotated secret may stay at most.
	MaxGrace = 30 * 24 * time.Hour
	// MaxGranted bounds the scopes of a service, and its audiences.
	MaxGranted = 64

	// RevocationSlack is added to the end of what a revocation hits: 60 s of skew that
	// verifiers grant, and the 2 s that "before" covers (RULES C3, E3).
	RevocationSlack = 62 * time.Second

	// keepRevocation is how long the revocation of a token, a session or a role is kept after
	// the time until which it covers: what lives longest of what it hits is a session.
	keepRevocation = session.MaxDuration + RevocationSlack

	// keepProofs is that of what proves sessions: a replica that was cut off may have taken a
	// token for a proof until that ended. It is kept no shorter when a service is enabled again:
	// what was ended stays so.
	keepProofs = MaxTokenLifetime + keepRevocation

	// keepExpired is how long an ended secret can still be seen.
	keepExpired = 30 * 24 * time.Hour
)

// AnyRevision as the revision of a change means "whatever it is now".
const AnyRevision int64 = -1

// Config of an [Admin]. All fields up to Keys are required.
type Config struct {
	Store    store.Store
	Audit    *audit.Log
	Registry *registry.Registry
	Keys     *keys.Ring
	// LocalDirectory keeps what users are called here, for those who have no directory
	// upstream.
	LocalDirectory bool
	// Issuer is our own: no Issuer document may name it. "" = not known.
	Issuer string
	// Paths are those of this machine that documents may name; the zero value is none.
	Paths hostpath.Paths
	// PendingFile keeps revocations that could not be stored yet, over a restart too; ""
	// = in memory only.
	PendingFile string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// ServiceSpec is what an administrator says of a service.
type ServiceSpec struct {
	Name, Tenant, Owner string
	Scopes, Audiences   []string
	// TokenLifetime is 0 for the default, else 1 minute to 1 hour.
	TokenLifetime time.Duration
}

// Credentials are shown once.
type Credentials struct {
	ClientID     string
	ClientSecret countersign.Secret
	// ExpiresAt is when the secret ends; zero = never.
	ExpiresAt time.Time
}

// ServiceDetail is a service and what is known of its secrets, without the hashes.
type ServiceDetail struct {
	store.Service
	// Secrets are oldest first, ended ones of the last 30 days included. Hash is nil.
	Secrets []store.ClientSecret
}

// Admin changes the state. Safe for concurrent use.
type Admin struct {
	store    store.Store
	audit    *audit.Log
	registry *registry.Registry
	keys     *keys.Ring
	issuer   string
	paths    hostpath.Paths
	now      func() time.Time

	localDirectory bool
	unsettled      *unsettled
	configured     configured
}

// New returns an Admin. What PendingFile holds is in force then.
//
// Errors: countersign.Invalid when a part is missing, or PendingFile can't be read.
func New(cfg Config) (*Admin, error) {
	if cfg.Store == nil || cfg.Audit == nil || cfg.Registry == nil || cfg.Keys == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "admin needs a store, an audit log, a registry and keys")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pending, err := newUnsettled(cfg.PendingFile)
	if err != nil {
		return nil, err
	}
	a := &Admin{store: cfg.Store, audit: cfg.Audit, registry: cfg.Registry, keys: cfg.Keys, issuer: cfg.Issuer, paths: cfg.Paths, now: cfg.Now, localDirectory: cfg.LocalDirectory, unsettled: pending}
	for _, c := range pending.all() {
		for _, r := range c.revocations {
			a.hold(r)
		}
	}
	return a, nil
}

// clock returns the time at the store's resolution, so that what is answered is what
// is stored.
func (a *Admin) clock() time.Time { return a.now().UTC().Truncate(time.Microsecond) }

// maxBehind is by how much a clock that is behind the store's is corrected: one that is further
// off is not ready, and a store's that is wrong must not end what is issued for long.
const maxBehind = time.Second

// untilNow is the time of what ends now: by our clock or by the store's, whichever is later.
// Then it is behind that of another replica by a second at most, and not by two (RULES E3).
func (a *Admin) untilNow() time.Time {
	behind := min(max(a.registry.Skew(), 0), maxBehind)
	return a.clock().Add(behind.Truncate(time.Microsecond))
}

// Service returns one service.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (a *Admin) Service(ctx context.Context, name string) (ServiceDetail, error) {
	if !countersign.ValidName(name) {
		return ServiceDetail{}, unknownService(nil)
	}
	s, err := a.store.Service(ctx, name)
	if err != nil {
		return ServiceDetail{}, describe(err)
	}
	return a.detail(ctx, a.store, s)
}

// Holder returns a service as the one who passes on what it holds.
//
// Errors: countersign.NotFound, countersign.Unavailable.
func (a *Admin) Holder(ctx context.Context, name string) (*registry.Service, error) {
	s, err := a.registry.Service(ctx, name)
	if err != nil {
		return nil, describe(err)
	}
	return s, nil
}

// Services lists services in order of name.
//
// Errors: countersign.Invalid (the cursor is no name), countersign.Unavailable.
func (a *Admin) Services(ctx context.Context, page store.Page) ([]ServiceDetail, error) {
	if page.After != "" && !countersign.ValidName(page.After) {
		return nil, invalid(countersign.ReasonParameterInvalid, "after is not a cursor of this list")
	}
	services, err := a.store.Services(ctx, page)
	if err != nil {
		return nil, describe(err)
	}
	details := make([]ServiceDetail, 0, len(services))
	for _, s := range services {
		d, err := a.detail(ctx, a.store, s)
		if err != nil {
			return nil, err
		}
		details = append(details, d)
	}
	return details, nil
}

// detail reads the secrets of s and leaves their hashes behind. What this process
// knows of their last use is newer than what is stored.
func (a *Admin) detail(ctx context.Context, from store.Services, s store.Service) (ServiceDetail, error) {
	secrets, err := from.ClientSecrets(ctx, s.UID)
	if err != nil {
		return ServiceDetail{}, describe(err)
	}
	for i := range secrets {
		secrets[i].Hash = nil
		if seen := a.registry.LastUsed(secrets[i].ID); seen.After(secrets[i].LastUsedAt) {
			secrets[i].LastUsedAt = seen
		}
	}
	return ServiceDetail{Service: s, Secrets: secrets}, nil
}
