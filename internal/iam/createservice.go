package iam

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
)

func parseCreateService(r *http.Request) (iamclient.CreateService, error) {
	var in iamclient.CreateService
	err := document(r, &in)
	return in, err
}

// createService is POST /admin/services: 201 with the first secret, shown once.
//
// Source: DESIGN §8; RFC 9110 §15.3.2.
func (a *API) createService(r *http.Request, actor admin.Actor, in iamclient.CreateService) (answer, error) {
	detail, credentials, err := a.admin.CreateService(r.Context(), actor, admin.ServiceSpec{
		Name: in.Name, Tenant: in.Tenant, Owner: in.Owner, Scopes: in.Scopes, Audiences: in.Audiences,
		TokenLifetime: time.Duration(in.TokenLifetime),
	})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusCreated, body: credentialsDocument(detail, credentials, a.now()),
		revision: detail.Revision, location: iamclient.BasePath + "/admin/services/" + detail.Name,
	}, nil
}
