package oauth

import (
	"context"
	"maps"
	"slices"

	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/token"
)

// grant decides what a token of one grant type says. It is asked after the client
// has been authenticated, and what it returns is minted, audited and answered by
// [Handler.Token]: a grant can't forget those steps.
type grant interface {
	// claims returns what the client is granted of what req asks for.
	//
	// Errors: countersign.Denied (the client may not use this grant), BadScope,
	// BadTarget, and BadToken or Expired for a grant that comes with a proof of its own.
	claims(ctx context.Context, client *registry.Service, req *tokenRequest) (token.Claims, error)
}

// grants is the table of grant types; discovery reads it too.
var grants = map[string]grant{
	"client_credentials": clientCredentials{},
}

// grantTypes returns the served grant types, sorted.
func grantTypes() []string { return slices.Sorted(maps.Keys(grants)) }
