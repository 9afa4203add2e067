package registry

import (
	"context"
	"hash/maphash"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// Config of a [Registry]. Store is required.
type Config struct {
	Store store.Store
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// MaxServices bounds the cached services; 0 = 1,200,000. One that was not asked for
	// lately goes first.
	MaxServices int
	// Shared: other processes write to the database too, and [Registry.Follow] learns of it.
	Shared bool
	// Poll is how often Follow asks the store; 0 = 400 ms. RULES E2 wants at most 500 ms.
	Poll time.Duration
	// MaxStaleness is how long what was learned from the store counts when it can't be
	// asked; 0 = 10 minutes. For Shared only.
	MaxStaleness time.Duration
	// ServeStale goes on with what is known even then (when_stale: serve).
	ServeStale bool
	// OnChange hears of every change that a poll finds, of this process too, one after the
	// other and before the poll counts as done. A change without a Kind means that anything
	// may have changed: when Follow begins with Shared, and when it missed changes. It must
	// not call back into Sync or Revoke. nil = nobody listens.
	OnChange func(store.Change)
	// OnLost hears of the revocations that are in force here and that the database has lost
	// (ADR 9): they are to be stored again. It is called as OnChange is; nil = nobody listens.
	OnLost func([]store.Revocation)
	// OnLate hears of revocations that this process made, and that are to be stored: of services
	// from which something was taken while it could not ask the store (RULES E4). It is called as
	// OnChange is; nil = nobody listens, and they hold here alone.
	OnLate func([]store.Revocation)
	// Paths make the paths of buckets absolute.
	Paths hostpath.Paths
	// OpenAccessKey opens the secret of an access key; nil = none is served.
	OpenAccessKey func(store.AccessKey) (countersign.Secret, error)
	// Logger hears when the store is lost and found again; nil = slog.Default().
	Logger *slog.Logger
}

const (
	defaultMaxServices  = 1_200_000
	defaultPoll         = 400 * time.Millisecond
	defaultMaxStaleness = 10 * time.Minute
	// maxEntries is how many services are ready to use; more are held as records, which
	// cost a microsecond when one is asked for.
	maxEntries = 32_768
	maxUnknown = 10_000
	// unknownFor is long, because Forget drops a name that is created: were it short, an
	// unknown client would cost a read where a known one costs none, and who measures that
	// learns which names exist (RULES B4).
	unknownFor = time.Minute
	// manyShards keeps requests for different services off one lock. A small cache
	// has one shard, so that its bound is exact.
	manyShards     = 16
	shardsFromSize = 1024
)

// Registry is the in-memory view that the front doors read. Safe for concurrent use.
type Registry struct {
	store      store.Store
	now        func() time.Time
	logger     *slog.Logger
	onChange   func(store.Change)
	onLost     func([]store.Revocation)
	onLate     func([]store.Revocation)
	shared     bool
	serveStale bool
	pollEvery  time.Duration
	staleAfter time.Duration

	seed   maphash.Seed
	shards []shard
	// loads is another group after everything was dropped, so that nobody joins a load
	// from before.
	loads       atomic.Pointer[singleflight.Group]
	lists       interner
	revocations revocations
	feed        feed
	quotas      quotas
	uses        uses
	issuers     issuers
	roles       roles
	users       views[User]
	userRoles   views[UserRole]
	tenants     views[tenant]
	buckets     views[Bucket]
	accessKeys  views[AccessKey]
	receivers   views[receiver] // by name
	paths       hostpath.Paths

	openAccessKey func(store.AccessKey) (countersign.Secret, error)
	// serviceTrusts are compiled from what the services say.
	serviceTrusts serviceTrusts

	polled atomic.Pointer[poll]
	poked  chan struct{} // of size one
	polls  atomic.Int64  // that began
	failed atomic.Bool   // the last poll
	// syncing: one at a time asks the store what is new; it guards what follows.
	syncing  turn
	position int64 // all changes up to this number are applied
	lost     bool  // position means nothing: start anew
	// known is the newest number up to position with a mark; rewritten: it has another one.
	known     marked
	rewritten bool
	late      late
	own       own // it guards itself
	// feedEpoch names the count of the feed's numbers; feed.mu guards it for readers.
	feedEpoch string
}

// New takes the position in the feed, loads the live revocations and starts with no
// cached service. Revocations that this process commits while New runs have to be given
// to [Registry.Revoke] as well.
//
// Errors: countersign.Invalid for a bad Config, countersign.Unavailable.
func New(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Store == nil || cfg.MaxServices < 0 || cfg.MaxServices > math.MaxInt32 || cfg.Poll < 0 || cfg.MaxStaleness < 0 {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
			"the registry needs a store, and bounds that are not negative or past any machine")
	}
	cfg.defaults()
	count := 1
	if cfg.MaxServices >= shardsFromSize {
		count = manyShards
	}
	r := &Registry{
		store: cfg.Store, now: cfg.Now, logger: cfg.Logger, onChange: cfg.OnChange, onLost: cfg.OnLost, onLate: cfg.OnLate,
		shared: cfg.Shared, serveStale: cfg.ServeStale, pollEvery: cfg.Poll, staleAfter: cfg.MaxStaleness,
		paths: cfg.Paths, openAccessKey: cfg.OpenAccessKey, seed: maphash.MakeSeed(), shards: make([]shard, count), poked: make(chan struct{}, 1), syncing: make(turn, 1),
	}
	for i := range r.shards {
		r.shards[i].init(cfg.MaxServices/count, maxEntries/count, maxUnknown/count, r.seed, &r.lists)
	}
	r.loads.Store(new(singleflight.Group))
	r.revocations.init(cfg.Now())
	r.feed.init()
	r.quotas.init()
	r.uses.init()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (c *Config) defaults() {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxServices == 0 {
		c.MaxServices = defaultMaxServices
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = defaultMaxStaleness
	}
}

// Service is the compiled view of one service. Never change it, nor its lists: they are
// shared, the lists between services too.
type Service struct {
	store.Service
	// Secrets are those that were alive when it was loaded, oldest first. ExpiresAt
	// still has to be looked at.
	Secrets []Secret
}

// Secret is a live secret of a service.
type Secret struct {
	ID        string
	Hash      [32]byte
	ExpiresAt time.Time // zero = stays
}

// Service returns the service of that name; a cached one without a database read
// and without an allocation. A disabled service is returned like any other.
//
// Errors: countersign.NotFound, countersign.Unavailable (with ReasonStale when what is
// known is too old: RULES E4).
func (r *Registry) Service(ctx context.Context, name string) (*Service, error) {
	if r.stale() {
		return nil, errStale
	}
	shard, hash := r.shard(name)
	if service := shard.service(hash, name); service != nil {
		return service, nil
	}
	return r.missed(ctx, shard, hash, name)
}

// Forget drops the cached view of a service. Admin calls it after every commit that
// changed the service; a load that began before it does not bring the old view back.
func (r *Registry) Forget(name string) {
	r.forget(name)
	if r.shared {
		r.Poke()
	}
}

func (r *Registry) forget(name string) {
	// In this order: who comes after the first line may join the old load only until the
	// second, and so has come before Forget returned.
	shard, hash := r.shard(name)
	shard.forget(hash, name)
	r.loads.Load().Forget(name)
	r.receivers.forget(name) // last: what it reads comes from the two before
}

// ForgetObject is Forget for an object of any kind.
func (r *Registry) ForgetObject(kind, name string) {
	r.forgetObject(kind, name)
	if r.shared {
		r.Poke()
	}
}

func (r *Registry) forgetObject(kind, name string) {
	switch kind {
	case kindService:
		r.forget(name)
	case resource.KindIssuer:
		r.issuers.forget()
	case resource.KindRole:
		r.roles.forget(name)
	case kindUser:
		r.users.forget(name)
	case resource.KindUserRole:
		r.userRoles.forget(name)
	case resource.KindTenant:
		r.tenants.forget(name)
	case resource.KindBucket:
		r.buckets.forget(name)
	case resource.KindAccessKey: // the name of such a change is the id
		r.accessKeys.forget(name)
	}
}

// forgetAll drops every cached view.
func (r *Registry) forgetAll() {
	for i := range r.shards {
		r.shards[i].forgetAll()
	}
	r.loads.Store(new(singleflight.Group))
	r.issuers.forget()
	r.roles.forgetAll()
	r.users.forgetAll()
	r.userRoles.forgetAll()
	r.tenants.forgetAll()
	r.buckets.forgetAll()
	r.accessKeys.forgetAll()
	r.receivers.forgetAll()
}

// Len returns how many services are held in memory.
func (r *Registry) Len() int {
	total := 0
	for i := range r.shards {
		total += r.shards[i].len()
	}
	return total
}

func (r *Registry) shard(name string) (*shard, uint64) {
	hash := maphash.String(r.seed, name)
	return &r.shards[hash%uint64(len(r.shards))], hash
}
