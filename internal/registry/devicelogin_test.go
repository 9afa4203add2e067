package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// RULES G2: strangers ask how to log in, so that costs no read of the database; a change of an
// issuer is seen at once.
func TestRuleG2WaysToLoginAreHeld(t *testing.T) {
	t.Parallel()
	clock := fixture.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	counting := &objectReads{Store: fixture.NewStore(t)}
	r := newRegistry(t, counting, clock, 0)
	create := func(name, tenant, rest string) {
		t.Helper()
		documents, err := resource.Parse([]resource.File{{Name: "f", Content: []byte("kind: Issuer\nname: " + name +
			"\nurl: https://" + name + ".example\nsubject: user\nprofile: oidc\naudiences: [a]\n" + rest)}})
		if err != nil {
			t.Fatal(err)
		}
		spec, err := documents[0].Spec()
		if err != nil {
			t.Fatal(err)
		}
		err = counting.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.CreateObject(ctx, store.Object{UID: "uid-" + name, Kind: resource.KindIssuer, Name: name, Tenant: tenant, Spec: spec, Revision: 1, CreatedAt: clock.Now(), UpdatedAt: clock.Now()})
		})
		if err != nil {
			t.Fatal(err)
		}
		r.ForgetObject(resource.KindIssuer, name)
	}
	names := func() (list string) {
		t.Helper()
		found, err := r.DeviceLogins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			list += d.Name + "@" + d.Tenant + " " + d.URL + " " + d.ClientID + "\n"
		}
		return list
	}
	create("people", "", "device_login: {client_id: cli}\n")
	create("robots", "", "")
	want := "people@ https://people.example cli\n"
	if got := names(); got != want {
		t.Errorf("%q", got)
	}
	before := counting.reads
	for range 100 {
		names()
	}
	if got := counting.reads - before; got != 0 {
		t.Errorf("%d reads for 100 strangers", got)
	}
	create("others", "acme", "device_login: {client_id: theirs}\n")
	if got := names(); got != "others@acme https://others.example theirs\n"+want {
		t.Errorf("after a change: %q", got)
	}
}

// objectReads counts the reads of objects.
type objectReads struct {
	store.Store
	reads int
}

func (s *objectReads) Objects(ctx context.Context, kind string, page store.Page) ([]store.Object, error) {
	s.reads++
	return s.Store.Objects(ctx, kind, page)
}
