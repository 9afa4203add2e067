package s3origin

import (
	"container/list"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3dir"
)

// maxOrigins bounds what is kept. Key: the uid of a bucket; lifetime: its revision; the
// least recently used goes first.
const maxOrigins = 1024

// Config of a [Pool]; the zero value serves stores with ambient credentials alone.
type Config struct {
	// Paths are those that buckets may name (RULES A8).
	Paths hostpath.Paths
	// Broker gets credentials by web identity; nil = there are none.
	Broker Broker
	// Ambient finds the credentials of this process; nil = as AWS's SDKs do.
	Ambient func(ctx context.Context) (aws.CredentialsProvider, error)
	// URL is the gateway's own, for the Location of an object; "" = paths alone.
	URL string
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Pool makes the origins of buckets and keeps them. Safe for concurrent use.
type Pool struct {
	cfg     Config
	ambient *renewed
	// strict and private are what all origins send through: connections belong to hosts,
	// not to buckets.
	strict, private *egress.Stream

	mu      sync.Mutex
	closed  bool
	entries map[string]*list.Element
	order   *list.List // of *entry, the most recently used first
}

// entry is the origin of a bucket as it was at a revision.
type entry struct {
	uid      string
	revision int64
	once     sync.Once
	origin   s3api.Origin
	closer   io.Closer
	err      error
}

// NewPool returns a pool; it opens nothing.
//
// Errors: none.
func NewPool(cfg Config) (*Pool, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	stream := func(private bool) *egress.Stream {
		return egress.NewStream(egress.StreamConfig{
			AllowPrivateAddresses: private, HeaderTimeout: slowTimeout, MaxIdlePerHost: maxIdlePerHost, RootCAs: cfg.RootCAs,
		})
	}
	return &Pool{
		cfg: cfg, ambient: newAmbient(cfg.Ambient, cfg.Now), strict: stream(false), private: stream(true),
		entries: make(map[string]*list.Element), order: list.New(),
	}, nil
}

// maxIdlePerHost is as many requests as a store gets at a time without new connections.
const maxIdlePerHost = 256

// Origin returns the origin of a bucket at its revision. It is kept, and may be asked as
// long as the pool is open; of an older revision only what is under way goes on.
//
// Errors: countersign.Denied (a path that may not be named), countersign.Invalid,
// countersign.Unavailable.
func (p *Pool) Origin(_ context.Context, b *registry.Bucket) (s3api.Origin, error) {
	e, old, err := p.entry(b)
	closeAll(old)
	if err != nil {
		return nil, err
	}
	e.once.Do(func() { e.origin, e.closer, e.err = p.open(b) })
	if e.err != nil {
		p.forget(e)
		return nil, fmt.Errorf("open the origin of %s: %w", b.Name, e.err)
	}
	return e.origin, nil
}

// entry finds or makes the entry, and returns what it replaces.
func (p *Pool) entry(b *registry.Bucket) (found *entry, old []*entry, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, countersign.NewError(countersign.Unavailable, "", "the server stops")
	}
	if at, ok := p.entries[b.UID]; ok {
		e, _ := at.Value.(*entry)
		if e.revision == b.Revision {
			p.order.MoveToFront(at)
			return e, nil, nil
		}
		old = append(old, p.remove(at))
	}
	for p.order.Len() >= maxOrigins {
		old = append(old, p.remove(p.order.Back()))
	}
	e := &entry{uid: b.UID, revision: b.Revision}
	p.entries[b.UID] = p.order.PushFront(e)
	return e, old, nil
}

// remove takes an entry out, with the lock held.
func (p *Pool) remove(at *list.Element) *entry {
	e, _ := p.order.Remove(at).(*entry)
	delete(p.entries, e.uid)
	return e
}

// forget takes out an entry that could not be opened, so that the next one tries again.
func (p *Pool) forget(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.entries[e.uid]; ok && at.Value == e {
		p.remove(at)
	}
}

