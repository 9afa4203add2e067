package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/web"
)

// decision is the audit event of one request. The steps of an endpoint fill it in as
// they learn more, and it is emitted once: by allowed, refused or committed.
type decision struct {
	log   *audit.Log
	event audit.Event
	// known: the caller has been authenticated.
	known bool
	// emitted: there is an event already.
	emitted bool
}

func (h *Handler) newDecision(ctx context.Context, action string) *decision {
	d := &decision{log: h.cfg.Audit, event: audit.Event{ID: web.RequestID(ctx), Time: h.cfg.Now(), Action: action}}
	if addr := web.ClientAddr(ctx); addr.IsValid() {
		d.event.ClientAddr = addr.String()
	}
	return d
}

// claims notes what the request says of its client: unproven.
func (d *decision) claims(c credentials) {
	d.event.Service, d.event.Proof = c.id, string(c.method)
}

// proves notes who the client is.
func (d *decision) proves(client *registry.Service) {
	d.event.Service, d.event.ServiceUID, d.known = client.Name, client.UID, true
}

// maxLoggedScope is the length of the longest scope token that a refusal tells of, in
// bytes. Secrets and tokens are longer: one that was sent as a scope by mistake must
// not end in the log.
const maxLoggedScope = 40

// asks notes what an authenticated client asked for and did not get.
func (d *decision) asks(req *tokenRequest) {
	scopes, err := policy.ParseScope(req.scope)
	if err == nil && !slices.ContainsFunc(scopes, func(s string) bool { return len(s) > maxLoggedScope }) {
		d.event.Scope = strings.Join(scopes, " ")
	}
	if len(req.audiences) > 0 {
		if audience, err := policy.ParseAudience(req.audiences[0]); err == nil {
			d.event.Target = audience
		}
	}
}

// committed makes the event of a minted token durable.
//
// Errors: countersign.Unavailable; then the token must not leave.
func (d *decision) committed(ctx context.Context) error {
	// Where this fails the log can't be written, or the client has gone: a second
	// event about it would only wait in line.
	d.emitted = true
	d.event.Decision, d.event.Reason = audit.Issued, string(countersign.ReasonOK)
	return d.log.Commit(ctx, d.event)
}

// allowed records that the request was served.
func (d *decision) allowed(ctx context.Context) {
	d.emit(ctx, audit.Allowed, countersign.ReasonOK)
}

// refused records that it was not, and why.
func (d *decision) refused(ctx context.Context, verdict audit.Decision, reason countersign.Reason) {
	d.emit(ctx, verdict, reason)
}

func (d *decision) emit(ctx context.Context, verdict audit.Decision, reason countersign.Reason) {
	if d.emitted {
		return
	}
	d.emitted = true
	d.event.Decision, d.event.Reason = verdict, string(reason)
	if !d.known {
		d.log.RecordRefused(ctx, d.event) // bounded: anybody can make us write these
		return
	}
	d.log.RecordDetached(ctx, d.event)
}
