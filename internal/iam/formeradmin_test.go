package iam_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

var local = admin.Actor{ID: "local:1", SuperAdmin: true}

// waiting lets a test do something while a change waits for its transaction.
type waiting struct {
	store.Store
	meanwhile *atomic.Pointer[func()]
}

func (w waiting) Update(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) error {
	if do := w.meanwhile.Swap(nil); do != nil {
		(*do)()
	}
	return w.Store.Update(ctx, fn)
}

// replica is the admin of another replica: its own view and audit chain on the same store.
func (r *rig) replica(t *testing.T) *admin.Admin {
	t.Helper()
	view, err := registry.New(t.Context(), registry.Config{Store: r.Store, Shared: true, OpenAccessKey: r.Keys.OpenAccessKey, Now: r.Clock.Now})
	must(t, err)
	log, err := audit.Open(t.Context(), audit.Config{Store: r.Store, Replica: "other", Signer: r.Keys, Now: r.Clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = log.Close(context.Background()) })
	a, err := admin.New(admin.Config{Store: r.Store, Audit: log, Registry: view, Keys: r.Keys, Issuer: issuer, Now: r.Clock.Now})
	must(t, err)
	return a
}

// outgoing is an office of which somebody loses something at another replica.
type outgoing struct {
	*office
	other     *admin.Admin
	meanwhile *atomic.Pointer[func()]
	login     remote
	pipeline  string // a token with iam:apply, of the service of that name in acme
}

func newOutgoing(t *testing.T, cfg rigConfig) *outgoing {
	t.Helper()
	meanwhile := new(atomic.Pointer[func()])
	cfg.exposeReasons = true
	cfg.on.WrapStore = func(s store.Store) store.Store { return waiting{s, meanwhile} }
	o := &outgoing{office: newOffice(t, cfg), meanwhile: meanwhile}
	o.other, o.login = o.replica(t), o.logIn(t)
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "two", "")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(o.people, "two")}, "super-admin", admin.AnyRevision)
	must(t, err)
	o.configure(t, pipelineWith("iam:apply, orders:read"))
	o.pipeline = o.token(t, "pipeline", "iam-service", "iam:apply")
	return o
}

func pipelineWith(scopes string) string {
	return "kind: Service\nname: pipeline\ntenant: acme\nscopes: [" + scopes + "]\naudiences: [iam-service]\n"
}

func (o *outgoing) otherApplies(t *testing.T, document string) {
	t.Helper()
	_, err := o.other.Apply(t.Context(), local, admin.ApplyRequest{Files: []admin.File{{Name: "f", Content: []byte(document)}}})
	must(t, err)
}

func (o *outgoing) otherTakes(t *testing.T, user, tenant, role string) {
	t.Helper()
	_, err := o.other.RemoveRole(t.Context(), local, admin.UserRef{ID: id(o.people, user), Tenant: tenant}, role, admin.AnyRevision)
	must(t, err)
}

func (o *outgoing) otherDeletes(t *testing.T, kind, name string) {
	t.Helper()
	must(t, o.other.DeleteObject(t.Context(), local, kind, name, admin.AnyRevision))
}

// The requests of those who lose something.
const (
	addMallory = `{"issuer":"https://people.example","subject":"mallory"}`
	makeMore   = `{"name":"more"}`
)

func apply(document string) ask {
	body, _ := json.Marshal(iamclient.Apply{Files: []iamclient.File{{Name: "f", Content: document}}})
	return ask{method: "POST", path: "/admin/resources", body: string(body)}
}

func (a ask) with(bearer string) ask { a.bearer = bearer; return a }

