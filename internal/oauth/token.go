package oauth

import (
	"context"
	"fmt"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/token"
)

// Token is the token endpoint: a client proves itself and gets a token for one
// audience. The event of a token is durable before the token leaves.
//
// Source: RFC 6749 §3.2, RFC 6749 §4.4, RFC 9068 §2.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	d := h.newDecision(r.Context(), "token")
	minted, err := h.issue(r, d)
	if err != nil {
		d.refused(r.Context(), audit.Refused, countersign.ReasonOf(err))
		return err
	}
	// 7 The answer.
	writeToken(w, minted, d.event.Scope)
	return nil
}

// issue walks a token request from top to bottom and fills in d on the way.
func (h *Handler) issue(r *http.Request, d *decision) (token.Minted, error) {
	ctx := r.Context()
	// 1 What is asked for, and by whom as they say.
	req, err := parseTokenRequest(r)
	d.claims(req.credentials)
	if err != nil {
		return token.Minted{}, err
	}
	// 2 Who it is.
	client, err := h.authenticate(ctx, req.credentials)
	if err != nil {
		return token.Minted{}, err
	}
	d.proves(client)
	// 3 What they get.
	claims, err := req.grant.claims(ctx, client, &req)
	if err != nil {
		d.asks(&req)
		return token.Minted{}, err
	}
	d.event.Target, d.event.Scope = claims.Audience, claims.Scope
	if err := h.withinReach(ctx, client, claims.Audience); err != nil {
		return token.Minted{}, err
	}
	if err := h.withinQuota(ctx, client); err != nil {
		return token.Minted{}, err
	}
	// 4 The token. Its id is the request's, so that log, token and answer agree.
	minted, err := h.mint(ctx, d.event.ID, client, claims)
	if err != nil {
		return token.Minted{}, err
	}
	d.event.TokenID = minted.ID
	// 5 Nobody holds a token that the log doesn't know of.
	if err := d.committed(ctx); err != nil {
		return token.Minted{}, err
	}
	// 6 Nor one whose client was locked out while it was made.
	if err := h.confirm(ctx, client, minted); err != nil {
		d.emitted = false // the log tells of the token, and then that it never left
		return token.Minted{}, err
	}
	return minted, nil
}

// withinReach checks the audience once more against whose it is now (RULES A6): the service
// that it was granted for may be gone, and another tenant's have the name.
//
// Errors: countersign.BadTarget, in the words for what was not granted; Unavailable.
func (h *Handler) withinReach(ctx context.Context, client *registry.Service, audience string) error {
	reached, err := h.cfg.Registry.MayReach(ctx, client, audience)
	if err != nil {
		return fmt.Errorf("look whose the audience is: %w", err)
	}
	if !reached {
		return policy.AudienceNotGranted()
	}
	return nil
}

// withinQuota counts a token that the client may have against its quota.
//
// Errors: countersign.Throttled, Unavailable.
func (h *Handler) withinQuota(ctx context.Context, client *registry.Service) error {
	wait, err := h.cfg.Registry.Take(ctx, client)
	if err != nil {
		return fmt.Errorf("take from the quota: %w", err)
	}
	if wait > 0 {
		return &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonQuotaExceeded,
			Msg: "the quota of this client is used up; try again later", RetryAfter: wait}
	}
	return nil
}
