package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/store"
)

func fromConfig(text string) admin.ApplyRequest {
	r := request(text)
	r.FromConfig = true
	return r
}

// nobody is somebody who proved who they are, and administers nothing.
func nobody() admin.Actor { return admin.Actor{ID: "user:i|alice"} }

// RULES A4: what only a file of the configuration may let an issuer assert.
func TestRuleA4SuperAdminIsAssertedByConfigOnly(t *testing.T) {
	t.Parallel()
	for _, asserted := range []string{"roles: {root: super-admin}", "scopes: [s2s:internal]", "scopes: [a, s2s:internal]"} {
		r := newRig(t)
		text := oneIssuer + "may_assert: {" + asserted + "}\n"
		_, err := r.Apply(t.Context(), super(), request(text))
		wantRefused(t, err, countersign.Denied, countersign.ReasonScopeNotGranted)
		wantActions(t, r.apply(t, fromConfig(text)), "Issuer/corporate created@1")
		_, err = r.Apply(t.Context(), super(), request(text)) // nor the same thing again
		wantRefused(t, err, countersign.Denied, countersign.ReasonScopeNotGranted)
	}
	r := newRig(t)
	r.apply(t, request(oneIssuer+"may_assert: {roles: {root: admin}, scopes: [docs:read]}\n"))
}

// RULES A6: no reference across tenants, unless nothing is there to be referred to.
func TestRuleA6NoReferenceAcrossTenants(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		service, policy string // tenants
		missing, beside bool
		want            countersign.Code
	}{
		"the same":             {service: "acme", policy: "acme"},
		"the platform's":       {service: "acme"},
		"platform to platform": {},
		"missing":              {policy: "acme", missing: true},
		"another":              {service: "other", policy: "acme", want: countersign.Invalid},
		"to the platform":      {policy: "acme", want: countersign.Invalid},
		"the same, beside":     {service: "acme", policy: "acme", beside: true},
		"another, beside":      {service: "other", policy: "acme", beside: true, want: countersign.Invalid},
	}
	tenant := func(name string) string {
		if name == "" {
			return ""
		}
		return "tenant: " + name + "\n"
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			service := "kind: Service\nname: b\n" + tenant(tt.service)
			policy := tenant(tt.policy) + onePolicy
			switch {
			case tt.beside:
				policy += "---\n" + service
			case !tt.missing:
				r.apply(t, request(service))
			}
			_, err := r.Apply(t.Context(), super(), request(policy))
			if countersign.CodeOf(err) != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if tt.want != "" && !strings.Contains(err.Error(), "f.yaml:4:10: service: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// RULES A7: who may grant what, and names that nobody may take.
func TestRuleA7ApplyGrantsWhatOneMay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text   string
		reason countersign.Reason
	}{
		"s2s":         {"kind: Service\nname: a\nscopes: [s2s:internal]\n", countersign.ReasonScopeNotGranted},
		"iam-service": {"kind: Service\nname: a\naudiences: [iam-service]\n", countersign.ReasonAudienceNotGranted},
		"sts":         {"kind: Service\nname: a\naudiences: [sts]\n", countersign.ReasonAudienceNotGranted},
		"anything":    {"kind: Service\nname: a\n", countersign.ReasonNotAdministrator},
		"policy":      {onePolicy, countersign.ReasonNotAdministrator},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.Apply(t.Context(), nobody(), request(tt.text))
			wantRefused(t, err, countersign.Denied, tt.reason)
			r.apply(t, request(tt.text))
		})
	}
	for _, name := range []string{"sts", "iam-service", "s3", "countersign"} {
		_, err := newRig(t).Apply(t.Context(), super(), request("kind: Service\nname: "+name+"\n"))
		wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
	}
}

