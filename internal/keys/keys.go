package keys

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Purpose separates keys (RULES B7): a key serves exactly one.
type Purpose string

// The purposes.
const (
	Token Purpose = "token" // access tokens: at+jwt
	Audit Purpose = "audit" // heads of the audit chain
	// Revocation signs the pages of the revocation feed: revocations+jwt.
	Revocation Purpose = "revocation"
	// Policy signs the route policies that receivers fetch: route-policies+jwt.
	Policy Purpose = "policy"
	// Sealing keys are what session tokens are sealed under: symmetric, never published,
	// read by [Ring.SealingKey] and [Ring.CurrentSealingKey].
	Sealing Purpose = "session"
	// Broker signs what a real cloud takes for its own credentials: JWT. Its keys are
	// published beside the tokens', where the cloud finds them by discovery; who verifies
	// access tokens tells them apart by typ. They are made when they are first asked for.
	Broker Purpose = "broker"
	// Cursor keys are what cursors of lists are authenticated with: symmetric, never
	// published, read by [Ring.CursorKey] and [Ring.CurrentCursorKey].
	Cursor Purpose = "cursor"
)

// purposes are all, in the order in which they are shown.
var purposes = []Purpose{Token, Audit, Revocation, Policy, Sealing, Broker, Cursor}

// Config of a [Ring]. Store, Master and DeploymentID are required.
type Config struct {
	Store  store.Store
	Master *Master
	// PreviousMaster opens what Master did not seal yet (RULES B8); nil = none.
	PreviousMaster *Master
	DeploymentID   string
	// Algorithm of new token keys: ES256 (default), RS256 (2048 bits), EdDSA. When it
	// differs from that of the key in use, Open makes a new key that is used from now on,
	// with a successor, and the old one stays published. A ring that runs leaves keys of
	// another algorithm alone. Broker keys are RS256, which is all that AWS is sure to
	// take; keys of the other purposes that sign are EdDSA.
	Algorithm string
	// TokenLifetime is the longest lifetime of a token: a key leaves the JWKS no
	// earlier than that after its last use. 0 = 1 hour. Sealing keys are kept for
	// [MaxSessionDuration].
	TokenLifetime time.Duration
	// RotationPeriod is how long a key signs; 0 = 30 days.
	RotationPeriod time.Duration
	// PublishLead is how long a key is published before it signs at least; 0 = 10
	// minutes, twice what the JWKS may be cached for (RULES B6), and never less.
	PublishLead time.Duration
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Ring holds the keys in memory: as many as there are rows, which grow by one for each
// purpose and period. Safe for concurrent use.
type Ring struct {
	unprintable
	cfg     Config
	now     func() time.Time
	created []store.SigningKey // by Open
	// state is replaced as a whole, by who holds reloading.
	state     atomic.Pointer[state]
	reloading sync.Mutex
	// brokering: somebody asked for a broker key, and there was none.
	brokering atomic.Bool
	// hashers are *secretHasher: as many as calls of HashClientSecret ran at once, until
	// the garbage collector takes them.
	hashers sync.Pool
}

// Signer returns the key in use for a purpose. Where there is no broker key yet, that makes
// one due.
//
// Errors: countersign.Unavailable when no key's time is now.
func (r *Ring) Signer(p Purpose) (*Signer, error) {
	if pair := r.inUse(p); pair != nil && pair.signer != nil {
		return pair.signer, nil
	}
	if p == Broker {
		r.brokering.Store(true)
	}
	return nil, countersign.NewError(countersign.Unavailable, "", "no "+string(p)+" key may sign now")
}

// inUse returns the key whose time is now, nil where there is none.
func (r *Ring) inUse(p Purpose) *keyPair {
	now := r.now()
	for _, pair := range r.state.Load().pairs[p] {
		if pair.usable(now) {
			return pair
		}
	}
	return nil
}

// SignHead and VerifyHead implement audit.HeadSigner with the audit keys, which are
// kept for ever.
func (r *Ring) SignHead(message []byte) (kid string, signature []byte, err error) {
	signer, err := r.Signer(Audit)
	if err != nil {
		return "", nil, err
	}
	signature, err = signer.Sign(message)
	return signer.KID, signature, err
}

// VerifyHead reports whether signature is kid's over message.
func (r *Ring) VerifyHead(kid string, message, signature []byte) bool {
	public, ok := r.state.Load().heads[kid]
	return ok && ed25519.Verify(public, message, signature)
}

// Created returns the keys that Open made, for the audit log, without their sealed
// private halves.
func (r *Ring) Created() []store.SigningKey { return slices.Clone(r.created) }

// List returns all keys by purpose, the oldest first, without their sealed private halves.
func (r *Ring) List() []store.SigningKey {
	var list []store.SigningKey
	for _, p := range purposes {
		from := len(list)
		for _, pair := range r.state.Load().pairs[p] {
			list = append(list, pair.row)
		}
		slices.SortFunc(list[from:], func(a, b store.SigningKey) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), a.UseFrom.Compare(b.UseFrom), cmp.Compare(a.KID, b.KID))
		})
	}
	return list
}
