package iamclient

import "encoding/json"

// The answer of GET /system/route-policies/{service} is a compact JWS of this type, whose
// header has this typ.
const (
	RoutePoliciesType = "application/route-policies+jwt"
	RoutePoliciesTyp  = "route-policies+jwt"
)

// RoutePolicies is its payload.
type RoutePolicies struct {
	// Issuer is who decides, Audience the service whose policies these are.
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	// IssuedAt is when it was signed, in Unix seconds.
	IssuedAt int64 `json:"iat"`
	// Policies are RoutePolicy documents by name; none = every call is denied.
	Policies []json.RawMessage `json:"policies"`
}
