package registry

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// tokenParts keeps a million ids from being one map: each part is looked through for
// ended ones by itself, and nobody waits long.
const tokenParts = 64

// revokedTokens are the ids of revoked tokens, or of revoked sessions: hashes and numbers, so that the garbage
// collector has nothing to follow. Two seeded hashes of 64 bits tell ids apart: that two
// of a million collide is as likely as guessing a token's id.
type revokedTokens struct {
	seeds [2]maphash.Seed
	held  atomic.Int64
	parts [tokenParts]tokenPart
}

type tokenPart struct {
	mu   sync.RWMutex
	ends map[tokenHash]int64 // when it can go, Unix seconds
	most int                 // since the map was made: maps don't shrink
}

type tokenHash [2]uint64

func (t *revokedTokens) init() {
	t.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	for i := range t.parts {
		t.parts[i].ends = make(map[tokenHash]int64)
	}
}

func (t *revokedTokens) hash(jti string) (tokenHash, *tokenPart) {
	h := tokenHash{maphash.String(t.seeds[0], jti), maphash.String(t.seeds[1], jti)}
	return h, &t.parts[h[0]%tokenParts]
}

// add keeps the later end where the id is known.
func (t *revokedTokens) add(jti string, ends int64) {
	h, part := t.hash(jti)
	part.mu.Lock()
	defer part.mu.Unlock()
	known, ok := part.ends[h]
	if !ok {
		t.held.Add(1)
	}
	if !ok || ends > known {
		part.ends[h] = ends
		part.most = max(part.most, len(part.ends))
	}
}

func (t *revokedTokens) has(jti string, now int64) bool {
	if jti == "" || t.held.Load() == 0 {
		return false
	}
	h, part := t.hash(jti)
	part.mu.RLock()
	defer part.mu.RUnlock()
	ends, ok := part.ends[h]
	return ok && ends >= now
}

func (t *revokedTokens) prune(now int64) {
	for i := range t.parts {
		t.held.Add(-t.parts[i].prune(now))
	}
}

func (p *tokenPart) prune(now int64) (gone int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, ends := range p.ends {
		if ends < now {
			delete(p.ends, h)
			gone++
		}
	}
	if p.most > 64 && len(p.ends) < p.most/4 {
		smaller := make(map[tokenHash]int64, len(p.ends))
		for h, ends := range p.ends {
			smaller[h] = ends
		}
		p.ends, p.most = smaller, len(smaller)
	}
	return gone
}