// losses are what somebody loses, and how a change that they asked for is refused then: as
// the door would that knew of it.
func (o *outgoing) losses() map[string]loss {
	post := func(path, body, bearer string) ask {
		return ask{method: "POST", path: path, body: body, bearer: bearer}
	}
	more := apply("kind: Service\nname: more\ntenant: acme\nscopes: [orders:read]\n")
	assign := ask{method: "PUT", path: "/admin/users/" + id(o.people, "kim") + "/roles/helpdesk", bearer: o.ann, header: map[string]string{"If-Match": "*"}}
	inBeta := post("/admin/services", `{"name":"more","tenant":"beta"}`, "")
	inBeta.tenant, inBeta.local = "beta", true
	yes := true
	return map[string]loss{
		"a super-admin is disabled": {post("/admin/users", addMallory, o.boss), 401, countersign.ReasonTokenRevoked, func(t *testing.T) {
			_, err := o.other.ChangeUser(t.Context(), local, admin.UserRef{ID: id(o.people, "boss")}, admin.AnyRevision, admin.UserChange{Disabled: &yes})
			must(t, err)
		}},
		"a super-admin is one no more": {post("/admin/services", makeMore, o.boss), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherTakes(t, "boss", "", "super-admin")
		}},
		"the keys are no more theirs": {post("/admin/keys/rotate", `{"purpose":"token"}`, o.boss), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherTakes(t, "boss", "", "super-admin")
		}},
		"a role in a tenant is taken": {post("/admin/users", addMallory, o.kim), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherTakes(t, "kim", "acme", "helpdesk")
		}},
		"a role holds less": {post("/admin/users", addMallory, o.kim), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherApplies(t, "kind: UserRole\nname: helpdesk\npermissions: [users.read]\n")
		}},
		"a member is kept out of the tenant": {assign, 400, countersign.ReasonParameterMissing, func(t *testing.T) {
			_, _, err := o.other.AddUser(t.Context(), local, o.people.url, "ann", "acme")
			must(t, err)
			_, err = o.other.ChangeUser(t.Context(), local, admin.UserRef{ID: id(o.people, "ann"), Tenant: "acme"}, admin.AnyRevision, admin.UserChange{Disabled: &yes})
			must(t, err)
		}},
		"the issuer may not assert it": {post("/admin/services", `{"name":"more","tenant":"acme"}`, o.ann), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherApplies(t, o.people.document("people", "may_assert: {tenants: [acme, beta]}\n"))
		}},
		"the issuer is gone": {post("/admin/services", `{"name":"more","tenant":"acme"}`, o.ann), 401, countersign.ReasonIssuerUnknown, func(t *testing.T) {
			o.otherDeletes(t, "Issuer", "people")
		}},
		"the tenant is gone": {post("/admin/services", `{"name":"more","tenant":"beta"}`, o.bob), 403, countersign.ReasonNotAdministrator, func(t *testing.T) {
			o.otherDeletes(t, "Tenant", "beta")
		}},
		"the tenant that the local administrator named is gone": {inBeta, 403, countersign.ReasonTenantNotMember, func(t *testing.T) {
			o.otherDeletes(t, "Tenant", "beta")
		}},
		"a login is ended": {ask{method: "POST", path: "/admin/services", body: makeMore, login: &o.login}, 401, countersign.ReasonLoginUnknown, func(t *testing.T) {
			must(t, o.other.EndLogin(t.Context(), local, o.login.login.ID))
		}},
		"a service loses a scope that it passes on": {more.with(o.pipeline), 401, countersign.ReasonTokenRevoked, func(t *testing.T) {
			o.otherApplies(t, pipelineWith("iam:apply"))
		}},
		"a service is disabled": {more.with(o.pipeline), 401, countersign.ReasonTokenRevoked, func(t *testing.T) {
			_, err := o.other.SetServiceDisabled(t.Context(), local, "pipeline", admin.AnyRevision, true)
			must(t, err)
		}},
		"a service is made anew": {more.with(o.pipeline), 401, countersign.ReasonTokenRevoked, func(t *testing.T) {
			o.otherDeletes(t, "Service", "pipeline")
			o.otherApplies(t, pipelineWith("iam:apply, orders:read"))
		}},
	}
}

type loss struct {
	asks   ask
	status int
	reason countersign.Reason
	loses  func(t *testing.T)
}

// RULES A7, E2: nobody changes anything by rights that were taken from them: neither at a replica
// that has not heard of it, nor by a request that waited for its turn while it happened.
func TestRuleA7NobodyWritesByRightsThatWereTaken(t *testing.T) {
	t.Parallel()
	names := slices.Collect(maps.Keys(newOutgoing(t, rigConfig{}).losses()))
	for _, shared := range []bool{true, false} {
		for _, name := range names {
			t.Run(map[bool]string{true: "shared/", false: "alone/"}[shared]+name, func(t *testing.T) {
				t.Parallel()
				o := newOutgoing(t, rigConfig{on: fixture.Config{Shared: shared}})
				l := o.losses()[name]
				took := false
				do := func() { took = true; l.loses(t) }
				o.meanwhile.Store(&do)
				got := o.ask(t, l.asks).want(t, l.status, string(l.reason))
				if !took {
					t.Fatalf("nothing was taken: %s", got.body)
				}
				o.wrote(t, "")
			})
		}
	}
}

// wrote checks that none of what is asked for in this file was done.
func (o *outgoing) wrote(t *testing.T, except string) {
	t.Helper()
	if _, err := o.Store.Service(t.Context(), "more"); err == nil && except != "more" {
		t.Error("there is the service")
	}
	if records, err := o.Store.UserRecords(t.Context(), id(o.people, "mallory")); err != nil || len(records) > 0 {
		t.Errorf("there is the user: %v, %v", records, err)
	}
	if rotated := o.Events(t, audit.Query{Action: "key.rotate", Decision: audit.Changed}); len(rotated) > 0 {
		t.Errorf("keys were rotated: %v", rotated)
	}
}

