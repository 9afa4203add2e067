package iam

import (
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
)

// defaultGrace is how long the secret before stays when nothing is said (RULES B3).
const defaultGrace = 24 * time.Hour

// rotateRequest is a rotation of one service's secret at a revision.
type rotateRequest struct {
	changeRequest
	grace time.Duration
}

func parseRotateSecret(r *http.Request) (rotateRequest, error) {
	rev, err := revision(r)
	if err != nil {
		return rotateRequest{}, err
	}
	in := rotateRequest{changeRequest{r.PathValue("name"), rev}, defaultGrace}
	if r.ContentLength == 0 { // no body: the default
		return in, nothing(r)
	}
	var body iamclient.RotateSecret
	if err := document(r, &body); err != nil {
		return rotateRequest{}, err
	}
	if body.Grace != nil {
		in.grace = time.Duration(*body.Grace)
	}
	return in, nil
}

// rotateSecret is POST /admin/services/{name}/rotate: 200 with the new secret, shown
// once.
//
// Source: RULES B3.
func (a *API) rotateSecret(r *http.Request, actor admin.Actor, in rotateRequest) (answer, error) {
	detail, credentials, err := a.admin.RotateSecret(r.Context(), actor, in.name, in.revision, admin.Rotation{Grace: in.grace})
	if err != nil {
		return answer{}, err
	}
	return answer{
		status: http.StatusOK, body: credentialsDocument(detail, credentials, a.now()), revision: detail.Revision,
	}, nil
}
