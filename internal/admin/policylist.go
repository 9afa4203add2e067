package admin

import (
	"context"
	"encoding/json"

	"github.com/countersign/countersign/internal/resource"
)

// RoutePolicy is a stored route policy as its receiver gets it.
type RoutePolicy struct {
	// Service is the receiving one.
	Service string
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
		text, err := json.Marshal(struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
			*resource.RoutePolicy
		}{d.Kind, d.Name, d.RoutePolicy})
		if err != nil {
			failed = err
			return
		}
		list = append(list, RoutePolicy{Service: d.RoutePolicy.Service, Document: text})
	})
	if err != nil {
		return nil, describeObject(resource.KindRoutePolicy, err)
	}
	return list, failed
}
