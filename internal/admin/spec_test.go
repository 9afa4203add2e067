package admin

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

func numbered(format string, n int) []string {
	var values []string
	for i := range n {
		values = append(values, fmt.Sprintf(format, i))
	}
	return values
}

func TestNewServiceRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		spec   ServiceSpec
		code   countersign.Code
		reason countersign.Reason
	}{
		{"no name", ServiceSpec{}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"capitals", ServiceSpec{Name: "Document"}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"dash first", ServiceSpec{Name: "-a"}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"64 characters", ServiceSpec{Name: strings.Repeat("a", 64)}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"a line break", ServiceSpec{Name: "a\n"}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"reserved", ServiceSpec{Name: "sts"}, countersign.Invalid, countersign.ReasonNameReserved},
		{"reserved iam", ServiceSpec{Name: "iam-service"}, countersign.Invalid, countersign.ReasonNameReserved},
		{"reserved s3", ServiceSpec{Name: "s3"}, countersign.Invalid, countersign.ReasonNameReserved},
		{"reserved ours", ServiceSpec{Name: "countersign"}, countersign.Invalid, countersign.ReasonNameReserved},
		{"tenant", ServiceSpec{Name: "a", Tenant: "A"}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"owner", ServiceSpec{Name: "a", Owner: "a b"}, countersign.Invalid, countersign.ReasonNameInvalid},
		{"scope with a space", ServiceSpec{Name: "a", Scopes: []string{"x y"}}, countersign.BadScope, countersign.ReasonParameterInvalid},
		{"empty scope", ServiceSpec{Name: "a", Scopes: []string{""}}, countersign.BadScope, countersign.ReasonParameterInvalid},
		{"65 scopes", ServiceSpec{Name: "a", Scopes: numbered("s%d", 65)}, countersign.BadScope, countersign.ReasonParameterInvalid},
		{"scopes too long together", ServiceSpec{Name: "a", Scopes: numbered(strings.Repeat("x", 100)+"%d", 11)}, countersign.BadScope, countersign.ReasonParameterInvalid},
		{"empty audience", ServiceSpec{Name: "a", Audiences: []string{""}}, countersign.BadTarget, countersign.ReasonParameterInvalid},
		{"audience with fragment", ServiceSpec{Name: "a", Audiences: []string{"https://a#b"}}, countersign.BadTarget, countersign.ReasonParameterInvalid},
		{"65 audiences", ServiceSpec{Name: "a", Audiences: numbered("s%d", 65)}, countersign.BadTarget, countersign.ReasonParameterInvalid},
		{"short lifetime", ServiceSpec{Name: "a", TokenLifetime: 59 * time.Second}, countersign.Invalid, countersign.ReasonParameterInvalid},
		{"long lifetime", ServiceSpec{Name: "a", TokenLifetime: time.Hour + time.Second}, countersign.Invalid, countersign.ReasonParameterInvalid},
		{"negative lifetime", ServiceSpec{Name: "a", TokenLifetime: -time.Minute}, countersign.Invalid, countersign.ReasonParameterInvalid},
		{"part of a second", ServiceSpec{Name: "a", TokenLifetime: time.Minute + time.Millisecond}, countersign.Invalid, countersign.ReasonParameterInvalid},
	}
	for _, test := range tests {
		_, err := newService(test.spec, time.Now())
		if countersign.CodeOf(err) != test.code || countersign.ReasonOf(err) != test.reason {
			t.Errorf("%s: %v (%s %s), want %s %s", test.name, err, countersign.CodeOf(err), countersign.ReasonOf(err), test.code, test.reason)
		}
	}
}

func TestNewService(t *testing.T) {
	t.Parallel()
	now := time.Now()
	asked := []string{"b", "a", "b"}
	s, err := newService(ServiceSpec{Name: "document-service", Scopes: asked, Audiences: nil, TokenLifetime: time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.Scopes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b", "a", "b"}, asked); diff != "" {
		t.Errorf("the caller's list was changed: %s", diff)
	}
	if s.Audiences == nil || len(s.UID) != 32 || s.Revision != 1 || s.Disabled {
		t.Errorf("got %+v", s)
	}
	again, err := newService(ServiceSpec{Name: "document-service"}, now)
	if err != nil || again.UID == s.UID {
		t.Errorf("the uid came twice: %s, %v", again.UID, err)
	}
}

func TestRuleA7OnlyASuperAdminGrantsWhatIsReserved(t *testing.T) {
	t.Parallel()
	none := func(string) (*resource.Document, error) { return nil, nil } //nolint:nilnil // there is none
	admin := Actor{ID: "user:https://i|u", Scopes: []string{"s2s:internal", "held"}, Audiences: []string{"iam-service", "sts", "held"},
		Rights: policy.NewRights(map[string][]string{"t": policy.UserPermissions()})}
	for _, spec := range []ServiceSpec{
		{Name: "a", Tenant: "t", Scopes: []string{"s2s:internal"}},
		{Name: "a", Tenant: "t", Audiences: []string{"iam-service"}},
		{Name: "a", Tenant: "t", Audiences: []string{"sts"}},
		{Name: "a", Tenant: "t", Scopes: []string{"other"}}, // nobody grants what they do not hold
		{Name: "a", Tenant: "t", Audiences: []string{"other"}},
		{Name: "a", Tenant: "t", Scopes: []string{"held", "other"}},
		{Name: "a"}, // the platform (RULES A6)
		{Name: "a", Tenant: "u"},
	} {
		s, err := newService(spec, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, actor := range []Actor{admin, {ID: "user:https://i|nobody"}} {
			refused := actor.mayCreate(serviceTarget(s))
			if refused == nil {
				refused = mayGrant(actor, s, nil, none)
			}
			if countersign.CodeOf(refused) != countersign.Denied {
				t.Errorf("%s: %+v: %v, want denied", actor.ID, spec, refused)
			}
		}
		super := Actor{ID: "local:0", SuperAdmin: true}
		if err := errors.Join(super.mayCreate(serviceTarget(s)), mayGrant(super, s, nil, none)); err != nil {
			t.Errorf("%+v: a super-admin is refused: %v", spec, err)
		}
	}
	held, err := newService(ServiceSpec{Name: "a", Tenant: "t", Scopes: []string{"held"}, Audiences: []string{"held"}}, time.Now())
	if err = errors.Join(err, admin.mayCreate(serviceTarget(held)), mayGrant(admin, held, nil, none)); err != nil {
		t.Error(err)
	}
	// A service of the tenant counts as held, and so it may name itself.
	itself, err := newService(ServiceSpec{Name: "a", Tenant: "t", Audiences: []string{"a"}}, time.Now())
	if err = errors.Join(err, admin.mayCreate(serviceTarget(itself)), mayGrant(admin, itself, nil, none)); err != nil {
		t.Error(err)
	}
	for _, s := range []store.Service{{Name: "a", Audiences: []string{"a"}}, {Name: "iam-service", Tenant: "t", Audiences: []string{"iam-service"}}} {
		if err := mayGrant(admin, s, nil, none); countersign.CodeOf(err) != countersign.Denied {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
