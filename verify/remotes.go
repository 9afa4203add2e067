package verify

import (
	"context"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/countersign/countersign/egress"
)

// remotes owns the remote key sets of a verifier and the clients that fetch them.
type remotes struct {
	now     func() time.Time
	roots   *x509.CertPool
	ctx     context.Context
	cancel  context.CancelFunc
	clients map[bool]*http.Client // by AllowPrivateAddresses
	sets    map[remoteID]*remoteKeys
	issuers map[remoteID]*discovery
}

// remoteID is what decides where keys come from; issuers that agree in it share them.
type remoteID struct {
	issuer, jwksURL string
	allowPrivate    bool
	// feed: the keys of the feed, with the URLs that are configured for it.
	feed              bool
	feedURL, feedJWKS string
}

func newRemotes(roots *x509.CertPool, now func() time.Time) *remotes {
	ctx, cancel := context.WithCancel(context.Background())
	return &remotes{
		now: now, roots: roots, ctx: ctx, cancel: cancel,
		clients: make(map[bool]*http.Client), sets: make(map[remoteID]*remoteKeys), issuers: make(map[remoteID]*discovery),
	}
}

// of is called by New only, as all methods but close.
func (m *remotes) of(cfg Issuer) *remoteKeys {
	d := m.discovery(cfg)
	id := remoteID{issuer: cfg.URL, jwksURL: cfg.JWKSURL, allowPrivate: cfg.AllowPrivateAddresses}
	return m.set(id, d.tokenKeys)
}

// set returns the key set of that id, with fetch as where it comes from.
func (m *remotes) set(id remoteID, fetch func(context.Context) (*keySet, time.Duration, error)) *remoteKeys {
	set := m.sets[id]
	if set == nil {
		set = &remoteKeys{fetch: fetch, now: m.now, ctx: m.ctx}
		m.sets[id] = set
	}
	return set
}

// discovery returns what finds an issuer's documents: one for its keys and its feed.
func (m *remotes) discovery(cfg Issuer) *discovery {
	id := remoteID{issuer: cfg.URL, jwksURL: cfg.JWKSURL, allowPrivate: cfg.AllowPrivateAddresses}
	d := m.issuers[id]
	if d == nil {
		client := m.clients[id.allowPrivate]
		if client == nil {
			client = egress.New(egress.Config{AllowPrivateAddresses: id.allowPrivate, RootCAs: m.roots})
			m.clients[id.allowPrivate] = client
		}
		d = &discovery{client: client, issuer: cfg.URL, pinned: cfg.JWKSURL, now: m.now}
		m.issuers[id] = d
	}
	return d
}

func (m *remotes) close() {
	m.cancel()
	for _, set := range m.sets {
		set.mu.Lock()
		set.closed = true
		set.mu.Unlock()
		set.wg.Wait()
	}
	for _, client := range m.clients {
		client.CloseIdleConnections()
	}
}
