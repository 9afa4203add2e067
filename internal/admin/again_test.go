package admin_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// before does something right before a transaction begins.
type before struct {
	store.Store
	do *atomic.Pointer[func()]
}

func (b before) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	if do := b.do.Swap(nil); do != nil {
		(*do)()
	}
	return b.Store.Update(ctx, fn)
}

// replica is another one: its own handle on the database, audit chain and view.
func (r *rig) replica(t *testing.T) *admin.Admin {
	t.Helper()
	db := fixture.OpenStore(t, r.Path)
	log, err := audit.Open(t.Context(), audit.Config{Store: db, Replica: "other", Signer: r.Keys, Now: r.Clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	view, err := registry.New(t.Context(), registry.Config{Store: db, Shared: true, Now: r.Clock.Now})
	must(t, err)
	other, err := admin.New(admin.Config{Store: db, Audit: log, Registry: view, Keys: r.Keys, Now: r.Clock.Now})
	must(t, err)
	return other
}

// What an actor says of itself under the lock decides; a change that is refused wrote nothing,
// and an actor that nothing can be taken from is not asked.
func TestRuleA7TheActorIsAskedAgain(t *testing.T) {
	t.Parallel()
	refused := countersign.NewError(countersign.Denied, countersign.ReasonUserDisabled, "the user is disabled")
	same := func(a admin.Actor) (admin.Actor, error) { return a, nil }
	tests := map[string]struct {
		again func(a admin.Actor) (admin.Actor, error)
		want  error
	}{
		"nothing changed":        {same, nil},
		"the door refuses":       {func(admin.Actor) (admin.Actor, error) { return admin.Actor{}, refused }, refused},
		"it has fewer rights":    {func(a admin.Actor) (admin.Actor, error) { a.Rights = policy.Rights{}; return a, nil }, admin.ErrActorChanged},
		"it has another tenant":  {func(a admin.Actor) (admin.Actor, error) { a.Tenant = "beta"; return a, nil }, admin.ErrActorChanged},
		"it has another owner":   {func(a admin.Actor) (admin.Actor, error) { a.Owner = "x"; return a, nil }, admin.ErrActorChanged},
		"it lost a scope":        {func(a admin.Actor) (admin.Actor, error) { a.Scopes = nil; return a, nil }, admin.ErrActorChanged},
		"it lost an audience":    {func(a admin.Actor) (admin.Actor, error) { a.Audiences = nil; return a, nil }, admin.ErrActorChanged},
		"it is another service":  {func(a admin.Actor) (admin.Actor, error) { a.ServiceUID = "u2"; return a, nil }, admin.ErrActorChanged},
		"the view can't be told": {nil, countersign.Unavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := new(atomic.Bool)
			r := newRig(t, func(s store.Store) store.Store { return fixture.Headless{Store: s, Gone: gone} })
			r.apply(t, request("kind: Tenant\nname: acme\n"))
			actor := admin.Actor{ID: "service:p", Service: "p", ServiceUID: "u", Tenant: "acme", Scopes: []string{"a"}, Audiences: []string{"b"},
				Rights: policy.NewRights(map[string][]string{"acme": policy.UserPermissions()})}
			asked := actor
			asked.Again = func(context.Context) (admin.Actor, error) {
				if tt.again == nil {
					return actor, nil
				}
				return tt.again(actor)
			}
			gone.Store(tt.again == nil)
			_, _, err := r.CreateService(t.Context(), asked, admin.ServiceSpec{Name: "more", Tenant: "acme", Scopes: []string{"a"}})
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if _, err := r.Store.Service(t.Context(), "more"); (err == nil) != (tt.want == nil) {
				t.Errorf("afterwards: %v", err)
			}
			if _, _, err := r.CreateService(t.Context(), actor, admin.ServiceSpec{Name: "others", Tenant: "acme"}); err != nil {
				t.Errorf("who is not asked: %v", err)
			}
		})
	}
}

// A poll that hangs holds up who waits for the lock for a moment only.
func TestTheActorIsNotAskedForLong(t *testing.T) {
	t.Parallel()
	hangs := new(atomic.Bool)
	r := newRig(t, func(s store.Store) store.Store { return hanging{s, hangs} })
	asked := super()
	asked.Again = func(context.Context) (admin.Actor, error) { return super(), nil }
	hangs.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, _, err := r.CreateService(ctx, asked, admin.ServiceSpec{Name: "more"})
	if !errors.Is(err, countersign.Unavailable) || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	hangs.Store(false)
	if _, _, err := r.CreateService(ctx, asked, admin.ServiceSpec{Name: "more"}); err != nil {
		t.Error(err)
	}
}

type hanging struct {
	store.Store
	hangs *atomic.Bool
}

func (h hanging) FeedHead(ctx context.Context) (store.FeedHead, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return store.FeedHead{}, countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "gone", ctx.Err())
	}
	return h.Store.FeedHead(ctx)
}

