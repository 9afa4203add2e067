package iam

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/directory"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
)

// Bounds of a query.
const (
	maxQueried      = 1000
	maxQueryBytes   = 512 << 10
	maxSearchedPage = 1000
)

// The errors of one result.
const (
	resultNotFound = "not_found"
	resultUpstream = "upstream_unavailable"
)

// queryUsers is POST /system/users/query: the directories are asked for many people at
// once. What fails is told of each value by itself, and results are in the order of the
// request.
//
// Source: DESIGN §8 (seed 002).
func (a *API) queryUsers(w http.ResponseWriter, r *http.Request) error {
	const action = "users.query"
	caller, err := a.machine(r, action, policy.ScopeS2S)
	if err != nil {
		return err
	}
	in, err := a.parseQueryUsers(r, caller)
	if err != nil {
		return a.refuseCaller(r, action, authn.Caller{Principal: caller}, err)
	}
	var out iamclient.QueriedUsers
	if in.lookups() > 0 {
		out.Results, err = a.lookUp(r.Context(), in)
	} else {
		out, err = a.search(r.Context(), caller, in)
	}
	if err != nil {
		return a.refuseCaller(r, action, authn.Caller{Principal: caller}, err)
	}
	a.answered(r, action, caller, in.told(out))
	return answer{status: http.StatusOK, body: out}.write(w)
}

// told says of a query what the audit log keeps: counts, no values.
func (q usersQuery) told(out iamclient.QueriedUsers) string {
	users := len(out.Users)
	for _, result := range out.Results {
		users += len(result.Users)
	}
	detail := fmt.Sprintf("ids=%d emails=%d usernames=%d filters=%d users=%d", len(q.IDs), len(q.Emails), len(q.Usernames), len(q.Filter), users)
	if q.Tenant != "" {
		detail += " tenant=" + q.Tenant
	}
	return detail
}

// usersQuery is a query that was checked.
type usersQuery struct{ iamclient.QueryUsers }

func (q usersQuery) lookups() int { return len(q.IDs) + len(q.Emails) + len(q.Usernames) }

func (a *API) parseQueryUsers(r *http.Request, caller *countersign.Principal) (q usersQuery, err error) {
	if _, err := query(r); err != nil {
		return q, err
	}
	if err := web.ReadJSON(r, maxQueryBytes, &q.QueryUsers); err != nil {
		return q, err
	}
	wrong := func(msg string) (usersQuery, error) { return q, invalid(countersign.ReasonParameterInvalid, msg) }
	switch n := q.lookups(); {
	case n > maxQueried:
		return wrong("at most 1000 ids, emails and usernames together")
	case n > 0 && (len(q.Filter) > 0 || q.PageSize != 0 || q.PageToken != "" || q.Directory != ""):
		return wrong("ids, emails and usernames don't go with a filter and its pages")
	case q.PageSize < 0 || q.PageSize > maxSearchedPage:
		return wrong("page_size is 1 to 1000")
	case q.Tenant != "" && !countersign.ValidName(q.Tenant):
		return wrong("tenant is the name of a tenant")
	}
	for _, list := range [][]string{q.IDs, q.Emails, q.Usernames} {
		for _, value := range list {
			if !directory.Askable(value) {
				return wrong("an id, an email and a username have 1 to 256 bytes without control characters")
			}
		}
	}
	// A service of a tenant asks for that one's people alone.
	if of := caller.Service.Tenant; of != "" {
		if q.Tenant != "" && q.Tenant != of {
			return q, countersign.NewError(countersign.Denied, countersign.ReasonTenantNotMember, "the service belongs to another tenant")
		}
		q.Tenant = of
	}
	if q.PageSize == 0 {
		q.PageSize = 100
	}
	return q, directory.CheckFilters(q.filters())
}

func (q usersQuery) filters() []directory.Filter {
	filters := make([]directory.Filter, 0, len(q.Filter))
	for _, f := range q.Filter {
		filters = append(filters, directory.Filter{Field: directory.Field(f.Field), Op: directory.Op(f.Op), Value: f.Value})
	}
	return filters
}