// open makes an origin.
func (p *Pool) open(b *registry.Bucket) (s3api.Origin, io.Closer, error) {
	switch {
	case b.Origin.S3 != nil:
		o, err := p.openStore(b)
		return o, nil, err
	case b.Origin.Dir != "":
		folder, err := p.cfg.Paths.Check(b.Origin.Dir)
		if err != nil {
			return nil, nil, err
		}
		d, err := s3dir.Open(folder, s3dir.Config{Bucket: b.Name, Forbidden: p.cfg.Paths.Forbidden, Now: p.cfg.Now})
		if err != nil {
			return nil, nil, err
		}
		shared := &shared{dir: d}
		return shared, shared, nil
	}
	return nil, nil, invalid("the bucket has no origin")
}

func (p *Pool) openStore(b *registry.Bucket) (s3api.Origin, error) {
	from := b.Origin.S3
	credentials, err := p.credentials(b.Name, from)
	if err != nil {
		return nil, err
	}
	stream := p.strict
	if from.AllowPrivateAddresses {
		stream = p.private
	}
	return New(OriginConfig{
		Store: Store{
			Endpoint: from.Endpoint, Bucket: from.Bucket, Region: from.Region, Prefix: from.Prefix,
			VirtualHost: !from.UsesPathStyle(), NoTrailers: from.NoChecksumTrailers,
		},
		Bucket: b.Name, URL: p.cfg.URL, Credentials: credentials, Transport: stream, Now: p.cfg.Now,
	})
}

func (p *Pool) credentials(bucket string, from *resource.S3Origin) (Credentials, error) {
	switch c := from.Credentials; {
	case c.Static != nil:
		read := func(path string) ([]byte, error) { return p.cfg.Paths.ReadFile(path, maxSecretFile) }
		return NewStatic(c.Static.AccessKeyID, c.Static.SecretAccessKeyFile, read, p.cfg.Now)
	case c.WebIdentity != nil:
		return newWebIdentity(p.cfg.Broker, bucket, from)
	case c.Ambient:
		return p.ambient, nil
	}
	return nil, invalid("the origin has no credentials")
}

// Close ends what is kept. Requests that are under way go on to their end.
//
// Errors: none.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	var old []*entry
	for p.order.Len() > 0 {
		old = append(old, p.remove(p.order.Back()))
	}
	p.mu.Unlock()
	closeAll(old)
	err := p.ambient.Close()
	p.strict.CloseIdleConnections()
	p.private.CloseIdleConnections()
	return err
}

func closeAll(entries []*entry) {
	for _, e := range entries {
		// Who opens it just now ends first; an entry that nobody has opened stays shut.
		e.once.Do(func() { e.err = countersign.NewError(countersign.Unavailable, "", "the bucket has changed") })
		if e.closer != nil {
			_ = e.closer.Close()
		}
	}
}

// shared is a folder that is closed once nobody is in it any more.
type shared struct {
	dir *s3dir.Dir

	mu      sync.Mutex
	inside  int
	retired bool
}

// Do implements s3api.Origin.
//
// Errors: those of s3api.Origin; countersign.Unavailable when the bucket has changed.
func (s *shared) Do(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if r.Source != nil {
		if from, ok := r.Source.Origin.(*shared); ok {
			if err := from.enter(); err != nil {
				return nil, err
			}
			defer from.leave()
			source, request := *r.Source, *r
			source.Origin = from.dir
			request.Source = &source
			r = &request
		}
	}
	return s.dir.Do(ctx, r)
}

func (s *shared) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return countersign.NewError(countersign.Unavailable, "", "the bucket has changed")
	}
	s.inside++
	return nil
}

func (s *shared) leave() {
	s.mu.Lock()
	s.inside--
	last := s.retired && s.inside == 0
	s.mu.Unlock()
	if last {
		_ = s.dir.Close()
	}
}

// Close implements io.Closer.
func (s *shared) Close() error {
	s.mu.Lock()
	last := !s.retired && s.inside == 0
	s.retired = true
	s.mu.Unlock()
	if last {
		return s.dir.Close()
	}
	return nil
}
