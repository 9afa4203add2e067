package oauth

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

// Revoke ends a token. A client may end those that were issued to itself, the local
// administrator every one (RULES B5). 200 means that the token is good nowhere here
// any more, nor a session that it proved: it was ended now, or it was no good token to begin
// with. What an expired one proved is for an administrator to end. token_type_hint
// is ignored: there is one type of token.
//
// Source: RFC 7009 §2.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) error {
	d := h.newDecision(r.Context(), "revoke")
	if err := h.revoke(r, d); err != nil {
		d.refused(r.Context(), audit.Refused, countersign.ReasonOf(err))
		return err
	}
	header := w.Header()
	header["Cache-Control"], header["Pragma"] = noStoreValue, noCacheValue
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) revoke(r *http.Request, d *decision) error {
	ctx := r.Context()
	creds, presented, err := parseTokenParameter(r)
	d.claims(creds)
	if err != nil {
		return err
	}
	asker, err := h.identify(r, creds, d)
	if err != nil {
		return err
	}
	t, reason, err := h.inspect(r, presented)
	if err == nil && t == nil {
		t, reason, err = h.inspectAgain(r, presented, reason)
	}
	if err != nil {
		return err
	}
	if t == nil { // RFC 7009 §2.2: no error, for the client has what it wanted, also after a restart
		d.refused(ctx, audit.Refused, reason)
		return nil
	}
	d.event.TokenID = t.ID
	if !asker.localAdmin && !asker.owns(t) {
		return countersign.NewError(countersign.Denied, countersign.ReasonServiceNotAllowed,
			"the token was not issued to this client")
	}
	return h.end(ctx, asker, t, d)
}

// inspectAgain looks at a token that seems dead when everything is known that was committed
// before: another replica may have enabled its service, or made its key, a moment ago, and
// then it lives.
func (h *Handler) inspectAgain(r *http.Request, presented countersign.Secret, reason countersign.Reason) (*verify.Token, countersign.Reason, error) {
	err := h.cfg.Admin.CatchUp(r.Context())
	if err == nil && reason == countersign.ReasonKeyUnknown {
		err = h.cfg.Keys.Reload(r.Context())
	}
	if err != nil {
		return nil, "", fmt.Errorf("revoke token: %w", err)
	}
	return h.inspect(r, presented)
}

// end stores the revocation together with its event; admin emits that one.
func (h *Handler) end(ctx context.Context, a asker, t *verify.Token, d *decision) error {
	actor := admin.Actor{
		ID: d.event.Actor, RequestID: d.event.ID, ClientAddr: d.event.ClientAddr, Proof: d.event.Proof,
		SuperAdmin: a.localAdmin,
	}
	if a.client != nil {
		actor.ID = "service:" + a.client.Name
	}
	d.emitted = true
	ends := admin.Token{ID: t.ID, ExpiresAt: t.ExpiresAt, NoSessions: !slices.Contains(t.Audience, trust.OwnAudience)}
	if err := h.cfg.Admin.RevokeToken(ctx, actor, ends); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}
