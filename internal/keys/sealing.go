package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// SealingKIDBytes is the length of a sealing key's id before it is written as base64url:
	// it is in every session token.
	SealingKIDBytes = 12
	// labelSealingKID derives the id: a hash that gives nothing of the key away.
	labelSealingKID = "countersign/sealing-key-id/v1"
)

// CurrentSealingKey returns the key that seals session tokens now, and its id. Never change
// the key's bytes.
//
// Errors: countersign.Unavailable when no key's time is now.
func (r *Ring) CurrentSealingKey() (kid string, key []byte, err error) {
	return r.currentSecret(Sealing)
}

// CurrentCursorKey returns the key that authenticates cursors now, and its id. Never change
// the key's bytes.
//
// Errors: countersign.Unavailable when no key's time is now.
func (r *Ring) CurrentCursorKey() (kid string, key []byte, err error) {
	return r.currentSecret(Cursor)
}

func (r *Ring) currentSecret(p Purpose) (kid string, key []byte, err error) {
	pair := r.inUse(p)
	if pair == nil || pair.secret == nil {
		return "", nil, countersign.NewError(countersign.Unavailable, "", "no "+string(p)+" key may be used now")
	}
	return pair.row.KID, pair.secret(), nil
}

// symmetric reports whether the keys of a purpose are secrets without a public half.
func symmetric(p Purpose) bool { return p == Sealing || p == Cursor }

// SealingKey returns the key of that id as long as what it sealed may be opened: until the
// last session has ended, or the key was dropped. Never change its bytes.
func (r *Ring) SealingKey(kid string) ([]byte, bool) {
	return r.secretOf(r.state.Load().sealing, kid)
}

// CursorKey is SealingKey for cursors.
func (r *Ring) CursorKey(kid string) ([]byte, bool) { return r.secretOf(r.state.Load().cursors, kid) }

func (r *Ring) secretOf(of map[string]*keyPair, kid string) ([]byte, bool) {
	pair, ok := of[kid]
	// Not before PublishAt would refuse what a replica sealed whose clock is a little ahead.
	if !ok || pair.secret == nil || !pair.row.KeepUntil.IsZero() && !r.now().Before(pair.row.KeepUntil) {
		return nil, false
	}
	return pair.secret(), true
}

// makeSealingKey makes a key and returns its row, sealed.
func makeSealingKey(cfg Config, row store.SigningKey) (store.SigningKey, error) {
	key := make([]byte, masterBytes)
	defer clear(key)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	row.KID = sealingKID(key)
	sealed, err := cfg.Master.Seal(row.Purpose, row.KID, cfg.DeploymentID, key)
	if err != nil {
		return row, fmt.Errorf("seal a session key: %w", err)
	}
	row.Public, row.Sealed = nil, sealed
	return row, nil
}

// newSealingKey takes an opened key: plain stays the caller's.
func newSealingKey(row store.SigningKey, plain []byte) (*keyPair, error) {
	if row.Algorithm != HKDFA256GCM || len(plain) != masterBytes {
		return nil, countersign.NewError(countersign.Invalid, "", "a session key does not fit its algorithm")
	}
	if sealingKID(plain) != row.KID {
		return nil, countersign.NewError(countersign.Invalid, "", "a session key does not fit its id")
	}
	key := append([]byte(nil), plain...)
	row.Public, row.Sealed = nil, nil
	return &keyPair{row: row, secret: func() []byte { return key }}, nil
}

// sealingKID is the id of a sealing key: it follows from the key, so that a row can't pass
// one key off as another.
func sealingKID(key []byte) string {
	id, err := hkdf.Key(sha256.New, key, nil, labelSealingKID, SealingKIDBytes)
	if err != nil {
		panic("keys: HKDF: " + err.Error()) // only for an output over 8160 bytes
	}
	return base64.RawURLEncoding.EncodeToString(id)
}
