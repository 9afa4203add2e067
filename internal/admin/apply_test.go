package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
)

const twoServices = `kind: Service
name: a
scopes: [docs:read, docs:write]
audiences: [b]
---
kind: Service
name: b
`

const onePolicy = `kind: RoutePolicy
name: b-defaults
service: b
rules:
  - name: a-may
    from: {services: [a]}
    to: {methods: [GET], paths: ["/v1/**"]}
`

const oneIssuer = `kind: Issuer
name: corporate
url: https://login.example.com
subject: user
profile: oidc
audiences: [app]
`

func request(text string) admin.ApplyRequest {
	return admin.ApplyRequest{Files: []admin.File{{Name: "f.yaml", Content: []byte(text)}}}
}

func owned(owner, text string) admin.ApplyRequest {
	r := request(text)
	r.Owner = owner
	return r
}

func (r *rig) apply(t *testing.T, q admin.ApplyRequest) []admin.Applied {
	t.Helper()
	done, err := r.Apply(t.Context(), super(), q)
	must(t, err)
	return done
}

// actions is "kind/name action@revision" of each.
func actions(done []admin.Applied) []string {
	var all []string
	for _, d := range done {
		all = append(all, fmt.Sprintf("%s/%s %s@%d", d.Kind, d.Name, d.Action, d.Revision))
	}
	return all
}

func wantActions(t *testing.T, done []admin.Applied, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, actions(done)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func wantRefused(t *testing.T, err error, code countersign.Code, reason countersign.Reason) {
	t.Helper()
	if !errors.Is(err, code) || countersign.ReasonOf(err) != reason {
		t.Errorf("got %v (%s, %s), want %s, %s", err, countersign.CodeOf(err), countersign.ReasonOf(err), code, reason)
	}
}

func TestApplyWritesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := twoServices + "---\n" + onePolicy + "---\n" + oneIssuer
	wantActions(t, r.apply(t, request(all)),
		"Service/a created@1", "Service/b created@1", "RoutePolicy/b-defaults created@1", "Issuer/corporate created@1")
	if got := len(r.Events(t, audit.Query{Decision: audit.Changed})); got != 4 {
		t.Errorf("%d events, want one for each object", got)
	}
	wantActions(t, r.apply(t, request(all)),
		"Service/a unchanged@1", "Service/b unchanged@1", "RoutePolicy/b-defaults unchanged@1", "Issuer/corporate unchanged@1")
	if got := len(r.Events(t, audit.Query{Decision: audit.Changed})); got != 4 {
		t.Errorf("%d events after nothing changed", got)
	}
	done := r.apply(t, request(strings.ReplaceAll(all, "GET", "POST")))
	wantActions(t, done[2:3], "RoutePolicy/b-defaults changed@2")
	if done[2].Line != 9 || !strings.Contains(string(done[2].Before), "GET") || !strings.Contains(string(done[2].After), "POST") {
		t.Errorf("got %+v", done[2])
	}
	for _, kind := range []string{"Service", "Issuer", "RoutePolicy"} { // what is read can be applied again
		objects, err := r.Objects(t.Context(), kind, pageOfAll)
		must(t, err)
		for _, o := range objects {
			again := r.apply(t, request(string(o.Document)))
			if again[0].Action != admin.ApplyUnchanged {
				t.Errorf("%s %s applied again: %s\n%s", kind, o.Name, again[0].Action, o.Document)
			}
		}
	}
}

func TestApplyMakesServicesKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.Registry.Service(t.Context(), "a"); !errors.Is(err, countersign.NotFound) {
		t.Fatal(err)
	}
	r.apply(t, request(twoServices))
	s, err := r.Registry.Service(t.Context(), "a")
	must(t, err)
	if len(s.Scopes) != 2 {
		t.Errorf("scopes %v", s.Scopes)
	}
	r.apply(t, request("kind: Service\nname: a\ntoken_lifetime: 5m\nquota: {tokens_per_minute: 7}\n"))
	s, err = r.Registry.Service(t.Context(), "a")
	must(t, err)
	if len(s.Scopes) != 0 || s.TokenLifetime != 5*time.Minute || s.TokensPerMinute != 7 {
		t.Errorf("got %+v", s.Service)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"broken":     twoServices + "---\nkind: Service\nname: [\n",
		"unknown":    twoServices + "---\nkind: Service\nname: c\nscope: [x]\n",
		"duplicate":  twoServices + "---\nkind: Service\nname: a\n",
		"reference":  twoServices + "---\n" + strings.Replace(onePolicy, "service: b", "service: b\ntenant: acme", 1),
		"other kind": twoServices + "---\nkind: Bucket\nname: c\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.Apply(t.Context(), super(), request(text))
			wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
			if _, err := r.Service(t.Context(), "a"); !errors.Is(err, countersign.NotFound) {
				t.Errorf("half of it is there: %v", err)
			}
			if got := r.Events(t, audit.Query{Action: "apply", Decision: audit.Refused}); len(got) != 1 {
				t.Errorf("%d refused events", len(got))
			}
		})
	}
}

