package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// Field is a field of a person by which people are looked up and filtered.
type Field string

// The fields. The list is closed: nothing else of a person can be asked for.
const (
	Subject     Field = "subject"
	Username    Field = "username"
	Email       Field = "email"
	DisplayName Field = "display_name"
	Enabled     Field = "enabled"
)

// Op is how a filter compares.
type Op string

// The operators: the whole value, or its start. Enabled takes Equals alone.
const (
	Equals     Op = "eq"
	StartsWith Op = "prefix"
)

// MaxFilters bounds the filters of one search; all of them must hold.
const MaxFilters = 5

// maxValue bounds the value of a lookup or of a filter, in bytes.
const maxValue = 256

// Person is what a directory says of somebody.
type Person struct {
	// Issuer and Subject are the pair in their tokens.
	Issuer, Subject              string
	Username, Email, DisplayName string
	Enabled                      bool
	// Tenant is what the directory says; "" = nothing.
	Tenant string
}

// Result answers one value of a lookup.
type Result struct {
	// People have the value: none, one or, by e-mail address, several.
	People []Person
	// Err tells that they could not be asked for; People may be incomplete then.
	Err error
}

// Filter is one condition on people.
type Filter struct {
	Field Field
	Op    Op
	Value string
}

// Query asks for a page of people who fit all filters.
type Query struct {
	Filters []Filter
	// After is [Page.Next] of the page before; "" = the first. It is the upstream's own and
	// must come from a Page.
	After string
	// Limit is 1 to 1000. A page may be shorter although there is a next one.
	Limit int
	// Tenant leaves out others' where the directory can tell; "" = nobody is left out.
	Tenant string
}

// Page is a page of people.
type Page struct {
	People []Person
	Next   string
}

// Directory is where people are kept. Safe for concurrent use.
type Directory interface {
	// Name is what configuration and results call it.
	Name() string
	// Issuer is the issuer of its people's tokens; "" = of several.
	Issuer() string
	// Lookup finds people by values of Subject, Username or Email, at most 1000 of them.
	// Result i is that of values[i].
	Lookup(ctx context.Context, field Field, values []string) []Result
	// Search returns one page.
	//
	// Errors: countersign.Invalid (the filters), Upstream, Throttled, Unavailable.
	Search(ctx context.Context, q Query) (Page, error)
}

// CheckFilters refuses what is not in the lists of fields and operators.
//
// Errors: countersign.Invalid with ReasonParameterInvalid.
func CheckFilters(filters []Filter) error {
	refuse := func(msg string) error {
		return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
	}
	if len(filters) > MaxFilters {
		return refuse("a search has at most 5 filters")
	}
	for _, f := range filters {
		switch {
		case !slices.Contains([]Field{Subject, Username, Email, DisplayName, Enabled}, f.Field):
			return refuse("a filter's field is subject, username, email, display_name or enabled")
		case f.Op != Equals && f.Op != StartsWith:
			return refuse("a filter's op is eq or prefix")
		case f.Field == Enabled && (f.Op != Equals || f.Value != "true" && f.Value != "false"):
			return refuse("enabled is compared by eq with true or false")
		case !Askable(f.Value):
			return refuse("a filter's value has 1 to 256 bytes without control characters")
		}
	}
	return nil
}

// Askable reports whether a text can be the value of a lookup or a filter.
func Askable(value string) bool {
	if value == "" || len(value) > maxValue || strings.ToValidUTF8(value, "") != value {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 })
}

// Fits reports whether a person passes a filter. E-mail addresses compare without case.
func (f Filter) Fits(p Person) bool {
	has, want := p.value(f.Field), f.Value
	if f.Field == Email {
		has, want = strings.ToLower(has), strings.ToLower(want)
	}
	if f.Op == StartsWith {
		return strings.HasPrefix(has, want)
	}
	return has == want
}

// fits reports whether a person passes all filters.
func fits(filters []Filter, p Person) bool {
	return !slices.ContainsFunc(filters, func(f Filter) bool { return !f.Fits(p) })
}

func (p Person) value(f Field) string {
	switch f {
	case Subject:
		return p.Subject
	case Username:
		return p.Username
	case Email:
		return p.Email
	case DisplayName:
		return p.DisplayName
	case Enabled:
		if p.Enabled {
			return "true"
		}
		return "false"
	}
	return ""
}
