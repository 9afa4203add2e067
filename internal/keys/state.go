package keys

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// state is all keys at a time. It never changes; a change makes another one.
type state struct {
	// pairs have the newest UseFrom in front.
	pairs map[Purpose][]*keyPair
	heads map[string]ed25519.PublicKey
	// sealing are the keys of sessions by id.
	sealing map[string]*keyPair
	// cursors are the keys of cursors by id.
	cursors map[string]*keyPair
	sets    map[Purpose]*atomic.Pointer[published]
	// main is the set that discovery names.
	main atomic.Pointer[published]
}

func newState(pairs map[Purpose][]*keyPair) (*state, error) {
	s := &state{
		pairs: pairs, heads: make(map[string]ed25519.PublicKey),
		sealing: make(map[string]*keyPair), cursors: make(map[string]*keyPair), sets: make(map[Purpose]*atomic.Pointer[published]),
	}
	for _, p := range purposes {
		s.sets[p] = new(atomic.Pointer[published])
		sortPairs(pairs[p])
	}
	for _, pair := range pairs[Audit] {
		public, ok := pair.public.(ed25519.PublicKey)
		if !ok {
			return nil, countersign.NewError(countersign.Invalid, "", "an audit key is not an Ed25519 key")
		}
		s.heads[pair.row.KID] = public
	}
	for _, pair := range pairs[Sealing] {
		s.sealing[pair.row.KID] = pair
	}
	for _, pair := range pairs[Cursor] {
		s.cursors[pair.row.KID] = pair
	}
	return s, nil
}

// sortPairs puts the key that was given charge last in front.
func sortPairs(pairs []*keyPair) {
	slices.SortFunc(pairs, func(a, b *keyPair) int {
		return cmp.Or(b.row.UseFrom.Compare(a.row.UseFrom), b.row.CreatedAt.Compare(a.row.CreatedAt), cmp.Compare(a.row.KID, b.row.KID))
	})
}

// Reload takes over what other processes, or we, have changed in the store. What can be
// read is in force then, also where an error tells that a key can't be.
//
// Errors: countersign.Unavailable (store; nothing has changed), countersign.Invalid (a key
// that our master key does not open: another replica has a newer one).
func (r *Ring) Reload(ctx context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	pairs, unreadable, err := r.load(ctx, r.cfg.Store)
	if err != nil {
		return err
	}
	next, err := newState(pairs)
	if err != nil {
		return err
	}
	r.state.Store(next)
	return unreadable
}

// load reads the rows of all purposes. Keys that are known already are not opened again:
// a key's id fixes the rest of it.
func (r *Ring) load(ctx context.Context, from store.SigningKeys) (pairs map[Purpose][]*keyPair, unreadable, err error) {
	known := make(map[string]*keyPair)
	if now := r.state.Load(); now != nil {
		for _, list := range now.pairs {
			for _, pair := range list {
				known[pair.row.Purpose+"/"+pair.row.KID] = pair
			}
		}
	}
	pairs = make(map[Purpose][]*keyPair)
	for _, p := range purposes {
		rows, err := from.SigningKeys(ctx, string(p))
		if err != nil {
			return nil, nil, fmt.Errorf("read %s keys: %w", p, err)
		}
		for _, row := range rows {
			// The purpose that was asked for is the one that must have been sealed.
			row.Purpose = string(p)
			pair, err := r.cfg.pairOf(row, known[row.Purpose+"/"+row.KID])
			if err != nil {
				unreadable = errors.Join(unreadable, err)
				continue
			}
			pairs[p] = append(pairs[p], pair)
		}
	}
	return pairs, unreadable, nil
}

// pairOf opens the key of a row, or takes the new schedule of one that is open.
func (cfg Config) pairOf(row store.SigningKey, known *keyPair) (*keyPair, error) {
	if known != nil && known.row.Algorithm == row.Algorithm {
		same := *known
		row.Public, row.Sealed = known.row.Public, nil
		same.row = row
		return &same, nil
	}
	pair, err := openKeyPair(cfg, row)
	if errors.Is(err, countersign.BadSignature) {
		return nil, countersign.WrapError(countersign.Invalid, "", fmt.Sprintf(
			"%s key %s does not open: the master key is not the one that sealed it, or the row was changed", row.Purpose, row.KID), err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s key %s: %w", row.Purpose, row.KID, err)
	}
	return pair, nil
}
