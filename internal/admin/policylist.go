package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/countersign/countersign/internal/resource"
)

// RoutePolicy is a stored route policy as its receiver gets it.
type RoutePolicy struct {
	// Service is the receiving one.
	Service string
	// Tenant is whose policy it is; "" = the platform's. It decides at no service of
	// another tenant (RULES A6): when it was stored there may have been no such service.
	Tenant string
	// Document is the whole document as JSON.
	Document json.RawMessage
}

// RoutePolicies returns all of them in order of name.
//
// Errors: countersign.Unavailable.
func (a *Admin) RoutePolicies(ctx context.Context) (list []RoutePolicy, err error) {
	var failed error
	err = all(ctx, a.store, resource.KindRoutePolicy, func(r *row) {
		d := r.document
		text, err := policyJSON(d)
		if err != nil {
			failed = err
			return
		}
		list = append(list, RoutePolicy{Service: d.RoutePolicy.Service, Tenant: d.Tenant, Document: text})
	})
	if err != nil {
		return nil, describeObject(resource.KindRoutePolicy, err)
	}
	return list, failed
}

// Referrers returns the tenants whose documents may refer to a service: its own, and those
// that it is shared with (RULES A6).
//
// Errors: countersign.NotFound, Unavailable.
func (a *Admin) Referrers(ctx context.Context, service string) ([]string, error) {
	s, err := a.registry.Service(ctx, service)
	if err != nil {
		return nil, describe(err)
	}
	return append([]string{s.Tenant}, s.SharedWith...), nil
}

// policyJSON is a route policy as receivers get it.
func policyJSON(d *resource.Document) (json.RawMessage, error) {
	text, err := json.Marshal(struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		*resource.RoutePolicy
	}{d.Kind, d.Name, d.RoutePolicy})
	if err != nil {
		return nil, fmt.Errorf("encode a route policy: %w", err)
	}
	return text, nil
}