// RULES A8: plain http and private addresses.
func TestRuleA8AddressesOfTheHost(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"http":            strings.Replace(oneIssuer, "https://login.example.com", "http://127.0.0.1", 1),
		"private":         strings.Replace(oneIssuer, "login.example.com", "10.0.0.1", 1),
		"private, mapped": strings.Replace(oneIssuer, "login.example.com", "[::ffff:10.0.0.1]", 1),
		"loopback":        strings.Replace(oneIssuer, "login.example.com", "localhost:1234", 1),
		"allowed":         oneIssuer + "allow_private_addresses: true\n",
		"keys":            oneIssuer + "jwks_uri: https://192.168.1.1/jwks\n",
		"client keys":     "kind: Service\nname: a\njwks_uri: https://127.0.0.1/jwks\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.Apply(t.Context(), nobody(), request(text))
			wantRefused(t, err, countersign.Denied, countersign.ReasonNotAdministrator)
			if !strings.Contains(err.Error(), "f.yaml:") {
				t.Errorf("no place in %v", err)
			}
			r.apply(t, request(text))
			_, err = newRig(t).Apply(t.Context(), admin.Actor{ID: "config"}, fromConfig(text))
			must(t, err)
		})
	}
}

// RULES A9: what an operator has locked stays so, whatever is applied or pruned.
func TestRuleA9ApplyClearsNoLock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := owned("team", twoServices)
	r.apply(t, old)
	d, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	disabled := func(when string) {
		t.Helper()
		s, err := r.Service(t.Context(), "a")
		must(t, err)
		if !s.Disabled || s.UID != d.UID {
			t.Errorf("%s: disabled = %t, uid %s", when, s.Disabled, s.UID)
		}
		if !r.revoked(t, d, d.CreatedAt) {
			t.Errorf("%s: its tokens live", when)
		}
	}
	wantActions(t, r.apply(t, old), "Service/a unchanged@2", "Service/b unchanged@1")
	disabled("old revision again")
	wantActions(t, r.apply(t, owned("team", "kind: Service\nname: a\n")), "Service/a changed@3")
	disabled("changed")
	q := owned("team", "kind: Service\nname: b\n")
	q.Prune = true
	wantActions(t, r.apply(t, q), "Service/b unchanged@1", "Service/a unchanged@3")
	disabled("pruned")
	r.apply(t, old)
	disabled("and applied again")
}

// RULES A9: only the same owner's objects, and not many at once.
func TestRuleA9PruneIsOfOneOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	many := ""
	for i := range 11 {
		many += fmt.Sprintf("---\nkind: Service\nname: m-%d\n", i)
	}
	r.apply(t, owned("team", many))
	r.apply(t, owned("other", oneIssuer))
	r.apply(t, request(onePolicy))
	d, err := r.Service(t.Context(), "m-0")
	must(t, err)
	q := owned("team", "kind: Service\nname: keep\n")
	q.Prune = true
	_, err = r.Apply(t.Context(), super(), q)
	wantRefused(t, err, countersign.Conflict, countersign.ReasonParameterInvalid)
	if !strings.Contains(err.Error(), "11") {
		t.Errorf("got %v", err)
	}
	if _, err := r.Service(t.Context(), "keep"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("half of it is there: %v", err)
	}
	q.DryRun = true
	if got := r.apply(t, q); len(got) != 12 {
		t.Errorf("a dry run tells of %d objects", len(got))
	}
	q.DryRun, q.MaxPrune = false, -1
	if got := r.apply(t, q); len(got) != 12 || got[11].Action != admin.ApplyPruned || got[11].After != nil {
		t.Errorf("got %v", actions(got))
	}
	if !r.revoked(t, d, d.CreatedAt) {
		t.Error("the tokens of a pruned service live")
	}
	for kind, name := range map[string]string{"Issuer": "corporate", "RoutePolicy": "b-defaults", "Service": "keep"} {
		if _, err := r.Object(t.Context(), kind, name); err != nil {
			t.Errorf("%s %s: %v", kind, name, err)
		}
	}
	bare := request(twoServices)
	bare.Prune = true
	_, err = r.Apply(t.Context(), super(), bare)
	wantRefused(t, err, countersign.Invalid, countersign.ReasonParameterMissing)
}

