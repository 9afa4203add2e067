package keys

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	defaultTokenLifetime = time.Hour
	// verifierSkew is how long after its expiry a token is still accepted (RULES C3).
	verifierSkew = 60 * time.Second
	// metaMasterCheck holds a value derived from the master key, so that another one is
	// noticed before it seals anything. It gives nothing away: HKDF is one-way.
	metaMasterCheck = "master_key_check"
)

// plan is what Open has to write.
type plan struct {
	create []sealedPair
	end    []*keyPair
}

type sealedPair struct {
	*keyPair
	sealed []byte
}

// Open loads all keys, checks that the master key is the one that sealed them, and
// makes those that are missing: one for each purpose on the first start, one token key
// when the algorithm changes. Nothing is written when the master key is wrong.
//
// Errors: countersign.Unavailable (store), countersign.Invalid (wrong master key,
// unknown algorithm, a row that was tampered with).
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	ring := &Ring{now: cfg.Now, heads: map[string]ed25519.PublicKey{}}
	if ring.tokens, err = load(ctx, cfg, Token); err != nil {
		return nil, err
	}
	if ring.audits, err = load(ctx, cfg, Audit); err != nil {
		return nil, err
	}
	if err := checkMaster(ctx, cfg); err != nil {
		return nil, err
	}
	if err := ring.makeMissing(ctx, cfg); err != nil {
		return nil, err
	}
	for _, pair := range ring.audits {
		public, ok := pair.public.(ed25519.PublicKey)
		if !ok {
			return nil, countersign.NewError(countersign.Invalid, "", "an audit key is not an Ed25519 key")
		}
		ring.heads[pair.row.KID] = public
	}
	secretKey := cfg.Master.Derive(labelClientSecret, cfg.DeploymentID)
	ring.hashers.New = func() any { return newSecretHasher(secretKey) }
	return ring, nil
}

func (cfg Config) complete() (Config, error) {
	if cfg.Store == nil || cfg.Master == nil || cfg.Master.key == nil || cfg.DeploymentID == "" {
		return cfg, countersign.NewError(countersign.Invalid, "", "keys need a store, a master key and a deployment id")
	}
	if cfg.TokenLifetime < 0 {
		return cfg, countersign.NewError(countersign.Invalid, "", "the token lifetime is negative")
	}
	switch cfg.Algorithm {
	case "":
		cfg.Algorithm = ES256
	case ES256, RS256, EdDSA:
	default:
		return cfg, countersign.NewError(countersign.Invalid, "",
			fmt.Sprintf("signing algorithm %q is not one of ES256, RS256, EdDSA", cfg.Algorithm))
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = defaultTokenLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg, nil
}

func load(ctx context.Context, cfg Config, p Purpose) ([]*keyPair, error) {
	rows, err := cfg.Store.SigningKeys(ctx, string(p))
	if err != nil {
		return nil, fmt.Errorf("read %s keys: %w", p, err)
	}
	pairs := make([]*keyPair, 0, len(rows))
	for _, row := range rows {
		// The purpose that was asked for is the one that must have been sealed.
		row.Purpose = string(p)
		pair, err := openKeyPair(cfg, row)
		if errors.Is(err, countersign.BadSignature) {
			return nil, countersign.WrapError(countersign.Invalid, "", fmt.Sprintf(
				"%s key %s does not open: the master key is not the one that sealed it, or the row was changed", p, row.KID), err)
		}
		if err != nil {
			return nil, fmt.Errorf("open %s key %s: %w", p, row.KID, err)
		}
		pairs = append(pairs, pair)
	}
	sortPairs(pairs)
	return pairs, nil
}

// checkMaster refuses a master key that differs from that of the first start, also
// where no key row would tell.
func checkMaster(ctx context.Context, cfg Config) error {
	check := base64.RawURLEncoding.EncodeToString(cfg.Master.Derive(labelMasterCheck, cfg.DeploymentID))
	stored, err := cfg.Store.SetMetaIfAbsent(ctx, metaMasterCheck, check)
	if err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	if stored != check {
		return countersign.NewError(countersign.Invalid, "",
			"the master key is not the one that this store was made with: put that one back")
	}
	return nil
}

// makeMissing makes the missing keys and ends those of another algorithm, all in one
// transaction. One process opens a store at a time for now, so nobody races.
func (r *Ring) makeMissing(ctx context.Context, cfg Config) error {
	now := cfg.Now().UTC().Truncate(time.Microsecond) // what the store keeps
	p, err := r.plan(cfg, now)
	if err != nil {
		return err
	}
	if len(p.create)+len(p.end) == 0 {
		return nil
	}
	keep := now.Add(cfg.TokenLifetime + verifierSkew)
	err = cfg.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, made := range p.create {
			row := made.row
			row.Sealed = made.sealed
			if err := tx.CreateSigningKey(ctx, row); err != nil {
				return err
			}
		}
		for _, old := range p.end {
			if err := tx.ScheduleSigningKey(ctx, old.row.KID, now, keep); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store new keys: %w", err)
	}
	for _, old := range p.end {
		old.row.UseUntil, old.row.KeepUntil = now, keep
	}
	for _, made := range p.create {
		r.add(made.keyPair)
	}
	return nil
}

func (r *Ring) plan(cfg Config, now time.Time) (plan, error) {
	var p plan
	current := func(pairs []*keyPair, algorithm string) bool {
		return slices.ContainsFunc(pairs, func(k *keyPair) bool { return k.row.Algorithm == algorithm && k.usable(now) })
	}
	add := func(purpose Purpose, algorithm string) error {
		pair, sealed, err := makeKeyPair(cfg, purpose, algorithm, now)
		if err != nil {
			return fmt.Errorf("make %s key: %w", purpose, err)
		}
		p.create = append(p.create, sealedPair{pair, sealed})
		return nil
	}
	if !current(r.tokens, cfg.Algorithm) {
		if err := add(Token, cfg.Algorithm); err != nil {
			return p, err
		}
	}
	if !current(r.audits, EdDSA) {
		if err := add(Audit, EdDSA); err != nil {
			return p, err
		}
	}
	for _, k := range r.tokens {
		if k.row.Algorithm != cfg.Algorithm && (k.row.UseUntil.IsZero() || k.row.UseUntil.After(now)) {
			p.end = append(p.end, k)
		}
	}
	return p, nil
}

func (r *Ring) add(pair *keyPair) {
	switch Purpose(pair.row.Purpose) {
	case Token:
		r.tokens = append(r.tokens, pair)
		sortPairs(r.tokens)
	case Audit:
		r.audits = append(r.audits, pair)
		sortPairs(r.audits)
	}
	r.created = append(r.created, pair.row)
}

// sortPairs puts the key that was given charge last in front.
func sortPairs(pairs []*keyPair) {
	slices.SortFunc(pairs, func(a, b *keyPair) int {
		return cmp.Or(b.row.UseFrom.Compare(a.row.UseFrom), b.row.CreatedAt.Compare(a.row.CreatedAt), cmp.Compare(a.row.KID, b.row.KID))
	})
}
