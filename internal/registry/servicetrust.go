package registry

import (
	"context"

	"github.com/countersign/countersign/internal/trust"
)

// ServiceTrust returns the compiled trust statements of a service: who may prove to be it
// without a secret.
//
// Errors: countersign.Internal for statements that don't compile, which were saved by
// another version.
func (r *Registry) ServiceTrust(_ context.Context, _ *Service) ([]trust.Statement, error) {
	return nil, nil
}
