package iam

import (
	"net/http"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/resource"
)

func parseGetService(r *http.Request) (string, error) {
	_, err := query(r)
	return r.PathValue("name"), err
}

// getService is GET /admin/services/{name}; its ETag is what If-Match takes.
//
// Source: DESIGN §8; RFC 9110 §8.8.3.
func (a *API) getService(r *http.Request, actor admin.Actor, name string) (answer, error) {
	detail, err := a.admin.Service(r.Context(), name)
	if err == nil && !actor.MayRead(resource.KindService, detail.Name, detail.Tenant) {
		err = admin.Unseen()
	}
	if err != nil {
		return answer{}, err
	}
	return a.serviceAnswer(detail), nil
}
