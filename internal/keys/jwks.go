package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"
)

// published is the JWK set between two changes of the schedule.
type published struct {
	from, until time.Time // zero = open
	body        []byte
	etag        string
	keys        map[string]*keyPair
}

// JWKS returns the set that discovery names: the published keys of Token and of Broker, as
// [Ring.KeySet] does.
//
// Source: RFC 7517 §5.
func (r *Ring) JWKS() (body []byte, etag string) {
	state := r.state.Load()
	set := r.publishedOf(&state.main, state.pairs[Token], state.pairs[Broker])
	return set.body, set.etag
}

// KeySet returns the published keys of a purpose as a JSON document and its ETag (with
// quotes). The document is computed anew only when the schedule changes it; never change
// it. Sealing keys are in none.
//
// Source: RFC 7517 §5.
func (r *Ring) KeySet(p Purpose) (body []byte, etag string) {
	set := r.publishedNow(p)
	return set.body, set.etag
}

// PublicKey returns the published token key of that id and its algorithm: a
// *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey. A broker key is none, though JWKS
// has both.
func (r *Ring) PublicKey(kid string) (key any, algorithm string, ok bool) {
	pair, ok := r.publishedNow(Token).keys[kid]
	if !ok {
		return nil, "", false
	}
	return pair.public, pair.row.Algorithm, true
}

func (r *Ring) publishedNow(p Purpose) *published {
	state := r.state.Load()
	return r.publishedOf(state.sets[p], state.pairs[p])
}

func (r *Ring) publishedOf(cached *atomic.Pointer[published], lists ...[]*keyPair) *published {
	now := r.now()
	if set := cached.Load(); set != nil && within(now, set.from, set.until) {
		return set
	}
	// Two callers may compute the same set; that is cheaper than a lock on each read.
	set := publish(now, lists...)
	cached.Store(set)
	return set
}

func publish(now time.Time, lists ...[]*keyPair) *published {
	pairs := slices.Concat(lists...)
	p := &published{keys: make(map[string]*keyPair, len(pairs))}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, pair := range pairs {
		if pair.jwk == nil {
			continue // symmetric
		}
		p.bound(now, pair.row.PublishAt)
		p.bound(now, pair.row.KeepUntil)
		if pair.published(now) {
			p.keys[pair.row.KID] = pair
			set.Keys = append(set.Keys, pair.jwk)
		}
	}
	var err error
	if p.body, err = json.Marshal(set); err != nil {
		panic("keys: encode JWK set: " + err.Error()) // only for a JWK that is not JSON
	}
	sum := sha256.Sum256(p.body)
	p.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return p
}

// bound narrows the time that p holds for by one moment of the schedule.
func (p *published) bound(now, change time.Time) {
	switch {
	case change.IsZero():
	case !change.After(now):
		if change.After(p.from) {
			p.from = change
		}
	case p.until.IsZero() || change.Before(p.until):
		p.until = change
	}
}
