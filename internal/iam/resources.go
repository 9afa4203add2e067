package iam

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
)

// maxResources bounds the body of an apply, in bytes: as JSON, the documents that package
// resource takes are a little longer.
const maxResources = 2 * resource.MaxBytes

// maxApplyFiles bounds the files of one apply.
const maxApplyFiles = 10_000

// collections have a path for each kind; services have one of their own. Key: the path.
var collections = map[string]struct{ kind, action string }{
	"issuers":        {resource.KindIssuer, "issuer"},
	"roles":          {resource.KindRole, "role"},
	"route-policies": {resource.KindRoutePolicy, "route-policy"},
	"user-roles":     {resource.KindUserRole, "user-role"},
	"buckets":        {resource.KindBucket, "bucket"},
	"access-keys":    {resource.KindAccessKey, "access-key"},
}

func parseApply(r *http.Request) (iamclient.Apply, error) {
	var in iamclient.Apply
	if _, err := query(r); err != nil {
		return in, err
	}
	if err := web.ReadJSON(r, maxResources, &in); err != nil {
		return in, err
	}
	if len(in.Files) > maxApplyFiles {
		return in, invalid(countersign.ReasonParameterInvalid, "more than 10,000 files")
	}
	return in, nil
}

// apply is POST /admin/resources: the documents hold afterwards, all or none of them.
//
// Source: DESIGN §2, §8; RULES A4 to A9.
func (a *API) apply(r *http.Request, actor admin.Actor, in iamclient.Apply) (answer, error) {
	request := admin.ApplyRequest{Owner: in.Owner, Prune: in.Prune, MaxPrune: in.MaxPrune, DryRun: in.DryRun}
	for _, file := range in.Files {
		request.Files = append(request.Files, admin.File{Name: file.Name, Content: []byte(file.Content)})
	}
	applied, err := a.admin.Apply(r.Context(), actor, request)
	if err != nil {
		return answer{}, err
	}
	list := iamclient.AppliedList{Items: make([]iamclient.Applied, 0, len(applied))}
	for _, item := range applied {
		made := iamclient.Applied{
			Kind: item.Kind, Name: item.Name, Tenant: item.Tenant, Owner: item.Owner,
			Action: string(item.Action), Revision: item.Revision, File: item.File, Line: item.Line,
			Before: string(item.Before), After: string(item.After),
		}
		for _, f := range item.Warnings {
			made.Warnings = append(made.Warnings, iamclient.ResourceWarning{Rule: f.Rule, ResourceProblem: iamclient.ResourceProblem{
				File: f.File, Line: f.Line, Column: f.Column, Path: f.Path, Message: f.Message,
			}})
		}
		list.Items = append(list.Items, made)
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// objectRequest names one object, and a change of it.
type objectRequest struct {
	kind, name string
	revision   int64
}

// kindOf returns the kind that a path names: as {kind}, or as a collection.
func kindOf(r *http.Request) string {
	if kind := r.PathValue("kind"); kind != "" {
		return kind
	}
	rest := strings.TrimPrefix(r.URL.Path, iamclient.BasePath+"/admin/")
	collection, _, _ := strings.Cut(rest, "/")
	return collections[collection].kind
}

type listRequest struct {
	kind string
	page store.Page
}

func parseListObjects(r *http.Request) (listRequest, error) {
	page, err := parseListServices(r)
	return listRequest{kindOf(r), page}, err
}

// listObjects is GET /admin/resources/{kind} and GET of a collection: one page in order of
// name. The cursor is the last name of the page.
//
// Source: DESIGN §8.
func (a *API) listObjects(r *http.Request, actor admin.Actor, in listRequest) (answer, error) {
	wanted := in.page.Limit
	if err := listed(actor, in.kind, &in.page); err != nil {
		return answer{}, err
	}
	in.page.Limit++ // one more tells whether there is a next page
	details, err := a.page(r.Context(), in)
	if err != nil {
		return answer{}, err
	}
	list := iamclient.ObjectList{Items: make([]iamclient.Object, 0, len(details))}
	if len(details) > wanted {
		details = details[:wanted]
		list.Next = details[wanted-1].Name
	}
	for _, d := range details {
		if !actor.MayRead(d.Kind, d.Name, d.Tenant) {
			continue
		}
		list.Items = append(list.Items, objectDocument(d))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// page returns the objects of one. A tenant's document is of no tenant: it is its own.
func (a *API) page(ctx context.Context, in listRequest) ([]admin.ObjectDetail, error) {
	if in.kind != resource.KindTenant || in.page.Tenant == "" {
		return a.admin.Objects(ctx, in.kind, in.page)
	}
	if in.page.After >= in.page.Tenant {
		return nil, nil
	}
	d, err := a.admin.Object(ctx, in.kind, in.page.Tenant)
	if errors.Is(err, countersign.NotFound) {
		return nil, nil
	}
	return []admin.ObjectDetail{d}, err
}

func parseGetObject(r *http.Request) (objectRequest, error) {
	_, err := query(r)
	return objectRequest{kind: kindOf(r), name: r.PathValue("name")}, err
}

// getObject is GET of one object; its ETag is what If-Match takes.
//
// Source: DESIGN §8; RFC 9110 §8.8.3.
func (a *API) getObject(r *http.Request, actor admin.Actor, in objectRequest) (answer, error) {
	d, err := a.admin.Object(r.Context(), in.kind, in.name)
	if err == nil && !actor.MayRead(d.Kind, d.Name, d.Tenant) {
		err = admin.Unseen()
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: objectDocument(d), revision: d.Revision}, nil
}

func parseDeleteObject(r *http.Request) (objectRequest, error) {
	rev, err := revision(r)
	if err != nil {
		return objectRequest{}, err
	}
	return objectRequest{kind: kindOf(r), name: r.PathValue("name"), revision: rev}, nothing(r)
}

// deleteObject is DELETE of one object: 204.
//
// Source: RULES A5, G4; RFC 9110 §9.3.5.
func (a *API) deleteObject(r *http.Request, actor admin.Actor, in objectRequest) (answer, error) {
	if err := a.admin.DeleteObject(r.Context(), actor, in.kind, in.name, in.revision); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

func objectDocument(d admin.ObjectDetail) iamclient.Object {
	return iamclient.Object{
		Kind: d.Kind, Name: d.Name, UID: d.UID, Tenant: d.Tenant, Owner: d.Owner, Revision: d.Revision,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, Document: string(d.Document), State: d.State,
	}
}

// listed bounds a list to the tenant that the request is about. Everybody sees the objects
// of tenants in which they may, and super-admins all.
func listed(actor admin.Actor, kind string, page *store.Page) error {
	page.Tenant = actor.Tenant
	read := policy.Read(admin.Collections[kind])
	switch {
	case actor.SuperAdmin, admin.Collections[kind] == "": // no kind: package admin says so
		return nil
	case !actor.Anywhere(read), actor.Tenant != "" && !actor.May(read, actor.Tenant):
		return errMayNot // where next goes on is a name too
	case actor.Tenant == "" && !actor.May(read, ""):
		return errTenantWanted
	}
	page.Platform = actor.Tenant == "" // a pipeline of the platform, which sees no tenant's
	return nil
}

var errMayNot = countersign.NewError(countersign.Denied, countersign.ReasonNotAdministrator, "you may not do this")

// errTenantWanted: somebody belongs to several tenants, and none is meant more than others.
var errTenantWanted = countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing,
	"you belong to several tenants: say which one is meant by X-Active-Tenant-ID")
