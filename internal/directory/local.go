package directory

import (
	"context"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// searchPages bounds the pages of the store that one search reads.
const searchPages = 20

// Local is the directory in the store: users whose records say what they are called.
type Local struct{ users store.Users }

// NewLocal returns the directory of a store.
func NewLocal(users store.Users) *Local { return &Local{users} }

// Name implements [Directory].
func (*Local) Name() string { return "local" }

// Issuer implements [Directory].
func (*Local) Issuer() string { return "" }

// Of returns what a record says of a person; ok is false when that is nothing.
func (*Local) Of(u store.User) (p Person, ok bool) {
	return personOf(u), u.Username != "" || u.Email != "" || u.DisplayName != ""
}

func personOf(u store.User) Person {
	return Person{
		Issuer: u.Issuer, Subject: u.Subject, Username: u.Username, Email: u.Email, DisplayName: u.DisplayName,
		Enabled: !u.Disabled, Tenant: u.Tenant,
	}
}

// Lookup implements [Directory]. Subjects alone are not known here: they need their issuer.
func (l *Local) Lookup(ctx context.Context, field Field, values []string) []Result {
	results := make([]Result, len(values))
	by := map[Field]store.UserField{Username: store.UserUsername, Email: store.UserEmail}[field]
	if by == "" {
		return results
	}
	wanted := make([]string, len(values))
	for i, value := range values {
		if wanted[i] = value; field == Email {
			wanted[i] = strings.ToLower(value)
		}
	}
	found, err := l.users.FindUsers(ctx, by, wanted)
	if err != nil {
		for i := range results {
			results[i].Err = err
		}
		return results
	}
	byValue := make(map[string][]Person, len(found))
	for _, u := range found {
		p := personOf(u)
		byValue[p.value(field)] = append(byValue[p.value(field)], p)
	}
	for i, value := range wanted {
		results[i].People = byValue[value]
	}
	return results
}

// Search implements [Directory]: the people of one tenant, or of the platform.
func (l *Local) Search(ctx context.Context, q Query) (Page, error) {
	if err := CheckFilters(q.Filters); err != nil {
		return Page{}, err
	}
	if q.Limit < 1 || q.Limit > store.MaxLimit {
		return Page{}, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "a page has 1 to 1000 people")
	}
	made := Page{Next: q.After}
	for range searchPages {
		users, err := l.users.TenantUsers(ctx, q.Tenant, store.Page{After: made.Next, Limit: store.MaxLimit})
		if err != nil {
			return Page{}, err
		}
		for _, u := range users {
			if len(made.People) == q.Limit {
				return made, nil
			}
			made.Next = u.ID
			if p, ok := l.Of(u); ok && fits(q.Filters, p) {
				made.People = append(made.People, p)
			}
		}
		if len(users) < store.MaxLimit {
			made.Next = ""
			return made, nil
		}
	}
	return made, nil
}
