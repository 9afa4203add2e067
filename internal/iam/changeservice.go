package iam

import (
	"net/http"

	"github.com/countersign/countersign/internal/admin"
)

// disableService is POST /admin/services/{name}/disable: the service gets no token
// any more, and those that are out end.
//
// Source: RULES A5, A9.
func (a *API) disableService(r *http.Request, actor admin.Actor, in changeRequest) (answer, error) {
	detail, err := a.admin.SetServiceDisabled(r.Context(), actor, in.name, in.revision, true)
	if err != nil {
		return answer{}, err
	}
	return a.serviceAnswer(detail), nil
}

// enableService is POST /admin/services/{name}/enable: it may get tokens again; those
// from before stay dead.
//
// Source: RULES A5, A9.
func (a *API) enableService(r *http.Request, actor admin.Actor, in changeRequest) (answer, error) {
	detail, err := a.admin.SetServiceDisabled(r.Context(), actor, in.name, in.revision, false)
	if err != nil {
		return answer{}, err
	}
	return a.serviceAnswer(detail), nil
}

// deleteService is DELETE /admin/services/{name}: 204, and nothing of it comes back.
//
// Source: RULES A5; RFC 9110 §9.3.5.
func (a *API) deleteService(r *http.Request, actor admin.Actor, in changeRequest) (answer, error) {
	if err := a.admin.DeleteService(r.Context(), actor, in.name, in.revision); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}
