package registry

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// maxIssuers bounds the Issuer documents: they are few, and all of them are held.
const maxIssuers = 10_000

// issuers holds every Issuer document by its URL, from the first question on and until one
// of them changes. The zero value is empty.
type issuers struct {
	loads singleflight.Group // one reads, the others wait for what it finds
	mu    sync.Mutex
	// It is nil when all have to be read anew; version grows each time that happens.
	*knownIssuers
	version int
}

// knownIssuers are all of one moment.
type knownIssuers struct {
	byURL   map[string][]trust.Issuer
	devices []DeviceLogin // in order of name
}

// DeviceLogin is an issuer whose users may log in from a command line (RFC 8628).
type DeviceLogin struct {
	Name, Tenant, URL string
	resource.DeviceLogin
}

// DeviceLogins returns those of all tenants in order of name. Never change them.
//
// Errors: countersign.Unavailable.
func (r *Registry) DeviceLogins(ctx context.Context) ([]DeviceLogin, error) {
	if r.stale() {
		return nil, errStale
	}
	known, err := r.issuers.get(ctx, r.store)
	if err != nil {
		return nil, err
	}
	return known.devices, nil
}

// Issuers implements trust.Issuers: the documents of exactly that URL. Never change them.
//
// Errors: countersign.Unavailable.
func (r *Registry) Issuers(ctx context.Context, url string) ([]trust.Issuer, error) {
	if r.stale() {
		return nil, errStale
	}
	known, err := r.issuers.get(ctx, r.store)
	if err != nil {
		return nil, err
	}
	return known.byURL[url], nil
}

// hasIssuer reports whether the Issuer document with that uid is there, has that URL, and may
// be referred to by the tenant's documents (RULES A6).
//
// Errors: countersign.Unavailable.
func (r *Registry) hasIssuer(ctx context.Context, url, uid, tenant string) (bool, error) {
	found, err := r.Issuers(ctx, url)
	for i := range found {
		if f := &found[i]; f.UID == uid {
			return f.Tenant == "" || mayRefer(tenant, f.Tenant, f.SharedWith), nil
		}
	}
	return false, err
}

// mayRefer reports whether a tenant's document may refer to what belongs to owner. The
// platform's may refer to everything.
func mayRefer(tenant, owner string, sharedWith []string) bool {
	return tenant == "" || tenant == owner || slices.Contains(sharedWith, tenant)
}

func (s *issuers) get(ctx context.Context, from store.Objects) (*knownIssuers, error) {
	if known, _ := s.known(); known != nil {
		return known, nil
	}
	// It is nobody's own: it goes on when the request that began it is given up, and who waits
	// leaves in time, since others may wait for them.
	loading := s.loads.DoChan("", func() (any, error) { return s.load(context.WithoutCancel(ctx), from) })
	select {
	case done := <-loading:
		if done.Err != nil {
			return nil, done.Err
		}
		return done.Val.(*knownIssuers), nil
	case <-ctx.Done():
		return nil, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
			"the store is not available", fmt.Errorf("read the issuers: %w", ctx.Err()))
	}
}

func (s *issuers) load(ctx context.Context, from store.Objects) (*knownIssuers, error) {
	for {
		known, version := s.known()
		if known != nil {
			return known, nil
		}
		fresh, err := readIssuers(ctx, from)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if s.version == version { // else what was read may be from before a change
			s.knownIssuers = fresh
			s.mu.Unlock()
			return fresh, nil
		}
		s.mu.Unlock()
	}
}

func (s *issuers) known() (known *knownIssuers, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knownIssuers, s.version
}

func (s *issuers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knownIssuers = nil
	s.version++
	s.loads.Forget("") // who comes after this does not join a load from before
}

func readIssuers(ctx context.Context, from store.Objects) (*knownIssuers, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	known := &knownIssuers{byURL: make(map[string][]trust.Issuer)}
	count := 0
	for after := ""; ; {
		page, err := from.Objects(ctx, resource.KindIssuer, store.Page{After: after, Limit: store.MaxLimit})
		if err != nil {
			return nil, fmt.Errorf("read the issuers: %w", err)
		}
		for _, row := range page {
			document, err := resource.FromSpec(row.Kind, row.Name, row.Tenant, row.Spec)
			if err != nil {
				return nil, fmt.Errorf("read issuer %s: %w", row.Name, err)
			}
			issuer := issuerOf(row, document.Issuer)
			known.byURL[issuer.URL] = append(known.byURL[issuer.URL], issuer)
			if login := document.Issuer.DeviceLogin; login != nil {
				known.devices = append(known.devices, DeviceLogin{row.Name, row.Tenant, issuer.URL, *login})
			}
			after = row.Name
		}
		if count += len(page); count > maxIssuers {
			return nil, countersign.NewError(countersign.Unavailable, "", "there are more than 10,000 issuers")
		}
		if len(page) < store.MaxLimit {
			return known, nil
		}
	}
}

// issuerOf says a stored document in the words of package trust.
func issuerOf(row store.Object, d *resource.Issuer) trust.Issuer {
	claims := trust.ClaimNames{
		Service: d.Claims.Service.Claim, ServiceFrom: d.Claims.Service.From, ServicePrefix: d.Claims.Service.StripPrefix,
		Roles: d.Claims.Roles, Tenant: d.Claims.Tenant, Scopes: d.Claims.Scopes,
	}
	return trust.Issuer{
		Name: row.Name, UID: row.UID, URL: d.URL, Tenant: row.Tenant, SharedWith: d.SharedWith, Revision: row.Revision,
		Subject: d.Subject, Profile: d.Profile, TokenUse: d.TokenUse, JWKS: d.JWKS, JWKSURI: d.JWKSURI,
		Audiences: d.Audiences, Algorithms: d.Algorithms, AllowPrivateAddresses: d.AllowPrivateAddresses, Claims: claims,
		MayAssert: trust.MayAssert{Tenants: d.MayAssert.Tenants, Roles: d.MayAssert.Roles, Scopes: d.MayAssert.Scopes},
	}
}
