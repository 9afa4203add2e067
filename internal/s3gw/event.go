package s3gw

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/web"
)

// decision is the audit event of one request. The steps fill it in as they learn more, and
// it is recorded once, when the request is over. The query is never in it.
type decision struct {
	log   *audit.Log
	event audit.Event
	// known: the caller has been authenticated.
	known bool
	// allowed: what was asked for was authorised; what came of it is the origin's.
	allowed bool
	// versioned and from complete the target: the version that was asked for, and what a copy
	// reads.
	versioned, from string
	// denied is how many keys of a document were denied.
	denied int
}

// actionOf names an operation in the audit log: s3:GetObject.
func actionOf(o *operation) string {
	if o == nil {
		return "s3"
	}
	return "s3:" + string(o.name)
}

func (g *Gateway) newDecision(ctx context.Context, t *target) *decision {
	d := &decision{log: g.cfg.Audit, event: audit.Event{ID: web.RequestID(ctx), Time: g.cfg.Now(), Action: actionOf(t.operation)}}
	if addr := web.ClientAddr(ctx); addr.IsValid() {
		d.event.ClientAddr = addr.String()
	}
	return d
}

// proves notes who asks, and for what.
func (d *decision) proves(c *caller, t *target) {
	d.known = !c.anonymous()
	d.event.Target = t.bucket
	if t.key != "" {
		d.event.Target += "/" + t.key
	} else if prefix := t.query.Get("prefix"); prefix != "" {
		d.event.Target += "/" + prefix
	}
	d.versioned, d.from = t.query.Get("versionId"), t.copy.String()
	c.describe(&d.event)
}

// record writes the event. status is what was answered, 0 where the connection was cut.
func (d *decision) record(ctx context.Context, status int, err error) {
	d.event.Decision, d.event.Reason = audit.Allowed, string(countersign.ReasonOK)
	if err != nil {
		d.event.Reason = string(countersign.ReasonOf(err))
	}
	if !d.allowed {
		d.event.Decision = audit.Denied
	}
	if !d.known && !d.allowed {
		d.event.Target = ""               // what nobody proved to have any business with
		d.log.RecordRefused(ctx, d.event) // bounded: anybody can make us write these
		return
	}
	if status != 0 {
		d.event.Detail = "status=" + strconv.Itoa(status)
	}
	if d.denied > 0 {
		d.event.Detail += " denied=" + strconv.Itoa(d.denied)
		if !d.allowed {
			d.event.Reason = string(countersign.ReasonActionNotAllowed)
		}
	}
	if d.versioned != "" {
		d.event.Detail += " version=" + d.versioned
	}
	if len(d.event.Target) > audit.MaxField { // it is cut there, and keys may begin alike
		sum := sha256.Sum256([]byte(d.event.Target))
		d.event.Detail += " target_sha256=" + hex.EncodeToString(sum[:])
	}
	if d.from != "" {
		d.event.Detail += " source=" + d.from // the last one: a key may have spaces
	}
	d.log.RecordDetached(ctx, d.event)
}
