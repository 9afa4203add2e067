package trust

import (
	"slices"
	"sync"

	"github.com/countersign/countersign/verify"
)

const (
	// maxVerifiers bounds the verifiers, and with them the key sets, that are kept. Key: the
	// document's uid; lifetime: until its revision is another one, it is gone, or it is the
	// one that was not used for longest when room is needed.
	maxVerifiers = 1024
	// maxCachedTokens is how many verified tokens of one issuer are remembered: clients of
	// AWS send the same token again with every refresh.
	maxCachedTokens = 1000
)

// pool keeps a verify.Verifier for each Issuer document in use. Each has its own keys: what
// changes about one issuer costs no other its last good ones. Safe for concurrent use.
type pool struct {
	cfg Config

	mu      sync.Mutex
	closed  bool
	byUID   map[string]*pooled
	byURL   map[string][]string // uids
	counter int64
}

// pooled is a verifier that is closed when it is out of the pool and nobody uses it.
type pooled struct {
	verifier *verify.Verifier
	uid, url string
	revision int64
	users    int
	used     int64 // the counter at the last use
	dropped  bool
}

func newPool(cfg Config) *pool {
	return &pool{cfg: cfg, byUID: make(map[string]*pooled), byURL: make(map[string][]string)}
}

// acquire returns the verifier of the document's revision; release it.
func (p *pool) acquire(i *Issuer) (*pooled, error) {
	if entry := p.get(i); entry != nil {
		return entry, nil
	}
	cfg, err := i.verifyIssuer()
	if err != nil {
		return nil, err
	}
	v, err := verify.New(verify.Config{
		Issuers: []verify.Issuer{cfg}, Revocations: p.cfg.Revocations, MaxCached: maxCachedTokens,
		RootCAs: p.cfg.RootCAs, Now: p.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return p.put(i, v), nil
}

func (p *pool) get(i *Issuer) *pooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry := p.byUID[i.UID]
	if entry == nil || entry.revision != i.Revision || entry.url != i.URL {
		return nil
	}
	p.use(entry)
	return entry
}

// put keeps a fresh verifier, unless another goroutine was faster or the pool is closed.
func (p *pool) put(i *Issuer, v *verify.Verifier) *pooled {
	p.mu.Lock()
	fresh := &pooled{verifier: v, uid: i.UID, url: i.URL, revision: i.Revision}
	old := p.byUID[i.UID]
	var ended []*pooled
	switch {
	case old != nil && old.revision == i.Revision && old.url == i.URL && !p.closed:
		p.use(old)
		p.mu.Unlock()
		_ = v.Close()
		return old
	case p.closed || old != nil && old.revision > i.Revision:
		// For this call alone: the newer one stays.
		fresh.dropped = true
	default:
		if old != nil {
			ended = append(ended, p.drop(old)...)
		}
		for len(p.byUID) >= maxVerifiers {
			ended = append(ended, p.drop(p.oldest())...)
		}
		p.byUID[i.UID] = fresh
		p.byURL[i.URL] = append(p.byURL[i.URL], i.UID)
	}
	p.use(fresh)
	p.mu.Unlock()
	closeAll(ended)
	return fresh
}

// retain drops the verifiers of that URL whose documents are gone.
func (p *pool) retain(url string, documents []Issuer) {
	gone := func(uid string) bool {
		return !slices.ContainsFunc(documents, func(d Issuer) bool { return d.UID == uid })
	}
	p.mu.Lock()
	if !slices.ContainsFunc(p.byURL[url], gone) {
		p.mu.Unlock()
		return
	}
	var ended []*pooled
	for _, uid := range slices.Clone(p.byURL[url]) {
		if gone(uid) {
			ended = append(ended, p.drop(p.byUID[uid])...)
		}
	}
	p.mu.Unlock()
	closeAll(ended)
}

func (p *pool) release(entry *pooled) {
	p.mu.Lock()
	entry.users--
	last := entry.dropped && entry.users == 0
	p.mu.Unlock()
	if last {
		_ = entry.verifier.Close()
	}
}

// close drops all. Those in use are closed by their last user.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var ended []*pooled
	for _, entry := range p.byUID {
		ended = append(ended, p.drop(entry)...)
	}
	p.mu.Unlock()
	closeAll(ended)
}

// The methods below are called with the lock held.

func (p *pool) use(entry *pooled) {
	p.counter++
	entry.used = p.counter
	entry.users++
}

// drop takes an entry out and returns it if nobody uses it: then the caller closes it.
func (p *pool) drop(entry *pooled) []*pooled {
	delete(p.byUID, entry.uid)
	uids := slices.DeleteFunc(p.byURL[entry.url], func(uid string) bool { return uid == entry.uid })
	if len(uids) == 0 {
		delete(p.byURL, entry.url)
	} else {
		p.byURL[entry.url] = uids
	}
	entry.dropped = true
	if entry.users > 0 {
		return nil
	}
	return []*pooled{entry}
}

func (p *pool) oldest() *pooled {
	var oldest *pooled
	for _, entry := range p.byUID {
		if oldest == nil || entry.used < oldest.used {
			oldest = entry
		}
	}
	return oldest
}

func closeAll(entries []*pooled) {
	for _, entry := range entries {
		_ = entry.verifier.Close()
	}
}
