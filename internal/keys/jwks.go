package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// published is the JWK set between two changes of the schedule.
type published struct {
	from, until time.Time // zero = open
	body        []byte
	etag        string
	keys        map[string]*keyPair
}

// JWKS returns the published token keys: [Ring.KeySet] of Token.
func (r *Ring) JWKS() (body []byte, etag string) { return r.KeySet(Token) }

// KeySet returns the published keys of a purpose as a JSON document and its ETag (with
// quotes). The document is computed anew only when the schedule changes it; never change
// it.
//
// Source: RFC 7517 §5.
func (r *Ring) KeySet(p Purpose) (body []byte, etag string) {
	set := r.publishedNow(p)
	return set.body, set.etag
}

// PublicKey returns the published token key of that id and its algorithm: a
// *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey.
func (r *Ring) PublicKey(kid string) (key any, algorithm string, ok bool) {
	pair, ok := r.publishedNow(Token).keys[kid]
	if !ok {
		return nil, "", false
	}
	return pair.public, pair.row.Algorithm, true
}

func (r *Ring) publishedNow(p Purpose) *published {
	now, state := r.now(), r.state.Load()
	cached := state.sets[p]
	if set := cached.Load(); set != nil && within(now, set.from, set.until) {
		return set
	}
	// Two callers may compute the same set; that is cheaper than a lock on each read.
	set := publish(state.pairs[p], now)
	cached.Store(set)
	return set
}

func publish(pairs []*keyPair, now time.Time) *published {
	p := &published{keys: make(map[string]*keyPair, len(pairs))}
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, pair := range pairs {
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
