package iamclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// AuditEvent is one audit event: the fields of internal/audit.Event.
type AuditEvent struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	Action     string    `json:"action"`
	Decision   string    `json:"decision"`
	Reason     string    `json:"reason"`
	Service    string    `json:"service,omitempty"`
	ServiceUID string    `json:"service_uid,omitempty"`
	UserIssuer string    `json:"user_issuer,omitempty"`
	User       string    `json:"user,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Target     string    `json:"target,omitempty"`
	Scope      string    `json:"scope,omitempty"`
	Role       string    `json:"role,omitempty"`
	Session    string    `json:"session,omitempty"`
	TokenID    string    `json:"token_id,omitempty"`
	Proof      string    `json:"proof,omitempty"`
	ClientAddr string    `json:"client_addr,omitempty"`
	TraceID    string    `json:"trace_id,omitempty"`
	Method     string    `json:"method,omitempty"`
	Route      string    `json:"route,omitempty"`
	Rule       string    `json:"rule,omitempty"`
	ReportedBy string    `json:"reported_by,omitempty"`
	Count      int64     `json:"count,omitempty"`
	Detail     string    `json:"detail,omitempty"`
}

// AuditQuery selects events; zero fields select everything.
type AuditQuery struct {
	Since, Until                                        time.Time
	Service, User, Target, Action, Decision, Reason, ID string
	// After is [AuditPage.After] of the answer before; "" = from the start.
	After string
	// Limit is 1 to 1000; 0 = 100. Newest: the last Limit events instead of the first.
	Limit  int
	Newest bool
	// Wait keeps the server waiting for a first event, at most 25 s; 0 = not.
	Wait time.Duration
}

// AuditPage is what a query found, oldest first.
type AuditPage struct {
	Events []AuditEvent `json:"events"`
	// After is the cursor behind the last event that was looked at.
	After string `json:"after"`
}

// AuditFinding is one thing that is wrong with a chain.
type AuditFinding struct {
	Replica string `json:"replica"`
	Seq     int64  `json:"seq"`
	Problem string `json:"problem"`
	Detail  string `json:"detail"`
}

// AuditReport is the outcome of [Client.VerifyAudit].
type AuditReport struct {
	OK       bool           `json:"ok"`
	Chains   int            `json:"chains"`
	Blocks   int64          `json:"blocks"`
	Events   int64          `json:"events"`
	Heads    int64          `json:"heads"`
	Findings []AuditFinding `json:"findings"`
}

func (q AuditQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"service": q.Service, "user": q.User, "target": q.Target, "action": q.Action,
		"decision": q.Decision, "reason": q.Reason, "id": q.ID, "after": q.After,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			values.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Newest {
		values.Set("newest", "true")
	}
	if q.Wait > 0 {
		values.Set("wait", Duration(q.Wait).String())
	}
	return values
}

// AuditEvents queries the audit log. With Wait it returns as soon as there is an
// event that matches, or with none.
//
// Errors: countersign.Invalid, and as [Client].
func (c *Client) AuditEvents(ctx context.Context, q AuditQuery) (AuditPage, error) {
	var out AuditPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/admin/audit/events", query: q.values()}, &out)
	return out, err
}

// VerifyAudit checks every audit chain. A chain that is not whole is no error: see
// [AuditReport.OK].
//
// Errors: as [Client].
func (c *Client) VerifyAudit(ctx context.Context) (AuditReport, error) {
	var out AuditReport
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/audit/verify"}, &out)
	return out, err
}
