package iam_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
)

const twoDocuments = `kind: Service
name: parse-service
scopes: [audit:write]
audiences: [iam-service]
---
kind: RoutePolicy
name: parse-service-defaults
service: parse-service
rules:
  - name: documents-may-parse
    from: {services: [document-service]}
    to: {methods: [POST], paths: ["/v1/parse/**"]}
`

func files(text string) []iamclient.File {
	return []iamclient.File{{Name: "resources.yaml", Content: text}}
}

func TestApplyShowsChangesAndPrunes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	actions := func(in iamclient.Apply) string {
		t.Helper()
		list, err := r.client.Apply(ctx, in)
		must(t, err)
		var words []string
		for _, a := range list.Items {
			words = append(words, a.Kind+"/"+a.Name+" "+a.Action)
		}
		return strings.Join(words, ", ")
	}
	apply := iamclient.Apply{Files: files(twoDocuments), Owner: "team", DryRun: true}
	const created = "Service/parse-service created, RoutePolicy/parse-service-defaults created"
	if got := actions(apply); got != created {
		t.Errorf("dry run: %s", got)
	}
	if _, err := r.client.Object(ctx, "Service", "parse-service"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a dry run wrote: %v", err)
	}
	apply.DryRun = false
	if got := actions(apply); got != created {
		t.Errorf("first: %s", got)
	}
	if got := actions(apply); got != strings.ReplaceAll(created, "created", "unchanged") {
		t.Errorf("again: %s", got)
	}
	object, err := r.client.Object(ctx, "RoutePolicy", "parse-service-defaults")
	if err != nil || object.Owner != "team" || object.Revision != 1 || !strings.Contains(object.Document, "documents-may-parse") {
		t.Errorf("got %+v, %v", object, err)
	}
	list, err := r.client.Objects(ctx, "Service", iamclient.ServicePage{})
	if err != nil || len(list.Items) != 1 || list.Next != "" {
		t.Errorf("list %+v, %v", list, err)
	}
	for _, path := range []string{"/admin/route-policies", "/admin/resources/RoutePolicy"} {
		got := r.ask(t, ask{method: "GET", path: path + "/parse-service-defaults", local: true})
		if got.status != 200 || got.header.Get("ETag") != `"1"` {
			t.Errorf("%s: %d %s", path, got.status, got.header.Get("ETag"))
		}
	}
	apply.Files = files(twoDocuments[:strings.Index(twoDocuments, "---")])
	apply.Prune = true
	if got := actions(apply); got != "Service/parse-service unchanged, RoutePolicy/parse-service-defaults pruned" {
		t.Errorf("prune: %s", got)
	}
	if err := r.client.DeleteObject(ctx, "Service", "parse-service", 1); err != nil {
		t.Error(err)
	}
	changed := r.Events(t, audit.Query{Decision: audit.Changed})
	if len(changed) != 4 {
		t.Errorf("%d events of changes, want 4: %+v", len(changed), changed)
	}
}

