package oauth

import (
	"context"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/token"
)

// clientCredentials is the grant of a service that asks for a token in its own name.
//
// Source: RFC 6749 §4.4.2.
type clientCredentials struct{}

func (clientCredentials) claims(_ context.Context, client *registry.Service, req *tokenRequest) (token.Claims, error) {
	// A token without an audience would be good nowhere or everywhere (RULES B1), so
	// a service that may call nobody may not use this grant at all.
	if len(client.Audiences) == 0 {
		return token.Claims{}, countersign.NewError(countersign.Denied, countersign.ReasonGrantNotAllowed,
			"this client has no audience that it may ask a token for")
	}
	scopes, err := policy.ParseScope(req.scope)
	if err != nil {
		return token.Claims{}, err
	}
	if err := policy.Granted(scopes, client.Scopes); err != nil {
		return token.Claims{}, err
	}
	audience, err := policy.ChooseAudience(req.audiences, client.Audiences)
	if err != nil {
		return token.Claims{}, err
	}
	return token.Claims{
		Service:    client.Name,
		ServiceUID: client.UID,
		Audience:   audience,
		Scope:      strings.Join(scopes, " "),
		Tenant:     client.Tenant,
		Lifetime:   client.TokenLifetime,
	}, nil
}
