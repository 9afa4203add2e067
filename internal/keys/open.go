package keys

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	defaultTokenLifetime = time.Hour
	// verifierSkew is how long after its expiry a token is still accepted (RULES C3).
	verifierSkew = 60 * time.Second
)

// Open loads all keys, checks that the master key is the one that sealed them, and
// makes those that the schedule asks for: two for each purpose on the first start. Several
// processes may open one store at a time. Nothing is written when the master key is wrong.
//
// Errors: countersign.Unavailable (store), countersign.Invalid (wrong master key,
// unknown algorithm, a row that was tampered with).
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	ring := &Ring{cfg: cfg, now: cfg.Now}
	pairs, unreadable, err := ring.load(ctx, cfg.Store)
	if err != nil || unreadable != nil {
		return nil, cmp.Or(err, unreadable)
	}
	first, err := newState(pairs)
	if err != nil {
		return nil, err
	}
	ring.state.Store(first)
	if err := cfg.checkMaster(ctx); err != nil {
		return nil, err
	}
	secretKey, err := cfg.secretKey(ctx, len(pairs[Token]) > 0)
	if err != nil {
		return nil, err
	}
	ring.hashers.New = func() any { return newSecretHasher(secretKey) }
	if !ring.due(true) {
		return ring, nil
	}
	err = cfg.Store.Update(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		ring.created, err = ring.maintainIn(ctx, tx, true)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store new keys: %w", err)
	}
	return ring, ring.Reload(ctx)
}

func (cfg Config) complete() (Config, error) {
	if cfg.Store == nil || cfg.Master == nil || cfg.Master.key == nil || cfg.DeploymentID == "" {
		return cfg, countersign.NewError(countersign.Invalid, "", "keys need a store, a master key and a deployment id")
	}
	if cfg.TokenLifetime < 0 || cfg.RotationPeriod < 0 || cfg.PublishLead < 0 {
		return cfg, countersign.NewError(countersign.Invalid, "", "a time of the keys' schedule is negative")
	}
	switch cfg.Algorithm {
	case "":
		cfg.Algorithm = ES256
	case ES256, RS256, EdDSA:
	default:
		return cfg, countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("signing algorithm %q is not one of ES256, RS256, EdDSA", cfg.Algorithm))
	}
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, defaultTokenLifetime)
	cfg.RotationPeriod = cmp.Or(cfg.RotationPeriod, defaultRotation)
	cfg.PublishLead = cmp.Or(cfg.PublishLead, leastLead)
	if cfg.PublishLead < leastLead {
		return cfg, countersign.NewError(countersign.Invalid, "", "the keys would be used before every cache of the key set can have them")
	}
	if cfg.RotationPeriod < 2*cfg.PublishLead {
		return cfg, countersign.NewError(countersign.Invalid, "", "the keys' rotation period is too short to publish them before their use")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, nil
}
