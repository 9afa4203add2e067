package iam

import (
	"net/http"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
)

// tenantOf is the tenant whose users a request is about: the active one, or for super-admins
// the platform where none is named.
func tenantOf(actor admin.Actor) (string, error) {
	if actor.Tenant == "" && !actor.SuperAdmin {
		return "", errTenantWanted
	}
	return actor.Tenant, nil
}

// listUsers is GET /admin/users: the users of the tenant, one page in order of id.
//
// Source: DESIGN §8.
func (a *API) listUsers(r *http.Request, actor admin.Actor, in pageRequest) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	bound := []string{"users", actor.ID, tenant}
	after, err := a.openCursor(bound, in.token)
	if err != nil {
		return answer{}, err
	}
	found, err := a.admin.Users(r.Context(), actor, tenant, store.Page{After: after, Limit: in.size + 1})
	if err != nil {
		return answer{}, err
	}
	list := iamclient.UserList{Items: make([]iamclient.User, 0, len(found))}
	if len(found) > in.size {
		found = found[:in.size]
		if list.NextPageToken, err = a.makeCursor(bound, found[in.size-1].ID); err != nil {
			return answer{}, err
		}
	}
	for _, u := range found {
		list.Items = append(list.Items, userDocument(u))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

func parseAddUser(r *http.Request) (in iamclient.AddUser, err error) { return in, document(r, &in) }

// addUser is POST /admin/users: 201, and 200 for who is there already.
//
// Source: DESIGN §8; RULES A1.
func (a *API) addUser(r *http.Request, actor admin.Actor, in iamclient.AddUser) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	u, created, err := a.admin.AddUser(r.Context(), actor, in.Issuer, in.Subject, tenant)
	if err != nil {
		return answer{}, err
	}
	out := answer{status: http.StatusOK, body: userDocument(u), revision: u.Revision}
	if created {
		out.status, out.location = http.StatusCreated, iamclient.BasePath+"/admin/users/"+u.ID
	}
	return out, nil
}

// getUser is GET /admin/users/{id}; its ETag is what If-Match takes.
//
// Source: DESIGN §8; RFC 9110 §8.8.3.
func (a *API) getUser(r *http.Request, actor admin.Actor, id string) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	return userAnswer(a.admin.User(r.Context(), actor, admin.UserRef{ID: id, Tenant: tenant}))
}

// userRequest is a write of one user at a revision.
type userRequest struct {
	id, role string
	revision int64
	change   admin.UserChange
}

func parsePatchUser(r *http.Request) (in userRequest, err error) {
	in.id = r.PathValue("id")
	if in.revision, err = revision(r); err != nil {
		return in, err
	}
	if _, err := query(r); err != nil {
		return in, err
	}
	in.change, err = readUserPatch(r)
	return in, err
}

// patchUser is PATCH /admin/users/{id}: a merge patch of disabled and, in the local
// directory, username, email and display_name. Everything else of a user is read-only here.
//
// Source: DESIGN §8; RFC 7396, RFC 5789 §2.
func (a *API) patchUser(r *http.Request, actor admin.Actor, in userRequest) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	return userAnswer(a.admin.ChangeUser(r.Context(), actor, admin.UserRef{ID: in.id, Tenant: tenant}, in.revision, in.change))
}

func parseChangeUser(r *http.Request) (in userRequest, err error) {
	in.id, in.role = r.PathValue("id"), r.PathValue("role")
	if in.revision, err = revision(r); err != nil {
		return in, err
	}
	return in, nothing(r)
}

// deleteUser is DELETE /admin/users/{id}: 204.
//
// Source: RULES A5, G4; RFC 9110 §9.3.5.
func (a *API) deleteUser(r *http.Request, actor admin.Actor, in userRequest) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	if err := a.admin.DeleteUser(r.Context(), actor, admin.UserRef{ID: in.id, Tenant: tenant}, in.revision); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// assignRole is PUT /admin/users/{id}/roles/{role}: 200 with the user, who has the role then.
//
// Source: DESIGN §8; RULES A7.
func (a *API) assignRole(r *http.Request, actor admin.Actor, in userRequest) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	return userAnswer(a.admin.AssignRole(r.Context(), actor, admin.UserRef{ID: in.id, Tenant: tenant}, in.role, in.revision))
}

// removeRole is DELETE /admin/users/{id}/roles/{role}: 200 with the user, who has the role no
// more.
//
// Source: DESIGN §8; RULES A7, G2.
func (a *API) removeRole(r *http.Request, actor admin.Actor, in userRequest) (answer, error) {
	tenant, err := tenantOf(actor)
	if err != nil {
		return answer{}, err
	}
	return userAnswer(a.admin.RemoveRole(r.Context(), actor, admin.UserRef{ID: in.id, Tenant: tenant}, in.role, in.revision))
}

func userAnswer(u store.User, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: userDocument(u), revision: u.Revision}, nil
}

func userDocument(u store.User) iamclient.User {
	return iamclient.User{
		ID: u.ID, UID: u.UID, Issuer: u.Issuer, Subject: u.Subject, Tenant: u.Tenant, Roles: texts(u.Roles), Disabled: u.Disabled,
		Username: u.Username, Email: u.Email, DisplayName: u.DisplayName,
		Revision: u.Revision, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
}

// mergePatch is the media type of a patch.
const mergePatch = "application/merge-patch+json"

// userPatch is what a patch of a user may say. The read-only fields are known, so that
// somebody who sets one hears why it is refused.
type userPatch struct {
	Disabled    patched[bool]   `json:"disabled"`
	Username    patched[string] `json:"username"`
	Email       patched[string] `json:"email"`
	DisplayName patched[string] `json:"display_name"`

	ID        readOnly `json:"id"`
	UID       readOnly `json:"uid"`
	Issuer    readOnly `json:"issuer"`
	Subject   readOnly `json:"subject"`
	Tenant    readOnly `json:"tenant"`
	Roles     readOnly `json:"roles"`
	Revision  readOnly `json:"revision"`
	CreatedAt readOnly `json:"created_at"`
	UpdatedAt readOnly `json:"updated_at"`
}

func readUserPatch(r *http.Request) (admin.UserChange, error) {
	// A merge patch is JSON, and is read as strictly.
	if r.Header.Get("Content-Type") == mergePatch {
		r = r.Clone(r.Context())
		r.Header.Set("Content-Type", "application/json")
	}
	var in userPatch
	if err := web.ReadJSON(r, maxDocument, &in); err != nil {
		return admin.UserChange{}, err
	}
	change := admin.UserChange{Disabled: in.Disabled.value, Username: in.Username.value, Email: in.Email.value, DisplayName: in.DisplayName.value}
	if in.Disabled.removed {
		return change, invalid(countersign.ReasonParameterInvalid, "disabled can't be removed: it is true or false")
	}
	none := ""
	for _, field := range []struct {
		removed bool
		to      **string
	}{{in.Username.removed, &change.Username}, {in.Email.removed, &change.Email}, {in.DisplayName.removed, &change.DisplayName}} {
		if field.removed {
			*field.to = &none
		}
	}
	return change, nil
}
