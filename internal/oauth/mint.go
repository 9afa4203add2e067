package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/token"
)

const (
	// maxMintWait is how long a request waits for a revocation to pass: "before T"
	// covers T + 2 s (RULES E3), and iat has whole seconds.
	maxMintWait = 4 * time.Second
	// maxWaiting bounds the requests that wait at a time. Others are told to come back,
	// so that those of a revoked service don't fill the server.
	maxWaiting = 64
	// maxRetryAfter bounds what a client is told.
	maxRetryAfter = time.Hour
)

// mint makes a token that is not born revoked: one whose iat is covered by a
// revocation of its service would be dead on arrival. Such a request waits it out
// (RULES E3); if the client was changed meanwhile its grant is void.
//
// Errors: countersign.BadToken (the client was disabled, deleted or changed),
// Unavailable, Internal.
func (h *Handler) mint(ctx context.Context, id string, client *registry.Service, claims token.Claims) (token.Minted, error) {
	for waited := false; ; waited = true {
		minted, err := h.cfg.Minter.Mint(ctx, id, claims)
		if errors.Is(err, countersign.Invalid) { // the record is wrong, not the request
			return token.Minted{}, countersign.WrapError(countersign.Internal, "", "", err)
		}
		if err != nil {
			return token.Minted{}, err
		}
		// Asked after minting: a revocation that comes later finds a token that was alive.
		from := h.mintFrom(client, minted)
		if !minted.IssuedAt.Before(from) {
			return minted, nil
		}
		if err := h.waitOut(ctx, from.Sub(h.cfg.Now()), waited); err != nil {
			return token.Minted{}, err
		}
		if err := h.unchanged(ctx, client); err != nil {
			return token.Minted{}, err
		}
	}
}

// waitOut waits, but not twice, not long, and not with too many others.
func (h *Handler) waitOut(ctx context.Context, wait time.Duration, again bool) error {
	refused := comeBack(wait, "the tokens of this client were revoked just now")
	if again || wait > maxMintWait {
		return refused
	}
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return refused
	}
	if err := h.cfg.Sleep(ctx, wait); err != nil {
		refused.Err = err
		return refused
	}
	return nil
}

// confirm is asked when the token's event is on disk, right before the token leaves: what
// was decided at the start may have been undone since. Without it a request that stalled
// would carry a token out that no revocation covers, because its iat is later.
//
// Errors: those of unchanged; Unavailable (its service's tokens were revoked just now).
func (h *Handler) confirm(ctx context.Context, client *registry.Service, minted token.Minted) error {
	if err := h.unchanged(ctx, client); err != nil {
		return err
	}
	if from := h.mintFrom(client, minted); minted.IssuedAt.Before(from) {
		return comeBack(from.Sub(h.cfg.Now()), "the tokens of this client were revoked just now")
	}
	return nil
}

// mintFrom is when a token like this one is not born revoked.
func (h *Handler) mintFrom(client *registry.Service, minted token.Minted) time.Time {
	return h.cfg.Registry.MintFrom(registry.TokenFacts{
		KID: minted.KID, Service: client.Name, ServiceUID: client.UID, Issuer: h.cfg.Issuer,
	})
}

// unchanged checks that the client is still the one that was authenticated.
//
// Errors: countersign.BadToken (it was disabled or deleted), Unavailable (it was changed
// otherwise: a rotated secret may be good still, so the client is to ask again).
func (h *Handler) unchanged(ctx context.Context, client *registry.Service) error {
	current, err := h.lookUp(ctx, client.Name)
	switch {
	case err != nil:
		return err
	case current.UID != client.UID || current.Disabled:
		return countersign.NewError(countersign.BadToken, countersign.ReasonTokenRevoked,
			"the client was disabled while its request was under way")
	case current.Revision != client.Revision:
		return comeBack(0, "the client was changed while its request was under way")
	}
	return nil
}

// comeBack tells a client to ask again, in a second at the earliest.
func comeBack(wait time.Duration, msg string) *countersign.Error {
	return &countersign.Error{Code: countersign.Unavailable, Reason: countersign.ReasonTokenRevoked,
		Msg: msg, RetryAfter: min(max(wait, time.Second), maxRetryAfter)}
}

// sleep is Config.Sleep by default.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", ctx.Err())
	}
}
