package iam

import (
	"net/http"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// maxServices is the longest page of services.
const maxServices = 500

func parseListServices(r *http.Request) (store.Page, error) {
	values, err := query(r, "after", "limit")
	if err != nil {
		return store.Page{}, err
	}
	n, err := limit(values, 100, maxServices)
	if err != nil {
		return store.Page{}, err
	}
	return store.Page{After: values.Get("after"), Limit: n}, nil
}

// listServices is GET /admin/services: one page in order of name. The cursor is the
// last name of the page; it gives nothing that the page did not, so it needs no MAC.
//
// Source: DESIGN §8.
func (a *API) listServices(r *http.Request, actor admin.Actor, page store.Page) (answer, error) {
	wanted := page.Limit
	if err := listed(actor, resource.KindService, &page); err != nil {
		return answer{}, err
	}
	page.Limit++ // one more tells whether there is a next page
	details, err := a.admin.Services(r.Context(), page)
	if err != nil {
		return answer{}, err
	}
	list := iamclient.ServiceList{Items: make([]iamclient.Service, 0, len(details))}
	if len(details) > wanted {
		details = details[:wanted]
		list.Next = details[wanted-1].Name
	}
	for _, d := range details {
		if !actor.MayRead(resource.KindService, d.Name, d.Tenant) {
			continue
		}
		list.Items = append(list.Items, serviceDocument(d, a.now()))
	}
	return answer{status: http.StatusOK, body: list}, nil
}
