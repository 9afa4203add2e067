package iam

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/session"
)

// actionAssume is the action of the events that tell of a session.
const actionAssume = "assume"

// listSessions is GET /admin/sessions: sessions that were issued in the last 12 hours, which
// is as long as one can live, the oldest first. Sessions are stored nowhere: this is what
// the audit log tells of them. A page may be short although there is a next one, since those
// of other tenants' roles are left out.
//
// Source: DESIGN §6, §8.
func (a *API) listSessions(r *http.Request, actor admin.Actor, in pageRequest) (answer, error) {
	if !actor.Anywhere(policy.SessionsRead) {
		return answer{}, errMayNot
	}
	bound := []string{"sessions", actor.ID, actor.Tenant}
	after, err := a.openCursor(bound, in.token)
	if err != nil {
		return answer{}, err
	}
	found, err := a.audit.Query(r.Context(), audit.Query{
		Since: a.now().Add(-session.MaxDuration), Decision: audit.Issued, Action: actionAssume, After: after, Limit: in.size,
	})
	if err != nil {
		return answer{}, err
	}
	list := iamclient.SessionList{Items: []iamclient.Session{}}
	type ofRole struct {
		tenant string
		since  time.Time
	}
	roles := make(map[string]ofRole)
	for _, e := range found.Events {
		if e.Session == "" {
			continue
		}
		role, known := roles[e.Role]
		if !known {
			if role.tenant, role.since, err = a.admin.RoleTenant(r.Context(), e.Role); err != nil {
				return answer{}, err
			}
			roles[e.Role] = role
		}
		if !actor.SuperAdmin && e.Time.Before(role.since) {
			continue // of another role that had the name, maybe another tenant's
		}
		if !actor.May(policy.SessionsRead, role.tenant) || actor.Tenant != "" && actor.Tenant != role.tenant {
			continue
		}
		list.Items = append(list.Items, iamclient.Session{
			AccessKeyID: e.Session, Role: e.Role, Service: e.Service, Issuer: e.UserIssuer, Subject: e.User, IssuedAt: e.Time,
		})
	}
	if len(found.Events) == in.size && found.After != after {
		list.NextPageToken, err = a.makeCursor(bound, found.After)
	}
	return answer{status: http.StatusOK, body: list}, err
}
