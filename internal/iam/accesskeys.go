package iam

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
)

func parseCreateAccessKey(r *http.Request) (iamclient.CreateAccessKey, error) {
	var in iamclient.CreateAccessKey
	err := document(r, &in)
	return in, err
}

// createAccessKey is POST /admin/access-keys: 201 with the secret, shown once.
//
// Source: RULES F7; RFC 9110 §15.3.2.
func (a *API) createAccessKey(r *http.Request, actor admin.Actor, in iamclient.CreateAccessKey) (answer, error) {
	detail, credentials, err := a.admin.CreateAccessKey(r.Context(), actor, admin.AccessKeySpec{
		Name: in.Name, Service: in.Service, Role: in.Role, Lifetime: time.Duration(in.ExpiresIn),
	})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusCreated, revision: detail.Revision, location: iamclient.BasePath + "/admin/access-keys/" + detail.Name,
		body: iamclient.AccessKeyCredentials{
			AccessKey: objectDocument(detail), AccessKeyID: credentials.AccessKeyID,
			SecretAccessKey: credentials.SecretAccessKey, ExpiresAt: credentials.ExpiresAt,
		},
	}, nil
}