// RULES A5: nothing is made in a tenant that is not there any more: whoever gets one of its name
// would find it in theirs.
func TestRuleA5NothingIsMadeInADeletedTenant(t *testing.T) {
	t.Parallel()
	do := new(atomic.Pointer[func()])
	r := newRig(t, func(s store.Store) store.Store { return before{s, do} })
	other := r.replica(t)
	actor := admin.Actor{ID: "user:i|u", Tenant: "beta", Rights: policy.NewRights(map[string][]string{"beta": policy.UserPermissions()})}
	const documents = "kind: Service\nname: left-behind\ntenant: beta\n---\nkind: Role\nname: left-role\ntenant: beta\ntrust: [{service: {names: [left-behind]}}]\n"
	makes := map[string]func() error{
		"a service": func() error {
			_, _, err := r.CreateService(t.Context(), actor, admin.ServiceSpec{Name: "left-alone", Tenant: "beta"})
			return err
		},
		"documents": func() error { _, err := r.Apply(t.Context(), actor, request(documents)); return err },
		"a user role": func() error {
			_, err := r.Apply(t.Context(), actor, request("kind: UserRole\nname: left-users\ntenant: beta\npermissions: [users.read]\n"))
			return err
		},
		"a user": func() error { _, _, err := r.AddUser(t.Context(), actor, "https://i.example", "u", "beta"); return err },
	}
	for name, try := range makes {
		r.apply(t, request("kind: Tenant\nname: beta\n"))
		deletes := func() {
			must(t, other.DeleteObject(context.Background(), super(), "Tenant", "beta", admin.AnyRevision))
		}
		do.Store(&deletes)
		if err := try(); !errors.Is(err, countersign.NotFound) || countersign.ReasonOf(err) != countersign.ReasonObjectUnknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"left-behind", "left-alone"} {
		if _, err := r.Store.Service(t.Context(), name); !errors.Is(err, countersign.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.apply(t, request("kind: Tenant\nname: beta\n"))
	for name, try := range makes {
		if err := try(); err != nil {
			t.Errorf("%s, with the tenant: %v", name, err)
		}
	}
	// Super-admins need no document.
	r.apply(t, request("kind: Service\nname: early\ntenant: gamma\n"))
}

// RULES D10: what was said of documents beside one Issuer says nothing of another of its name.
func TestRuleD10LintBesideAnIssuerThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	do := new(atomic.Pointer[func()])
	r := newRig(t, func(s store.Store) store.Store { return before{s, do} })
	const rest = "subject: workload\nprofile: oidc\naudiences: [countersign]\n"
	r.apply(t, request("kind: Issuer\nname: ci\nurl: https://ci.corp.example\n"+rest))
	other := r.replica(t)
	swap := func() {
		must(t, other.DeleteObject(context.Background(), super(), "Issuer", "ci", admin.AnyRevision))
		_, err := other.Apply(context.Background(), super(), request("kind: Issuer\nname: ci\nurl: https://token.actions.githubusercontent.com\n"+rest))
		must(t, err)
	}
	do.Store(&swap)
	_, err := r.Apply(t.Context(), super(), request("kind: Role\nname: deploy\ntrust:\n  - oidc: {issuer: ci, subject_conditions: [\"repo:*\"]}\n"))
	if !errors.Is(err, countersign.Invalid) {
		t.Errorf("a role that lets every repository of GitHub in: %v", err)
	}
}
