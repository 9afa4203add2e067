package iam_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

func (r *rig) openPolicies(t *testing.T, text string, purpose keys.Purpose) (iamclient.RoutePolicies, error) {
	t.Helper()
	var set jose.JSONWebKeySet
	body, _ := r.Keys.KeySet(purpose)
	must(t, json.Unmarshal(body, &set))
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA})
	must(t, err)
	if typ := signed.Signatures[0].Header.ExtraHeaders["typ"]; typ != iamclient.RoutePoliciesTyp {
		t.Errorf("typ %v", typ)
	}
	payload, err := signed.Verify(set)
	if err != nil {
		return iamclient.RoutePolicies{}, err
	}
	var doc iamclient.RoutePolicies
	must(t, json.Unmarshal(payload, &doc))
	return doc, nil
}

func TestReceiverFetchesItsRoutePolicies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files(twoDocuments)})
	must(t, err)
	const path = "/system/route-policies/parse-service"
	bearer := r.token(t, "parse-service", "iam-service", "")
	got := r.ask(t, ask{method: "GET", path: path, bearer: bearer})
	if got.status != 200 || got.header.Get("Content-Type") != iamclient.RoutePoliciesType || got.header.Get("ETag") == "" {
		t.Fatalf("%d %s %v", got.status, got.body, got.header)
	}
	doc, err := r.openPolicies(t, got.body, keys.Policy)
	if err != nil || doc.Issuer != issuer || doc.Audience != "parse-service" || doc.IssuedAt != r.Clock.Now().Unix() || len(doc.Policies) != 1 {
		t.Fatalf("%+v, %v", doc, err)
	}
	var policy struct{ Kind, Name, Service string }
	if err := json.Unmarshal(doc.Policies[0], &policy); err != nil || policy.Kind != "RoutePolicy" || policy.Name != "parse-service-defaults" || policy.Service != "parse-service" {
		t.Errorf("%s: %v", doc.Policies[0], err)
	}
	for _, other := range []keys.Purpose{keys.Token, keys.Revocation, keys.Audit} {
		if _, err := r.openPolicies(t, got.body, other); err == nil {
			t.Errorf("a key of purpose %s signs policies", other)
		}
	}
	etag := got.header.Get("ETag")
	same := r.ask(t, ask{method: "GET", path: path, bearer: bearer, header: map[string]string{"If-None-Match": etag}})
	if same.status != 304 || same.body != "" {
		t.Errorf("nothing new: %d", same.status)
	}
	must(t, r.client.DeleteObject(t.Context(), "RoutePolicy", "parse-service-defaults", iamclient.AnyRevision))
	r.api.PoliciesChanged() // as the server calls it
	got = r.ask(t, ask{method: "GET", path: path, bearer: bearer, header: map[string]string{"If-None-Match": etag}})
	if got.status != 200 {
		t.Fatalf("after a change: %d", got.status)
	}
	if doc, err = r.openPolicies(t, got.body, keys.Policy); err != nil || len(doc.Policies) != 0 || doc.Policies == nil {
		t.Errorf("after a change: %+v, %v", doc, err)
	}
}

// RULES A6: a tenant's policy names a service that does not exist yet. When another tenant
// or the platform makes one of that name, the policy decides nothing there.
func TestRuleA6PolicyOfAnotherTenantDecidesNothing(t *testing.T) {
	t.Parallel()
	const rules = "rules:\n  - name: all\n    from: {services: [caller]}\n    to: {methods: [GET], paths: [\"/**\"]}\n"
	for name, test := range map[string]struct {
		tenant string
		shared []string
		want   []string
	}{
		"its own tenant":  {"tenant: acme\n", nil, []string{"acme-policy", "platform-policy"}},
		"another tenant":  {"tenant: other\n", nil, []string{"platform-policy"}},
		"shared with it":  {"tenant: other\n", []string{"acme"}, []string{"acme-policy", "platform-policy"}},
		"of the platform": {"", nil, []string{"platform-policy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files("kind: RoutePolicy\nname: acme-policy\ntenant: acme\nservice: late\n" + rules +
				"---\nkind: RoutePolicy\nname: platform-policy\nservice: late\n" + rules)})
			must(t, err)
			_, err = r.client.Apply(t.Context(), iamclient.Apply{Files: files("kind: Service\nname: late\n" + test.tenant)})
			must(t, err)
			must(t, r.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				s, err := tx.Service(ctx, "late")
				if err != nil {
					return err
				}
				s.SharedWith, s.Revision = test.shared, s.Revision+1
				return tx.UpdateService(ctx, s)
			}))
			r.Registry.Forget("late")
			got := r.ask(t, ask{method: "GET", path: "/system/route-policies/late", bearer: r.token(t, "late", "iam-service", "")})
			if got.status != 200 {
				t.Fatal(got.status, got.body)
			}
			doc, err := r.openPolicies(t, got.body, keys.Policy)
			must(t, err)
			var names []string
			for _, text := range doc.Policies {
				var policy struct{ Name string }
				must(t, json.Unmarshal(text, &policy))
				names = append(names, policy.Name)
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("got %v, want %v", names, test.want)
			}
		})
	}
}

func TestRoutePoliciesAreForTheirReceiverAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files(twoDocuments)})
	must(t, err)
	r.create(t, "other")
	for name, test := range map[string]struct {
		ask    ask
		status int
		reason countersign.Reason
	}{
		"nobody":           {ask{}, 401, countersign.ReasonTokenMissing},
		"garbage":          {ask{bearer: "garbage"}, 401, countersign.ReasonTokenMalformed},
		"another audience": {ask{bearer: r.token(t, "parse-service", "parse-service", "")}, 401, countersign.ReasonAudMismatch},
		"another service":  {ask{bearer: r.token(t, "other", "iam-service", "s2s:internal audit:write")}, 403, countersign.ReasonServiceNotAllowed},
		"local":            {ask{local: true}, 403, countersign.ReasonServiceRequired},
		"a query":          {ask{path: "?x=1", bearer: r.token(t, "parse-service", "iam-service", "")}, 400, ""},
	} {
		test.ask.method, test.ask.path = "GET", "/system/route-policies/parse-service"+test.ask.path
		got := r.ask(t, test.ask)
		if got.status != test.status {
			t.Errorf("%s: %d %s, want %d", name, got.status, got.body, test.status)
		}
		if test.reason == "" {
			continue
		}
		found := false
		for _, e := range r.Events(t, audit.Query{Action: "route-policy.fetch", Decision: audit.Refused}) {
			found = found || e.Reason == string(test.reason)
		}
		if !found {
			t.Errorf("%s: no event says %s", name, test.reason)
		}
	}
}