// RULES E2: a super-admin who was removed and disabled at another replica makes no other here.
func TestRuleE2AFormerSuperAdminMakesNoOther(t *testing.T) {
	t.Parallel()
	o := newOutgoing(t, rigConfig{on: fixture.Config{Shared: true}})
	o.as(t, o.boss, "GET", "/me", "").want(t, 200, `"super_admin":true`) // held now
	o.otherTakes(t, "boss", "", "super-admin")
	yes := true
	_, err := o.other.ChangeUser(t.Context(), local, admin.UserRef{ID: id(o.people, "boss")}, admin.AnyRevision, admin.UserChange{Disabled: &yes})
	must(t, err)
	o.as(t, o.boss, "POST", "/admin/users", addMallory).want(t, 401)
	o.as(t, o.boss, "PUT", "/admin/users/"+id(o.people, "mallory")+"/roles/super-admin", "", "If-Match", "*").want(t, 401)
	o.wrote(t, "")
	refused := o.Events(t, audit.Query{Action: "user.create", Decision: audit.Refused})
	if len(refused) != 1 || refused[0].User != "boss" || refused[0].Reason != string(countersign.ReasonTokenRevoked) {
		t.Errorf("%+v", refused)
	}
}

// A view that is behind revokes nothing for who may not, where it can be asked.
func TestRuleE4AFormerSuperAdminRevokesNothingHere(t *testing.T) {
	t.Parallel()
	o := newOutgoing(t, rigConfig{on: fixture.Config{Shared: true}})
	o.as(t, o.boss, "GET", "/me", "").want(t, 200, `"super_admin":true`)
	o.otherTakes(t, "boss", "", "super-admin")
	o.as(t, o.boss, "POST", "/admin/revocations", `{"all":true,"local":true}`).want(t, 403, string(countersign.ReasonNotAdministrator))
	o.as(t, o.pipeline, "GET", "/admin/services", "").want(t, 200)
}

// A backup is everything: who was removed at another replica a moment ago gets none.
func TestRuleE2AFormerSuperAdminGetsNoBackup(t *testing.T) {
	t.Parallel()
	written := 0
	o := newOutgoing(t, rigConfig{on: fixture.Config{Shared: true}, backup: func(w io.Writer) error {
		written++
		_, err := io.WriteString(w, "everything")
		return err
	}})
	o.as(t, o.boss, "GET", "/admin/backup", "").want(t, 200)
	o.otherTakes(t, "boss", "", "super-admin")
	o.as(t, o.boss, "GET", "/admin/backup", "").want(t, 403, string(countersign.ReasonNotAdministrator))
	if written != 1 {
		t.Errorf("%d backups were written", written)
	}
}

// Who was given something meanwhile is not refused for it.
func TestRightsThatWereAddedMeanwhileRefuseNothing(t *testing.T) {
	t.Parallel()
	o := newOutgoing(t, rigConfig{on: fixture.Config{Shared: true}})
	do := func() {
		_, _, err := o.other.AddUser(t.Context(), local, o.people.url, "ann", "beta")
		must(t, err)
		o.otherApplies(t, o.people.document("people", "may_assert: {tenants: [acme, beta], roles: {admins: tenant-admin}}\n"))
	}
	o.meanwhile.Store(&do)
	o.as(t, o.ann, "POST", "/admin/services", `{"name":"more","tenant":"acme"}`).want(t, 201)
	o.wrote(t, "more")
}

// RULES E4: where the store tells nothing, nothing is changed by what was known before, however
// the writer works. The user that the server runs as is no part of what may be stale.
func TestRuleE4NothingIsChangedByAStaleView(t *testing.T) {
	t.Parallel()
	gone := new(atomic.Bool)
	o := newOffice(t, rigConfig{exposeReasons: true, on: fixture.Config{Shared: true, WrapStore: func(s store.Store) store.Store { return fixture.Headless{Store: s, Gone: gone} }}})
	o.as(t, o.boss, "GET", "/me", "").want(t, 200)
	gone.Store(true)
	o.Clock.Advance(9*time.Minute + 50*time.Second)
	o.as(t, o.boss, "POST", "/admin/users", addMallory).want(t, 503, string(countersign.ReasonStoreUnavailable))
	o.ask(t, ask{method: "POST", path: "/admin/services", body: makeMore, local: true}).want(t, 201)
	gone.Store(false)
	o.as(t, o.boss, "POST", "/admin/users", addMallory).want(t, 201)
}

// RULES A5: a service of the same name has nothing of one that was deleted, and one that is
// disabled or lost iam:apply has it no more, whatever its token says and the revocations don't.
func TestRuleA5PipelineIsTheServiceOfItsToken(t *testing.T) {
	t.Parallel()
	o := newOutgoing(t, rigConfig{})
	list := ask{method: "GET", path: "/admin/services"}
	o.ask(t, list.with(o.pipeline)).want(t, 200)
	change := func(fn func(s *store.Service)) {
		t.Helper()
		must(t, o.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			s, err := tx.Service(ctx, "pipeline")
			if err != nil {
				return err
			}
			fn(&s)
			s.Revision++
			return tx.UpdateService(ctx, s)
		}))
		o.Registry.Forget("pipeline")
	}
	change(func(s *store.Service) { s.Scopes = []string{"orders:read"} })
	o.ask(t, list.with(o.pipeline)).want(t, 403, string(countersign.ReasonUserRequired))
	change(func(s *store.Service) { s.Scopes, s.Disabled = []string{"iam:apply"}, true })
	o.ask(t, list.with(o.pipeline)).want(t, 401, string(countersign.ReasonTokenRevoked))
}
