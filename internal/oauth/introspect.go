package oauth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/verify"
)

// Introspect tells a client whether a token is good. It says so only to a client that
// the token is for or was issued to, and to the local administrator (RULES B5): to
// others, as for a bad token, the answer is {"active":false}. token_type_hint is
// ignored: there is one type of token.
//
// Source: RFC 7662 §2.
func (h *Handler) Introspect(w http.ResponseWriter, r *http.Request) error {
	d := h.newDecision(r.Context(), "introspect")
	body, err := h.introspect(r, d)
	if err != nil {
		d.refused(r.Context(), audit.Denied, countersign.ReasonOf(err))
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func (h *Handler) introspect(r *http.Request, d *decision) (introspectionBody, error) {
	ctx := r.Context()
	creds, presented, err := parseTokenParameter(r)
	d.claims(creds)
	if err != nil {
		return introspectionBody{}, err
	}
	asker, err := h.identify(r, creds, d)
	if err != nil {
		return introspectionBody{}, err
	}
	t, reason, err := h.inspect(r, presented)
	if err != nil {
		return introspectionBody{}, err
	}
	if t == nil {
		d.refused(ctx, audit.Denied, reason)
		return introspectionBody{}, nil
	}
	audience := strings.Join(t.Audience, " ") // exactly one (RULES B1)
	d.event.TokenID, d.event.Target = t.ID, audience
	if !asker.localAdmin && !asker.owns(t) && !slices.Contains(t.Audience, asker.client.Name) {
		d.refused(ctx, audit.Denied, countersign.ReasonAudMismatch)
		return introspectionBody{}, nil
	}
	d.allowed(ctx)
	return introspectionBody{
		Active:    true,
		Scope:     strings.Join(t.Principal.Scopes, " "),
		ClientID:  t.ClientID,
		TokenType: "Bearer",
		ExpiresAt: t.ExpiresAt.Unix(),
		IssuedAt:  t.IssuedAt.Unix(),
		Subject:   t.Subject,
		Audience:  audience,
		Issuer:    t.Issuer,
		ID:        t.ID,
		Tenant:    t.Principal.Tenant,
	}, nil
}

// asker is who asks about a token: a client, or the local administrator.
type asker struct {
	client     *registry.Service
	localAdmin bool
	uid        uint32
}

// owns reports whether t was issued to the asking client: to this registration of it,
// not to an earlier one of the same name (RULES A5).
func (a asker) owns(t *verify.Token) bool {
	return a.client != nil && t.ClientID == a.client.Name && t.Principal.Service.UID == a.client.UID
}

// identify proves who asks: the client by its credentials; without any, the local
// administrator by the Unix socket (RULES G1).
//
// Errors: those of authenticate.
func (h *Handler) identify(r *http.Request, creds credentials, d *decision) (asker, error) {
	ctx := r.Context()
	if _, onSocket := web.PeerUID(ctx); onSocket && creds == (credentials{}) {
		caller, err := h.cfg.Authn.Caller(r)
		if err != nil {
			return asker{}, fmt.Errorf("prove the local administrator: %w", err)
		}
		if caller.LocalAdmin {
			d.known, d.event.Proof = true, "unix_socket"
			d.event.Actor = fmt.Sprintf("local:%d", caller.UID)
			return asker{localAdmin: true, uid: caller.UID}, nil
		}
	}
	client, err := h.authenticate(ctx, creds)
	if err != nil {
		return asker{}, err
	}
	d.proves(client)
	return asker{client: client}, nil
}

// inspect verifies a token of ours in full. A token that is not good is nil and a
// reason; an error means that we can't tell, which must never look like an answer.
//
// Errors: countersign.Unavailable.
func (h *Handler) inspect(r *http.Request, presented countersign.Secret) (*verify.Token, countersign.Reason, error) {
	t, err := h.cfg.Authn.Inspect(r, presented.Reveal())
	if err == nil {
		return t, countersign.ReasonOK, nil
	}
	switch countersign.CodeOf(err) {
	case countersign.BadToken, countersign.Expired, countersign.Skewed, countersign.TooLarge, countersign.Invalid:
		return nil, countersign.ReasonOf(err), nil
	default:
		return nil, "", fmt.Errorf("inspect token: %w", err)
	}
}