// lookUp answers every value of a query.
func (a *API) lookUp(ctx context.Context, q usersQuery) ([]iamclient.UserResult, error) {
	results := make([]iamclient.UserResult, 0, q.lookups())
	byID, err := a.usersByID(ctx, q)
	if err != nil {
		return nil, err
	}
	add := func(found directory.Result, name func(*iamclient.UserResult)) error {
		one := iamclient.UserResult{Users: []iamclient.DirectoryUser{}}
		name(&one)
		visible, err := a.visible(ctx, q.Tenant, found.People)
		if err != nil {
			return err
		}
		one.Users = append(one.Users, visible...)
		switch {
		case found.Err != nil:
			one.Error = resultUpstream
		case len(one.Users) == 0:
			one.Error = resultNotFound
		}
		results = append(results, one)
		return nil
	}
	for i, id := range q.IDs {
		if err := add(byID[i], func(one *iamclient.UserResult) { one.ID = id }); err != nil {
			return nil, err
		}
	}
	for i, found := range a.everywhere(ctx, q.Tenant, directory.Email, q.Emails) {
		if err := add(found, func(one *iamclient.UserResult) { one.Email = q.Emails[i] }); err != nil {
			return nil, err
		}
	}
	for i, found := range a.everywhere(ctx, q.Tenant, directory.Username, q.Usernames) {
		if err := add(found, func(one *iamclient.UserResult) { one.Username = q.Usernames[i] }); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// usersByID finds users of ours by their ids, with what their directories say of them, and
// others by the subject that an upstream directory gave them.
func (a *API) usersByID(ctx context.Context, q usersQuery) ([]directory.Result, error) {
	results := make([]directory.Result, len(q.IDs))
	var ours []string
	for _, id := range q.IDs {
		if policy.ValidUserID(id) {
			ours = append(ours, id)
		}
	}
	records, err := a.admin.FindUsers(ctx, store.UserID, ours)
	if err != nil {
		return nil, err
	}
	byID := make(map[string][]store.User, len(records))
	for _, u := range records {
		if q.Tenant == "" || u.Tenant == q.Tenant {
			byID[u.ID] = append(byID[u.ID], u)
		}
	}
	asked := make(map[string]upstream) // by issuer; "" = every directory that has one
	for i, id := range q.IDs {
		issuer, subject := "", id
		if policy.ValidUserID(id) {
			known := byID[id]
			if len(known) == 0 {
				continue
			}
			if p, ok := a.localPerson(known); ok || a.directoryOf(known[0].Issuer) == nil {
				results[i].People = []directory.Person{p}
				continue
			}
			issuer, subject = known[0].Issuer, known[0].Subject
		}
		u := asked[issuer]
		u.subjects, u.places = append(u.subjects, subject), append(u.places, i)
		asked[issuer] = u
	}
	for issuer, u := range asked {
		found := a.upstreamSubjects(ctx, issuer, u.subjects)
		for k, place := range u.places {
			results[place] = found[k]
		}
	}
	return results, nil
}

// upstream are the subjects that one issuer's directory is asked for, and whose they are.
type upstream struct {
	subjects []string
	places   []int
}

// localPerson is what the local directory says, or else what is known without any.
func (a *API) localPerson(records []store.User) (p directory.Person, ok bool) {
	for _, u := range records {
		if a.local != nil {
			if p, ok := a.local.Of(u); ok {
				return p, true
			}
		}
	}
	u := records[0]
	return directory.Person{Issuer: u.Issuer, Subject: u.Subject, Enabled: !u.Disabled, Tenant: u.Tenant}, false
}

func (a *API) directoryOf(issuer string) directory.Directory {
	for _, d := range a.directories {
		if issuer != "" && d.Issuer() == issuer {
			return d
		}
	}
	return nil
}

func (a *API) upstreamSubjects(ctx context.Context, issuer string, subjects []string) []directory.Result {
	if d := a.directoryOf(issuer); d != nil {
		return d.Lookup(ctx, directory.Subject, subjects)
	}
	return a.everywhere(ctx, "", directory.Subject, subjects) // the local one knows none
}

// everywhere asks every directory. One that fails leaves what the others know. What a tenant
// keeps of somebody here is no other's to see, a member of both or not (RULES A6).
func (a *API) everywhere(ctx context.Context, tenant string, field directory.Field, values []string) []directory.Result {
	all := make([]directory.Result, len(values))
	if len(values) == 0 {
		return all
	}
	for _, d := range a.directories {
		local := a.local != nil && d == directory.Directory(a.local)
		for i, found := range d.Lookup(ctx, field, values) {
			if local && tenant != "" {
				found.People = slices.DeleteFunc(slices.Clone(found.People), func(p directory.Person) bool { return p.Tenant != tenant })
			}
			all[i].People = append(all[i].People, found.People...)
			if found.Err != nil {
				all[i].Err = found.Err
			}
		}
	}
	return all
}

// visible leaves out people of other tenants than the one that is asked for: who the
// directory says is of it, and who is a member here.
func (a *API) visible(ctx context.Context, tenant string, people []directory.Person) ([]iamclient.DirectoryUser, error) {
	var users []iamclient.DirectoryUser
	for _, p := range people {
		u := a.directoryUser(p)
		if tenant != "" && p.Tenant != tenant {
			member, err := a.admin.IsMember(ctx, u.ID, tenant)
			if err != nil {
				return nil, err
			}
			if !member {
				continue
			}
		}
		users = append(users, u)
	}
	return users, nil
}

func (a *API) directoryUser(p directory.Person) iamclient.DirectoryUser {
	u := iamclient.DirectoryUser{
		ID: policy.UserID(p.Issuer, p.Subject), Issuer: p.Issuer, Subject: p.Subject, Username: p.Username,
		Email: p.Email, DisplayName: p.DisplayName, Enabled: p.Enabled, Tenant: p.Tenant,
	}
	switch d := a.directoryOf(p.Issuer); {
	case d != nil:
		u.Directory = d.Name()
	case p.Username != "" || p.Email != "" || p.DisplayName != "":
		u.Directory = "local"
	}
	return u
}

// search is one page of one directory.
func (a *API) search(ctx context.Context, caller *countersign.Principal, q usersQuery) (out iamclient.QueriedUsers, err error) {
	d, err := a.searched(q.Directory)
	if err != nil {
		return out, err
	}
	asked, err := json.Marshal(q.Filter)
	if err != nil {
		return out, fmt.Errorf("encode a filter: %w", err)
	}
	bound := []string{"users.query", "service:" + caller.Service.Name, caller.Service.UID, q.Tenant, d.Name(), string(asked)}
	after, err := a.openCursor(bound, q.PageToken)
	if err != nil {
		return out, err
	}
	page, err := d.Search(ctx, directory.Query{Filters: q.filters(), After: after, Limit: q.PageSize, Tenant: q.Tenant})
	if err != nil {
		return out, err
	}
	out.Users = make([]iamclient.DirectoryUser, 0, len(page.People))
	for _, p := range page.People {
		out.Users = append(out.Users, a.directoryUser(p))
	}
	if page.Next != "" {
		out.NextPageToken, err = a.makeCursor(bound, page.Next)
	}
	return out, err
}

func (a *API) searched(name string) (directory.Directory, error) {
	for _, d := range a.directories {
		if d.Name() == name || name == "" && len(a.directories) == 1 {
			return d, nil
		}
	}
	if name == "" && len(a.directories) > 1 {
		return nil, invalid(countersign.ReasonParameterMissing, "there are several directories: name one")
	}
	return nil, invalid(countersign.ReasonParameterInvalid, "there is no such directory")
}
