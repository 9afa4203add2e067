package iam

import (
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/resource"
)

// maxPage is the longest page of tenants and of users.
const maxPage = 500

// pageRequest is a page of a list with an opaque cursor.
type pageRequest struct {
	size  int
	token string
}

func parsePage(r *http.Request) (pageRequest, error) {
	values, err := query(r, "page_size", "page_token")
	if err != nil {
		return pageRequest{}, err
	}
	size, err := number(values, "page_size", 100, maxPage)
	return pageRequest{size, values.Get("page_token")}, err
}

// listTenants is GET /tenants: those that the caller may see, one page in order of id.
//
// Source: DESIGN §8.
func (a *API) listTenants(r *http.Request, actor admin.Actor, in pageRequest) (answer, error) {
	bound := []string{"tenants", actor.ID, actor.Tenant}
	after, err := a.openCursor(bound, in.token)
	if err != nil {
		return answer{}, err
	}
	found, err := a.admin.Tenants(r.Context(), actor, after, in.size+1)
	if err != nil {
		return answer{}, err
	}
	list := iamclient.TenantList{Items: make([]iamclient.Tenant, 0, len(found))}
	if len(found) > in.size {
		found = found[:in.size]
		if list.NextPageToken, err = a.makeCursor(bound, found[in.size-1].Name); err != nil {
			return answer{}, err
		}
	}
	for _, t := range found {
		list.Items = append(list.Items, tenantDocument(t))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

func parseTenantID(r *http.Request) (string, error) {
	_, err := query(r)
	return r.PathValue("id"), err
}

// getTenant is GET /tenants/{id}; its ETag is what If-Match takes.
//
// Source: DESIGN §8; RFC 9110 §8.8.3.
func (a *API) getTenant(r *http.Request, actor admin.Actor, id string) (answer, error) {
	t, err := a.admin.Tenant(r.Context(), actor, id)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: tenantDocument(t), revision: t.Revision}, nil
}

// tenantRequest is a write of one tenant at a revision.
type tenantRequest struct {
	id       string
	revision int64
	body     iamclient.PutTenant
}

func parsePutTenant(r *http.Request) (in tenantRequest, err error) {
	in.id = r.PathValue("id")
	if in.revision, err = expected(r); err != nil {
		return in, err
	}
	return in, document(r, &in.body)
}

// putTenant is PUT /tenants/{id}: 201 when it was made, 200 when it is as the body says.
// If-None-Match: * makes one, If-Match changes one (RULES G4).
//
// Source: DESIGN §8; RFC 9110 §9.3.4, §13.1.
func (a *API) putTenant(r *http.Request, actor admin.Actor, in tenantRequest) (answer, error) {
	t, created, err := a.admin.PutTenant(r.Context(), actor, in.id, in.body.DisplayName, in.revision)
	if err != nil {
		return answer{}, err
	}
	out := answer{status: http.StatusOK, body: tenantDocument(t), revision: t.Revision}
	if created {
		out.status, out.location = http.StatusCreated, iamclient.BasePath+"/tenants/"+t.Name
	}
	return out, nil
}

func parseDeleteTenant(r *http.Request) (in tenantRequest, err error) {
	in.id = r.PathValue("id")
	if in.revision, err = revision(r); err != nil {
		return in, err
	}
	return in, nothing(r)
}

// deleteTenant is DELETE /tenants/{id}: 204; 409 while something belongs to it.
//
// Source: RULES A5, G4; RFC 9110 §9.3.5.
func (a *API) deleteTenant(r *http.Request, actor admin.Actor, in tenantRequest) (answer, error) {
	if err := a.admin.DeleteObject(r.Context(), actor, resource.KindTenant, in.id, in.revision); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

func tenantDocument(t admin.Tenant) iamclient.Tenant {
	return iamclient.Tenant{
		ID: t.Name, UID: t.UID, DisplayName: t.DisplayName, Owner: t.Owner, Revision: t.Revision,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}

// expected reads what a PUT expects to be there: If-Match as [revision] reads it, or
// If-None-Match: * for nothing.
//
// Source: RFC 9110 §13.1.1, §13.1.2.
func expected(r *http.Request) (int64, error) {
	none := r.Header.Values("If-None-Match")
	switch {
	case len(none) == 0:
		return revision(r)
	case len(r.Header.Values("If-Match")) > 0:
		return 0, invalid(countersign.ReasonHeaderMalformed, "If-Match and If-None-Match don't go together")
	case len(none) > 1:
		return 0, invalid(countersign.ReasonHeaderDuplicated, "If-None-Match comes twice")
	case none[0] != "*":
		return 0, invalid(countersign.ReasonHeaderMalformed, `If-None-Match is "*": make it if it is not there`)
	}
	return admin.NoRevision, nil
}
