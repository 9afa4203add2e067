package registry

import (
	"context"
	"hash/maphash"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Config of a [Registry]. Store is required.
type Config struct {
	Store store.Store
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// MaxServices bounds the cached services; 0 = 100,000. One that was not asked for
	// lately goes first.
	MaxServices int
}

const (
	defaultMaxServices = 100_000
	maxUnknown         = 10_000
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
	store       store.Store
	now         func() time.Time
	seed        maphash.Seed
	shards      []shard
	loads       singleflight.Group
	revocations revocations
	uses        uses
}

// New loads the live revocations and starts with no cached service. Revocations that
// are committed while it runs have to be given to [Registry.Revoke] as well.
//
// Errors: countersign.Invalid for a bad Config, countersign.Unavailable.
func New(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Store == nil || cfg.MaxServices < 0 {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
			"the registry needs a store, and a bound that is not negative")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxServices == 0 {
		cfg.MaxServices = defaultMaxServices
	}
	count := 1
	if cfg.MaxServices >= shardsFromSize {
		count = manyShards
	}
	r := &Registry{store: cfg.Store, now: cfg.Now, seed: maphash.MakeSeed(), shards: make([]shard, count)}
	for i := range r.shards {
		r.shards[i].init(cfg.MaxServices/count, maxUnknown/count)
	}
	r.revocations.init(cfg.Now())
	r.uses.init()
	if err := r.loadRevocations(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Service is the compiled view of one service. Never change it: it is shared.
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
// Errors: countersign.NotFound, countersign.Unavailable.
func (r *Registry) Service(ctx context.Context, name string) (*Service, error) {
	shard := r.shard(name)
	if service := shard.service(name); service != nil {
		return service, nil
	}
	return r.missed(ctx, shard, name)
}

// Forget drops the cached view of a service. Admin calls it after every commit that
// changed the service; a load that began before it does not bring the old view back.
func (r *Registry) Forget(name string) {
	// In this order: who comes after the generation has changed may join the old load
	// only until the second line, and so has come before Forget returned.
	r.shard(name).forget(name)
	r.loads.Forget(name)
}

// Len returns how many services are held in memory.
func (r *Registry) Len() int {
	total := 0
	for i := range r.shards {
		total += r.shards[i].len()
	}
	return total
}

func (r *Registry) shard(name string) *shard {
	if len(r.shards) == 1 {
		return &r.shards[0]
	}
	return &r.shards[maphash.String(r.seed, name)%uint64(len(r.shards))]
}
