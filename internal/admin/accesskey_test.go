package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/store"
)

const keyWorld = `kind: Service
name: document-service
tenant: acme
---
kind: Service
name: other-service
tenant: other
---
kind: Role
name: writer
tenant: acme
trust:
  - service: {names: [someone-else]}
  - service: {names: ["document-*", "other-*"]}
permissions: [{bucket: documents, prefixes: ["resumes/{tenant}/{service}/"], actions: [get_object]}]
---
kind: Role
name: reader
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: [""], actions: [get_object]}]
---
kind: Role
name: conditional
trust: [{service: {names: [document-service], condition: "claims.scope == 'x'"}}]
---
kind: Role
name: of-claims
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: ["{claims.dept}/"], actions: [get_object]}]
---
kind: Role
name: of-subjects
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: ["{subject}/"], actions: [get_object]}]
---
kind: Role
name: brokering
trust: [{service: {names: [document-service]}}]
permissions: [{bucket: documents, prefixes: [""], actions: [get_object]}]
broker: {aws: {role_arn: "arn:aws:iam::123456789012:role/R", region: us-east-1}}
---
kind: Role
name: by-github
trust: [{github: {repository: acme/docs, ref: refs/heads/main}}]
`

func newKeyRig(t *testing.T, wraps ...wrap) *rig {
	t.Helper()
	r := newRig(t, wraps...)
	r.apply(t, request(gitHub+"---\n"+keyWorld))
	return r
}

func (r *rig) accessKey(t *testing.T, name, service, role string) admin.AccessKeyCredentials {
	t.Helper()
	_, c, err := r.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: name, Service: service, Role: role})
	must(t, err)
	return c
}

// opens reports whether the key would be taken by the gateway now.
func (r *rig) opens(t *testing.T, c admin.AccessKeyCredentials) bool {
	t.Helper()
	k, err := r.Registry.AccessKey(t.Context(), c.AccessKeyID)
	if errors.Is(err, countersign.NotFound) {
		return false
	}
	must(t, err)
	if k.Secret.Reveal() != c.SecretAccessKey.Reveal() {
		t.Fatal("another secret")
	}
	revoked, err := r.Registry.AccessKeyRevoked(t.Context(), k)
	must(t, err)
	return !revoked
}

// TestRuleF7AccessKeyIsMadeForOneRoleAndEnds: it is shown once, has an end, and is told of.
func TestRuleF7AccessKeyIsMadeForOneRoleAndEnds(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	detail, c, err := r.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "uploader", Service: "document-service", Role: "writer"})
	must(t, err)
	if end := r.Clock.Now().Add(90 * 24 * time.Hour); !c.ExpiresAt.Equal(end) || detail.State != admin.AccessKeyLive || detail.Tenant != "acme" || detail.Revision != 1 {
		t.Errorf("%+v, until %s", detail, c.ExpiresAt)
	}
	if !r.opens(t, c) {
		t.Error("it opens nothing")
	}
	k, err := r.Registry.AccessKey(t.Context(), c.AccessKeyID)
	must(t, err)
	if k.Service != "document-service" || k.Role != "writer" || k.Tenant != "acme" || k.Name != "uploader" {
		t.Errorf("%+v", k)
	}
	again, err := r.Object(t.Context(), "AccessKey", "uploader")
	must(t, err)
	list, err := r.Objects(t.Context(), "AccessKey", store.Page{})
	must(t, err)
	events := r.Events(t, audit.Query{Action: "access-key.create", Decision: audit.Changed})
	if len(list) != 1 || len(events) != 1 || events[0].Target != "uploader" || events[0].Session != c.AccessKeyID || events[0].Role != "writer" {
		t.Errorf("%+v, %+v", list, events)
	}
	for _, text := range []string{string(again.Document), string(list[0].Document), fmt.Sprintf("%+v %+v", again, list), fmt.Sprintf("%+v", events), fmt.Sprintf("%+v", c)} {
		if strings.Contains(text, c.SecretAccessKey.Reveal()) {
			t.Errorf("the secret is shown again: %s", text)
		}
	}
	r.Clock.Advance(90*24*time.Hour - time.Second)
	if !r.opens(t, c) {
		t.Error("it ended early")
	}
	r.Clock.Advance(time.Second)
	if o, err := r.Object(t.Context(), "AccessKey", "uploader"); err != nil || o.State != admin.AccessKeyExpired || r.opens(t, c) {
		t.Errorf("after its end: %+v, %v", o.State, err)
	}
}

