package sts

import (
	"context"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
)

// notDisabled refuses a user who is disabled on the platform, which is so everywhere: their
// issuer may go on to issue tokens. Who is disabled in a tenant gets no role of that tenant, nor
// one by a token that says it.
//
// Errors: countersign.Denied, in the words for every role; Unavailable.
func (h *Handler) notDisabled(ctx context.Context, role *registry.Role, a *assumption) error {
	disabled, err := h.cfg.Registry.SessionUserDisabled(ctx, role, a.session(h.cfg.Now()))
	if err != nil {
		return fmt.Errorf("look up the user: %w", err)
	}
	if disabled {
		return errNotTrusted(countersign.ReasonUserDisabled)
	}
	return nil
}