// What comes from the configuration is written there only; an operator's lock holds.
func TestApplyConfigIsReadOnlyElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, request(twoServices))
	wantActions(t, r.apply(t, fromConfig(twoServices+"---\n"+oneIssuer)), "Service/a changed@2", "Service/b changed@2", "Issuer/corporate created@1")
	for _, q := range []admin.ApplyRequest{request(twoServices), owned("team", twoServices), request(oneIssuer)} {
		_, err := r.Apply(t.Context(), super(), q)
		wantRefused(t, err, countersign.Denied, countersign.ReasonResourceReadOnly)
	}
	wantRefused(t, r.DeleteObject(t.Context(), super(), "Issuer", "corporate", admin.AnyRevision), countersign.Denied, countersign.ReasonResourceReadOnly)
	wantRefused(t, r.DeleteService(t.Context(), super(), "a", admin.AnyRevision), countersign.Denied, countersign.ReasonResourceReadOnly)
	_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	must(t, r.RevokeService(t.Context(), super(), "b"))
}

// What was written out of the configuration is nobody's to keep: it would be in force for ever.
func TestWhatNoFileOfTheConfigurationNamesAnyMoreCanBeDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, fromConfig(twoServices+"---\n"+oneIssuer))
	var err error
	r.Admin, err = admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Now: r.Clock.Now})
	must(t, err) // started again, with a file that names one of the services
	one, _, _ := strings.Cut(twoServices, "---\n")
	r.apply(t, fromConfig(one))
	for _, q := range []admin.ApplyRequest{request(oneIssuer), owned("team", oneIssuer)} {
		_, err := r.Apply(t.Context(), super(), q) // it is not taken over: another replica's files may name it
		wantRefused(t, err, countersign.Denied, countersign.ReasonResourceReadOnly)
	}
	wantRefused(t, r.DeleteService(t.Context(), super(), "a", admin.AnyRevision), countersign.Denied, countersign.ReasonResourceReadOnly)
	must(t, r.DeleteService(t.Context(), super(), "b", admin.AnyRevision))
	must(t, r.DeleteObject(t.Context(), super(), "Issuer", "corporate", admin.AnyRevision))
}

// Of many who apply at once the last one wins whole: no revision is lost, nothing is mixed.
func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			text := fmt.Sprintf("kind: Service\nname: a\nscopes: [s-%d]\n---\nkind: Service\nname: b\nscopes: [s-%d]\n", i, i)
			if _, err := r.Apply(t.Context(), super(), request(text)); err != nil {
				t.Errorf("apply %d: %v", i, err)
			}
		})
	}
	group.Wait()
	a, err := r.Service(t.Context(), "a")
	must(t, err)
	b, err := r.Service(t.Context(), "b")
	must(t, err)
	if a.Revision != 8 || b.Revision != 8 || a.Scopes[0] != b.Scopes[0] {
		t.Errorf("a %d %v, b %d %v", a.Revision, a.Scopes, b.Revision, b.Scopes)
	}
}

// A commit that failed: every revocation of the apply holds and is stored late.
func TestApplyRevocationsAreSettledLate(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	r := newRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
	r.apply(t, request(strings.ReplaceAll(twoServices, "name: b", "name: b\nscopes: [x]")))
	a, err := r.Service(t.Context(), "a")
	must(t, err)
	b, err := r.Service(t.Context(), "b")
	must(t, err)
	mode.Store(lost)
	if _, err := r.Apply(t.Context(), super(), request("kind: Service\nname: a\n---\nkind: Service\nname: b\n")); !errors.Is(err, countersign.Unavailable) {
		t.Fatalf("got %v", err)
	}
	if !r.revoked(t, a, a.CreatedAt) || !r.revoked(t, b, b.CreatedAt) {
		t.Error("what may have been revoked is not taken as revoked")
	}
	mode.Store(healthy)
	must(t, r.Settle(t.Context()))
	if got := revocations(t, r); got != 2 {
		t.Errorf("%d revocations on the disk, want 2", got)
	}
}

func TestApplyOwnIssuerIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own, err := admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Issuer: "https://login.example.com", Now: r.Clock.Now})
	must(t, err)
	_, err = own.Apply(t.Context(), super(), fromConfig(oneIssuer))
	wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
	if !strings.Contains(err.Error(), "f.yaml:3:6: url: ") {
		t.Errorf("got %v", err)
	}
}