func TestRuleF7AccessKeyIsRefused(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	r.accessKey(t, "taken", "document-service", "writer")
	if _, err := r.SetServiceDisabled(t.Context(), super(), "other-service", admin.AnyRevision, true); err != nil {
		t.Fatal(err)
	}
	spec := func(name, service, role string, lifetime time.Duration) admin.AccessKeySpec {
		return admin.AccessKeySpec{Name: name, Service: service, Role: role, Lifetime: lifetime}
	}
	for name, test := range map[string]struct {
		spec   admin.AccessKeySpec
		code   countersign.Code
		reason countersign.Reason
	}{
		"no name":              {spec("", "document-service", "writer", 0), countersign.Invalid, countersign.ReasonNameInvalid},
		"bad name":             {spec("A b", "document-service", "writer", 0), countersign.Invalid, countersign.ReasonNameInvalid},
		"reserved name":        {spec("sts", "document-service", "writer", 0), countersign.Invalid, countersign.ReasonNameReserved},
		"name taken":           {spec("taken", "document-service", "writer", 0), countersign.Conflict, countersign.ReasonNameTaken},
		"short":                {spec("k", "document-service", "writer", time.Hour-time.Second), countersign.Invalid, countersign.ReasonParameterInvalid},
		"long":                 {spec("k", "document-service", "writer", 367*24*time.Hour), countersign.Invalid, countersign.ReasonParameterInvalid},
		"for ever":             {spec("k", "document-service", "writer", -1), countersign.Invalid, countersign.ReasonParameterInvalid},
		"uneven":               {spec("k", "document-service", "writer", time.Hour+time.Millisecond), countersign.Invalid, countersign.ReasonParameterInvalid},
		"no service":           {spec("k", "nobody", "writer", 0), countersign.NotFound, countersign.ReasonObjectUnknown},
		"bad service":          {spec("k", "../x", "writer", 0), countersign.NotFound, countersign.ReasonObjectUnknown},
		"disabled service":     {spec("k", "other-service", "writer", 0), countersign.Denied, countersign.ReasonClientDisabled},
		"no role":              {spec("k", "document-service", "nothing", 0), countersign.Denied, countersign.ReasonTrustNotMatched},
		"bad role":             {spec("k", "document-service", "../x", 0), countersign.Denied, countersign.ReasonTrustNotMatched},
		"role of others":       {spec("k", "document-service", "by-github", 0), countersign.Denied, countersign.ReasonTrustNotMatched},
		"trust on a condition": {spec("k", "document-service", "conditional", 0), countersign.Denied, countersign.ReasonTrustNotMatched},
		"role that brokers":    {spec("k", "document-service", "brokering", 0), countersign.Denied, countersign.ReasonTrustNotMatched},
		"role of subjects":     {spec("k", "document-service", "of-subjects", 0), countersign.Denied, countersign.ReasonTemplateValue},
		"role of claims":       {spec("k", "document-service", "of-claims", 0), countersign.Denied, countersign.ReasonTemplateValue},
	} {
		_, c, err := r.CreateAccessKey(t.Context(), super(), test.spec)
		if !errors.Is(err, test.code) || countersign.ReasonOf(err) != test.reason || !c.SecretAccessKey.IsZero() {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if list, err := r.Objects(t.Context(), "AccessKey", store.Page{}); err != nil || len(list) != 1 {
		t.Errorf("%d keys, %v", len(list), err)
	}
	if refused := r.Events(t, audit.Query{Action: "access-key.create", Decision: audit.Refused}); len(refused) != 18 {
		t.Errorf("%d refusals in the log", len(refused))
	}
}

// TestRuleA6AccessKeysOfTenants: who administers a tenant makes keys for its services alone.
func TestRuleA6AccessKeysOfTenants(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	spec := admin.AccessKeySpec{Name: "k", Service: "document-service", Role: "writer"}
	of := func(tenant string, permissions ...string) admin.Actor {
		return admin.Actor{ID: "user:i|u", Rights: policy.NewRights(map[string][]string{tenant: permissions})}
	}
	write := policy.Write("access-keys")
	for name, test := range map[string]struct {
		actor  admin.Actor
		reason countersign.Reason
	}{
		"nobody":          {admin.Actor{ID: "user:i|u"}, countersign.ReasonNotAdministrator},
		"another tenant":  {of("other", write), countersign.ReasonObjectUnknown},
		"writes services": {of("acme", policy.Write("services"), policy.Read("services")), countersign.ReasonNotAdministrator},
		"reads them only": {of("acme", policy.Read("access-keys")), countersign.ReasonNotAdministrator},
		"applies":         {admin.Actor{ID: "service:x", Rights: policy.ApplyRights("acme"), Owner: "x"}, countersign.ReasonNotAdministrator},
	} {
		if _, _, err := r.CreateAccessKey(t.Context(), test.actor, spec); countersign.ReasonOf(err) != test.reason {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, c, err := r.CreateAccessKey(t.Context(), of("acme", write), spec)
	must(t, err)
	if err := r.DeleteObject(t.Context(), of("other", write), "AccessKey", "k", admin.AnyRevision); !errors.Is(err, countersign.NotFound) {
		t.Errorf("another tenant deletes it: %v", err)
	}
	// The role is acme's, and the service of another tenant is not shared with it.
	_, _, err = r.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "x", Service: "other-service", Role: "writer"})
	wantRefused(t, err, countersign.Denied, countersign.ReasonTrustNotMatched)
	must(t, r.DeleteObject(t.Context(), of("acme", write), "AccessKey", "k", 1))
	if r.opens(t, c) {
		t.Error("a deleted key opens")
	}
	if events := r.Events(t, audit.Query{Action: "access-key.delete", Decision: audit.Changed}); len(events) != 1 || events[0].Session != c.AccessKeyID {
		t.Errorf("%+v", events)
	}
}

func TestAccessKeysOfAServiceAreBounded(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	first := r.accessKey(t, "k0", "document-service", "writer")
	for i := 1; i < admin.MaxAccessKeys; i++ {
		r.accessKey(t, fmt.Sprintf("k%d", i), "document-service", "reader")
	}
	_, _, err := r.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "more", Service: "document-service", Role: "writer"})
	wantRefused(t, err, countersign.Conflict, countersign.ReasonAccessKeyLimit)
	must(t, r.Revoke(t.Context(), super(), admin.RevokeSelector{Session: first.AccessKeyID}))
	r.accessKey(t, "more", "document-service", "writer")
	// What ended long ago is forgotten at the next one, and its name is free.
	r.Clock.Advance(121 * 24 * time.Hour)
	r.accessKey(t, "k0", "document-service", "writer")
	if list, err := r.Objects(t.Context(), "AccessKey", store.Page{}); err != nil || len(list) != 1 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

// A document says what is there, and neither makes nor changes a key.
func TestAccessKeyDocuments(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	fresh := "kind: AccessKey\nname: uploader\ntenant: acme\nservice: document-service\nrole: writer\n"
	refused := func(in admin.ApplyRequest, says string) {
		t.Helper()
		_, err := r.Apply(t.Context(), super(), in)
		if !errors.Is(err, countersign.Invalid) || !strings.Contains(countersign.MessageOf(err), says) {
			t.Errorf("got %v", err)
		}
	}
	refused(request(fresh), "countersign access-key create uploader --service document-service --role writer")
	in := request(fresh)
	in.FromConfig = true
	refused(in, "countersign access-key create")
	c := r.accessKey(t, "uploader", "document-service", "writer")
	wantActions(t, r.apply(t, request(fresh)), "AccessKey/uploader unchanged@1")
	o, err := r.Object(t.Context(), "AccessKey", "uploader")
	must(t, err)
	wantActions(t, r.apply(t, request(string(o.Document))), "AccessKey/uploader unchanged@1")
	for _, other := range []string{
		strings.Replace(fresh, "writer", "reader", 1), strings.Replace(fresh, "document-service", "other-service", 1), strings.Replace(fresh, "tenant: acme\n", "", 1),
		fresh + "access_key_id: AKIAABCDEFGHIJ234567\n", fresh + "expires_at: 2030-01-01T00:00:00Z\n",
	} {
		refused(request(other), "does not change")
	}
	// It is nobody's in a pipeline: pruning leaves it.
	owned := request("kind: Tenant\nname: acme\n")
	owned.Owner, owned.Prune = "docs-team", true
	r.apply(t, owned)
	if !r.opens(t, c) {
		t.Error("it was pruned")
	}
}

// Under the same master key nothing is sealed anew, and nothing is lost.
func TestAccessKeysSurviveRewrap(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	c := r.accessKey(t, "uploader", "document-service", "writer")
	if _, err := r.RewrapKeys(t.Context(), super()); err != nil {
		t.Fatal(err)
	}
	if !r.opens(t, c) {
		t.Error("it opens nothing")
	}
}