func TestApplyTellsEveryProblem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files("kind: Service\nname: a\nscope: [x]\n---\nkind: Servce\nname: b\n---\nkind: Bucket\nname: ccc\n")})
	var problems *iamclient.ProblemsError
	if !errors.As(err, &problems) || !errors.Is(err, countersign.Invalid) || countersign.ReasonOf(err) != countersign.ReasonResourceInvalid {
		t.Fatalf("got %v", err)
	}
	type place struct {
		Line          int
		Path, Nearest string
	}
	var got []place
	for _, p := range problems.Problems {
		if p.File != "resources.yaml" || p.Column == 0 || p.Message == "" {
			t.Errorf("problem %+v", p)
		}
		got = append(got, place{p.Line, p.Path, p.Nearest})
	}
	want := []place{{3, "scope", "scopes"}, {5, "kind", "Service"}, {8, "origin", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "resources.yaml:3:") {
		t.Errorf("as text: %q", lines)
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	many := func() string {
		var text strings.Builder
		for i := range 12 {
			fmt.Fprintf(&text, "---\nkind: Service\nname: s-%d\n", i)
		}
		return text.String()
	}()
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files(many), Owner: "team"})
	must(t, err)
	body := func(in iamclient.Apply) string {
		text, err := json.Marshal(in)
		must(t, err)
		return string(text)
	}
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nothing":               {``, 415},
		"not JSON":              {`files`, 400},
		"unknown field":         {`{"files":[],"force":true}`, 400},
		"a field twice":         {`{"files":[],"files":[]}`, 400},
		"prune without owner":   {`{"files":[],"prune":true}`, 400},
		"prune above ten":       {body(iamclient.Apply{Files: files("kind: Service\nname: z\n"), Owner: "team", Prune: true}), 409},
		"another owner's":       {body(iamclient.Apply{Files: files("kind: Service\nname: s-1\nscopes: [x]\n"), Owner: "others"}), 409},
		"a broken document":     {body(iamclient.Apply{Files: files("kind: [\n")}), 400},
		"super-admin asserted":  {body(iamclient.Apply{Files: files("kind: Issuer\nname: i\nurl: https://i.example\nsubject: user\nprofile: oidc\naudiences: [a]\nmay_assert: {roles: {root: super-admin}}\n")}), 403},
		"trust before its part": {body(iamclient.Apply{Files: files("kind: Service\nname: z\ntrust: []\n")}), 400},
	} {
		got := r.ask(t, ask{method: "POST", path: "/admin/resources", body: test.body, local: true})
		if got.status != test.status || got.problem.Detail == "" {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.status)
		}
	}
	for name, test := range map[string]struct {
		method, path string
		header       map[string]string
		status       int
	}{
		"unknown kind":        {"GET", "/admin/resources/Thing", nil, 400},
		"unknown object":      {"GET", "/admin/resources/Service/nobody", nil, 404},
		"no name":             {"GET", "/admin/resources/Service/A%20B", nil, 404},
		"bad cursor":          {"GET", "/admin/resources/Service?after=%20", nil, 400},
		"bad limit":           {"GET", "/admin/issuers?limit=0", nil, 400},
		"unknown parameter":   {"GET", "/admin/issuers?x=1", nil, 400},
		"delete, no If-Match": {"DELETE", "/admin/resources/Service/s-1", nil, 428},
		"delete, another":     {"DELETE", "/admin/resources/Service/s-1", map[string]string{"If-Match": `"7"`}, 412},
		"delete, nobody":      {"DELETE", "/admin/route-policies/nobody", map[string]string{"If-Match": "*"}, 404},
	} {
		got := r.ask(t, ask{method: test.method, path: test.path, header: test.header, local: true})
		if got.status != test.status {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.status)
		}
	}
	if list, err := r.client.Objects(t.Context(), "Service", iamclient.ServicePage{}); err != nil || len(list.Items) != 12 {
		t.Errorf("something was written: %d, %v", len(list.Items), err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	states := func() map[string]int {
		t.Helper()
		list, err := r.client.Keys(ctx)
		must(t, err)
		count := make(map[string]int)
		for _, k := range list.Items {
			count[k.Purpose+" "+k.State]++
		}
		return count
	}
	want := map[string]int{}
	for _, purpose := range []string{"token", "audit", "revocation", "policy", "session", "cursor"} {
		want[purpose+" active"], want[purpose+" next"] = 1, 1
	}
	if diff := cmp.Diff(want, states()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	rotated, err := r.client.RotateKeys(ctx, iamclient.RotateKeys{})
	if err != nil || len(rotated.Created) != 1 || rotated.Created[0].State != iamclient.KeyNext || rotated.Created[0].Purpose != "token" {
		t.Fatalf("rotate: %+v, %v", rotated, err)
	}
	r.Clock.Advance(10 * time.Minute)
	if got := states(); got["token active"] != 1 || got["token retired"] != 1 || got["token ended"] != 1 {
		t.Errorf("after it: %v", got)
	}
	dropped, err := r.client.RotateKeys(ctx, iamclient.RotateKeys{Compromised: rotated.Created[0].KID})
	if err != nil || len(dropped.Created) == 0 || dropped.Created[0].State != iamclient.KeyActive {
		t.Errorf("compromised: %+v, %v", dropped, err)
	}
	if again, err := r.client.RewrapKeys(ctx); err != nil || again.Count != 0 {
		t.Errorf("rewrap: %+v, %v", again, err)
	}
	for body, status := range map[string]int{
		`{"purpose":"sealing"}`: 400, `{"compromised":"none"}`: 404, `{"purpose":"token","compromised":"x"}`: 400,
		`{"kid":"x"}`: 400, ``: 415, `[]`: 400,
	} {
		if got := r.ask(t, ask{method: "POST", path: "/admin/keys/rotate", body: body, local: true}); got.status != status {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

// RULES E1: each selector of the wire ends what it names; E4: also here alone.
func TestRevokeMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	must(t, r.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateObject(ctx, store.Object{UID: "uid-r", Kind: "Role", Name: "writer", Spec: []byte("{}"), Revision: 1})
	}))
	for _, in := range []iamclient.Revoke{
		{Session: "ASIAQZ3R5T7B2X4W6Y2A"}, {Session: "ASIAQZ3R5T7B2X4W6Y2B", Local: true},
		{Role: "writer"}, {Role: "writer", Before: r.Clock.Now().Add(-time.Minute)}, {Role: "reader", Local: true},
		{Service: "a", Before: r.Clock.Now().Add(-time.Minute)}, {Service: "a", Before: r.Clock.Now().Add(-time.Minute), Local: true},
		{Issuer: "https://idp.example.com"}, {Issuer: "https://idp.example.com", Subject: "alice", Before: r.Clock.Now().Add(-time.Minute)},
		{All: true}, {Issuer: "https://idp.example.com", Subject: "bob", Local: true}, {Service: "a", Local: true}, {JTI: "token-1", Local: true},
	} {
		done, err := r.client.Revoke(t.Context(), in)
		if err != nil || done.Status != iamclient.Revoked || done.Issuer != in.Issuer || done.Subject != in.Subject || done.All != in.All ||
			done.Role != in.Role || done.Session != in.Session {
			t.Errorf("%+v: %+v, %v", in, done, err)
		}
	}
	list, err := r.Store.Revocations(t.Context(), 0, r.Clock.Now(), 0)
	if err != nil || len(list) != 13 {
		t.Errorf("%d revocations, %v", len(list), err)
	}
}
