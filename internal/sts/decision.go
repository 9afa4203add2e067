package sts

import (
	"context"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

// actionEvents are the actions' names in the audit log.
var actionEvents = map[string]string{
	"AssumeRoleWithWebIdentity": "assume",
	"AssumeRoleWithAWSIdentity": "assume",
	"GetCallerIdentity":         "session.identity",
	"GetAccessKeyInfo":          "session.key_info",
}

// decision is the audit event of one request. The steps of an action fill it in as they
// learn more, and it is emitted once.
type decision struct {
	log   *audit.Log
	event audit.Event
	// known: the caller has been authenticated.
	known bool
	// emitted: there is an event already.
	emitted bool
	details []string
}

func (h *Handler) newDecision(ctx context.Context) *decision {
	d := &decision{log: h.cfg.Audit, event: audit.Event{ID: web.RequestID(ctx), Time: h.cfg.Now(), Action: "sts"}}
	if addr := web.ClientAddr(ctx); addr.IsValid() {
		d.event.ClientAddr = addr.String()
	}
	return d
}

// proves notes who the caller is. Every identity is a pair of issuer and subject; one that
// is a service of ours is told as such.
func (d *decision) proves(id *trust.Identity) {
	d.known = true
	d.event.Service, d.event.ServiceUID = id.Service, id.ServiceUID
	if id.Kind != trust.KindService {
		d.event.UserIssuer, d.event.User = id.Issuer, id.Subject
	}
	d.event.TokenID = id.TokenID
	if id.AWS != nil {
		d.notes("arn=" + id.AWS.ARN)
	}
}

// notes adds safe words to the event's detail.
func (d *decision) notes(words ...string) { d.details = append(d.details, words...) }

// committed makes the event of minted credentials durable.
//
// Errors: countersign.Unavailable; then the credentials must not leave.
func (d *decision) committed(ctx context.Context) error {
	d.emitted = true
	d.event.Decision, d.event.Reason = audit.Issued, string(countersign.ReasonOK)
	d.event.Detail = strings.Join(d.details, " ")
	return d.log.Commit(ctx, d.event) //nolint:wrapcheck // it has its words
}

// allowed records that the request was served.
func (d *decision) allowed(ctx context.Context) { d.emit(ctx, audit.Allowed, countersign.ReasonOK) }

// refused records that it was not, and why.
func (d *decision) refused(ctx context.Context, err error) {
	d.emit(ctx, audit.Refused, countersign.ReasonOf(err))
}

func (d *decision) emit(ctx context.Context, verdict audit.Decision, reason countersign.Reason) {
	if d.emitted {
		return
	}
	d.emitted = true
	d.event.Decision, d.event.Reason = verdict, string(reason)
	d.event.Detail = strings.Join(d.details, " ")
	if !d.known {
		d.log.RecordRefused(ctx, d.event) // bounded: anybody can make us write these
		return
	}
	d.log.RecordDetached(ctx, d.event)
}