func TestApplyTakingAwayEndsTokens(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want bool
	}{
		"scope taken":    {"kind: Service\nname: a\nscopes: [docs:read]\naudiences: [b]\n", true},
		"audience taken": {"kind: Service\nname: a\nscopes: [docs:read, docs:write]\n", true},
		"scope given":    {"kind: Service\nname: a\nscopes: [docs:read, docs:write, more]\naudiences: [b]\n", false},
		"other order":    {"kind: Service\nname: a\nscopes: [docs:write, docs:read]\naudiences: [b]\n", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.apply(t, request(twoServices))
			d, err := r.Service(t.Context(), "a")
			must(t, err)
			issued := r.Clock.Now()
			r.apply(t, request(tt.text))
			if got := r.revoked(t, d, issued); got != tt.want {
				t.Errorf("revoked = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestApplyDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, owned("team", twoServices+"---\n"+oneIssuer))
	q := owned("team", strings.Replace(twoServices, "docs:write", "x", 1)+"---\n"+onePolicy)
	q.Prune, q.DryRun = true, true
	events := len(r.Events(t, audit.Query{}))
	wantActions(t, r.apply(t, q), "Service/a changed@2", "Service/b unchanged@1", "RoutePolicy/b-defaults created@1", "Issuer/corporate pruned@1")
	if got := len(r.Events(t, audit.Query{})); got != events || revocations(t, r) != 0 {
		t.Errorf("%d events, %d revocations", got-events, revocations(t, r))
	}
	q.DryRun = false
	wantActions(t, r.apply(t, q), "Service/a changed@2", "Service/b unchanged@1", "RoutePolicy/b-defaults created@1", "Issuer/corporate pruned@1")
}

// A diff without an owner is not refused for one: it changes nothing.
func TestDiffWithoutAnOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, owned("team", twoServices))
	q := request(twoServices)
	q.DryRun = true
	wantActions(t, r.apply(t, q), "Service/a unchanged@1", "Service/b unchanged@1")
	q = owned("other", twoServices)
	q.DryRun = true
	_, err := r.Apply(t.Context(), super(), q)
	wantRefused(t, err, countersign.Conflict, countersign.ReasonOwnerMismatch)
}

// The tenant of what is there, the owner and our own issuer.
func TestApplyRefusesByState(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, owned("team", twoServices))
	_, err := r.Apply(t.Context(), super(), owned("other", twoServices))
	wantRefused(t, err, countersign.Conflict, countersign.ReasonOwnerMismatch)
	_, err = r.Apply(t.Context(), super(), request(twoServices))
	wantRefused(t, err, countersign.Conflict, countersign.ReasonOwnerMismatch)
	_, err = r.Apply(t.Context(), super(), owned("team", "kind: Service\nname: a\ntenant: acme\n"))
	wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
	if !strings.Contains(err.Error(), "f.yaml:3:9: tenant: ") {
		t.Errorf("got %v", err)
	}
	r.apply(t, request(oneIssuer))
	_, err = r.Apply(t.Context(), super(), request(strings.Replace(oneIssuer, "corporate", "second", 1)))
	wantRefused(t, err, countersign.Invalid, countersign.ReasonResourceInvalid)
	for _, owner := range []string{"config:resources", "Team", "a b"} {
		_, err = r.Apply(t.Context(), super(), owned(owner, twoServices))
		wantRefused(t, err, countersign.Invalid, countersign.ReasonNameInvalid)
	}
}

// The event of a change names the fields that changed and nothing that is in them: a
// client's keys and what an issuer may assert are not exchanged unnoticed.
func TestApplyTellsWhichFieldsChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const service = "kind: Service\nname: a\naudiences: [b]\nquota: {tokens_per_minute: 5}\n"
	r.apply(t, request(service+"---\n"+oneIssuer))
	r.apply(t, request("kind: Service\nname: a\naudiences: [b, c]\njwks_uri: https://keys.example.com/a\n---\n"+oneIssuer+"may_assert: {scopes: [docs]}\n"))
	for action, want := range map[string]string{
		"service.change": " changed=audiences,jwks_uri,quota", "issuer.change": " changed=may_assert",
	} {
		events := r.Events(t, audit.Query{Action: action})
		if len(events) != 1 || !strings.HasSuffix(events[0].Detail, want) || strings.Contains(events[0].Detail, "keys.example.com") {
			t.Errorf("%s: %+v, want %q", action, events, want)
		}
	}
	r.apply(t, owned("team", service))
	if events := r.Events(t, audit.Query{Action: "service.create"}); strings.Contains(events[0].Detail, "changed=") {
		t.Errorf("created: %+v", events[0])
	}
}
