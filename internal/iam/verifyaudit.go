package iam

import (
	"fmt"
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
)

// verifyAuditRequest is empty: there is nothing to choose.
type verifyAuditRequest struct{}

func parseVerifyAudit(r *http.Request) (verifyAuditRequest, error) {
	return verifyAuditRequest{}, nothing(r)
}

// verifyAudit is POST /admin/audit/verify: 200 with the report, whole or not. That
// somebody looked, and what was found, is an event itself.
//
// Source: DESIGN §10; RULES G11.
func (a *API) verifyAudit(r *http.Request, actor admin.Actor, _ verifyAuditRequest) (answer, error) {
	report, err := a.audit.Verify(r.Context())
	if err != nil {
		a.recordRefused(r, actor.ID, "audit.verify", err)
		return answer{}, err
	}
	report.Findings = append([]audit.Finding{}, report.Findings...) // never null
	a.audit.RecordDetached(r.Context(), audit.Event{
		ID: actor.RequestID, Time: a.now().UTC(), Action: "audit.verify", Decision: audit.Allowed,
		Reason: string(countersign.ReasonOK), Actor: actor.ID, UserIssuer: actor.UserIssuer, User: actor.User,
		Service: actor.Service, ServiceUID: actor.ServiceUID, Proof: actor.Proof, ClientAddr: actor.ClientAddr,
		Detail: fmt.Sprintf("ok=%t chains=%d blocks=%d events=%d findings=%d",
			report.OK, report.Chains, report.Blocks, report.Events, len(report.Findings)),
	})
	return answer{status: http.StatusOK, body: report}, nil
}
