package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
)

const (
	// policiesAge is how long what was read is used when nobody told of a change.
	policiesAge = 30 * time.Second
	// policiesTimeout bounds the reading: it is nobody's own.
	policiesTimeout = 10 * time.Second
)

// routePolicies are all stored policies by receiving service. Key: the service; lifetime:
// until [API.PoliciesChanged], 30 s at most; bound: what is stored.
type routePolicies struct {
	mu        sync.Mutex
	at        time.Time
	byService map[string][]admin.RoutePolicy // by name
	// generation changes with each PoliciesChanged: what was read before is not kept.
	generation uint64
}

// servicePolicies are those that decide at one service, as they are sent.
type servicePolicies struct {
	documents []json.RawMessage // by name
	etag      string
}

// PoliciesChanged lets receivers get what is stored from now on.
func (a *API) PoliciesChanged() {
	a.policies.mu.Lock()
	defer a.policies.mu.Unlock()
	a.policies.byService = nil
	a.policies.generation++
}

// routePolicies is GET /system/route-policies/{service}: a service's own policies, signed
// by a key that signs nothing else (RULES B7).
//
// Source: DESIGN §5; RFC 7515 §3.1. The document is iamclient.RoutePolicies.
func (a *API) routePolicies(w http.ResponseWriter, r *http.Request) error {
	const action = "route-policy.fetch"
	service, err := a.itself(r, action)
	if err != nil {
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	policies, err := a.policiesOf(r.Context(), service)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", policies.etag)
	if r.Header.Get("If-None-Match") == policies.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := a.signPolicies(service, policies)
	if err != nil {
		return err
	}
	header.Set("Content-Type", iamclient.RoutePoliciesType)
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) //nolint:gosec // G705: a JWS, and nosniff; an error means that the client has gone
	return nil
}

// itself proves that a service asks for what is its own. A user's token is refused, alone
// or beside a service's.
func (a *API) itself(r *http.Request, action string) (string, error) {
	caller, err := a.authn.Caller(r)
	if err != nil {
		return "", a.refuseStranger(r, action, err)
	}
	p := caller.Principal
	switch {
	case p != nil && !p.User.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonUserNotAllowed, "this is for services alone")
	case p == nil || p.Service.IsZero():
		err = countersign.NewError(countersign.Denied, countersign.ReasonServiceRequired, "this is for services: bring a service token")
	case p.Service.Name != r.PathValue("service"):
		err = countersign.NewError(countersign.Denied, countersign.ReasonServiceNotAllowed, "a service gets its own route policies only")
	default:
		return p.Service.Name, nil
	}
	return "", a.refuseCaller(r, action, authn.Caller{Principal: p}, err)
}

// policiesOf returns what decides at a service: the policies of the platform, of its own
// tenant and of those that it is shared with. A tenant's policy may be older than the
// service that it names, and than the end of the sharing (RULES A6).
func (a *API) policiesOf(ctx context.Context, service string) (servicePolicies, error) {
	tenants, err := a.admin.Referrers(ctx, service)
	if err != nil {
		return servicePolicies{}, err
	}
	p := &a.policies
	p.mu.Lock()
	known, generation := p.byService, p.generation
	if a.now().Sub(p.at).Abs() > policiesAge {
		known = nil
	}
	p.mu.Unlock()
	if known == nil {
		began := a.now()
		read, err := readPolicies(ctx, a.admin)
		if err != nil {
			return servicePolicies{}, err
		}
		known = read
		p.mu.Lock()
		if p.generation == generation {
			p.byService, p.at = known, began
		}
		p.mu.Unlock()
	}
	documents := []json.RawMessage{}
	for _, policy := range known[service] {
		if policy.Tenant == "" || slices.Contains(tenants, policy.Tenant) {
			documents = append(documents, policy.Document)
		}
	}
	return servicePolicies{documents, etagOf(documents)}, nil
}

// readPolicies reads the policies of all services: there are few, and one reading serves
// every receiver.
func readPolicies(ctx context.Context, from *admin.Admin) (map[string][]admin.RoutePolicy, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), policiesTimeout)
	defer cancel()
	list, err := from.RoutePolicies(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the route policies: %w", err)
	}
	found := make(map[string][]admin.RoutePolicy)
	for _, policy := range list {
		found[policy.Service] = append(found[policy.Service], policy)
	}
	return found, nil
}

func etagOf(documents []json.RawMessage) string {
	h := sha256.New()
	for _, document := range documents {
		_, _ = fmt.Fprintf(h, "%d:", len(document))
		_, _ = h.Write(document)
	}
	return `"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]) + `"`
}

// signPolicies makes the compact JWS.
func (a *API) signPolicies(service string, policies servicePolicies) ([]byte, error) {
	signer, err := a.keys.Signer(keys.Policy)
	if err != nil {
		return nil, err
	}
	payload, err := json.Marshal(iamclient.RoutePolicies{
		Issuer: a.issuer, Audience: service, IssuedAt: a.now().Unix(), Policies: policies.documents,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the route policies: %w", err)
	}
	header, err := json.Marshal(map[string]string{"alg": signer.Algorithm, "typ": iamclient.RoutePoliciesTyp, "kid": signer.KID})
	if err != nil {
		return nil, fmt.Errorf("encode the header: %w", err)
	}
	text := base64.RawURLEncoding.AppendEncode(nil, header)
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, payload)
	signature, err := signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("sign the route policies: %w", err)
	}
	text = append(text, '.')
	return base64.RawURLEncoding.AppendEncode(text, signature), nil
}
