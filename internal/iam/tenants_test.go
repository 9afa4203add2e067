package iam_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
)

func TestTenantsByTheirAdministrators(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	made := o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"Gamma"}`, "If-None-Match", "*").want(t, 201, `"id":"gamma"`)
	if made.header.Get("ETag") != `"1"` || made.header.Get("Location") != "/api/iam/v1/tenants/gamma" {
		t.Errorf("headers %v", made.header)
	}
	o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"Gamma"}`, "If-None-Match", "*").want(t, 412)
	o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"Gamma"}`).want(t, 428)
	// Idempotent: the same again changes nothing, and its revision stays.
	if again := o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"Gamma"}`, "If-Match", `"1"`).want(t, 200); again.header.Get("ETag") != `"1"` {
		t.Error("writing the same made a revision")
	}
	o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"G"}`, "If-Match", `"1"`).want(t, 200, `"revision":2`)
	o.as(t, o.boss, "PUT", "/tenants/gamma", `{"display_name":"H"}`, "If-Match", `"1"`).want(t, 412)
	o.as(t, o.boss, "GET", "/tenants", "").want(t, 200, `"acme"`, `"beta"`, `"gamma"`)

	o.as(t, o.ann, "PUT", "/tenants/acme", `{"display_name":"Acme Inc."}`, "If-Match", `"1"`).want(t, 200, "Acme Inc.")
	o.as(t, o.ann, "GET", "/tenants/acme", "").want(t, 200, "Acme Inc.")
	if list := o.as(t, o.ann, "GET", "/tenants", "").want(t, 200, `"acme"`); list.status == 200 && len(list.body) > 400 {
		t.Errorf("she sees others': %s", list.body)
	}
	events := o.Events(t, audit.Query{Action: "tenant.change", Decision: audit.Changed, Target: "acme"})
	if len(events) != 1 || events[0].User != "ann" || events[0].UserIssuer != o.people.url || events[0].Actor != "user:https://people.example|ann" {
		t.Errorf("events %+v", events)
	}
	// Nobody makes or ends tenants but super-admins.
	o.as(t, o.ann, "PUT", "/tenants/delta", `{"display_name":"D"}`, "If-None-Match", "*").want(t, 404)
	o.as(t, o.ann, "DELETE", "/tenants/acme", "", "If-Match", "*").want(t, 403)
	o.as(t, o.boss, "DELETE", "/tenants/acme", "", "If-Match", "*").want(t, 409, string(countersign.ReasonInUse)) // kim is in it
	o.as(t, o.boss, "DELETE", "/tenants/gamma", "", "If-Match", `"1"`).want(t, 412)
	o.as(t, o.boss, "DELETE", "/tenants/gamma", "", "If-Match", `"2"`).want(t, 204)
	o.as(t, o.boss, "GET", "/tenants/gamma", "").want(t, 404)
}

// A tenant's document belongs to no tenant, and yet its administrators find it in the list of
// the kind, as by its name: countersign get tenant.
func TestTenantsAsAKindAreListed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true})
	none := func(list reply, name string) {
		t.Helper()
		if strings.Contains(list.body, name) {
			t.Errorf("the list has %s: %s", name, list.body)
		}
	}
	const path = "/admin/resources/Tenant"
	none(o.as(t, o.ann, "GET", path, "").want(t, 200, `"name":"acme"`), `"beta"`)
	none(o.as(t, o.ann, "GET", path+"?after=acme", "").want(t, 200, `"items":[]`), `"acme"`)
	none(o.as(t, o.boss, "GET", path, "", "X-Active-Tenant-ID", "beta").want(t, 200, `"name":"beta"`), `"acme"`)
	o.as(t, o.boss, "GET", path, "").want(t, 200, `"name":"acme"`, `"name":"beta"`)
}

func TestTenantsRefuse(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{})
	for name, test := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"unknown field":       {"/tenants/x", `{"display_name":"x","owner":"config:resources"}`, []string{"If-None-Match", "*"}, 400},
		"uid":                 {"/tenants/x", `{"display_name":"x","uid":"1"}`, []string{"If-None-Match", "*"}, 400},
		"twice":               {"/tenants/x", `{"display_name":"x","Display_Name":"y"}`, []string{"If-None-Match", "*"}, 400},
		"no body":             {"/tenants/x", ``, []string{"If-None-Match", "*"}, 415},
		"an array":            {"/tenants/x", `[]`, []string{"If-None-Match", "*"}, 400},
		"a capital":           {"/tenants/X", `{"display_name":"x"}`, []string{"If-None-Match", "*"}, 400},
		"reserved":            {"/tenants/sts", `{"display_name":"x"}`, []string{"If-None-Match", "*"}, 400},
		"control":             {"/tenants/x", `{"display_name":"a\u001bb"}`, []string{"If-None-Match", "*"}, 400},
		"both":                {"/tenants/x", `{"display_name":"x"}`, []string{"If-None-Match", "*", "If-Match", "*"}, 400},
		"an etag":             {"/tenants/x", `{"display_name":"x"}`, []string{"If-None-Match", `"1"`}, 400},
		"there is none":       {"/tenants/x", `{"display_name":"x"}`, []string{"If-Match", `"1"`}, 404},
		"a weak etag":         {"/tenants/acme", `{"display_name":"x"}`, []string{"If-Match", `W/"1"`}, 400},
		"two etags":           {"/tenants/acme", `{"display_name":"x"}`, []string{"If-Match", `"1", "2"`}, 400},
		"a query":             {"/tenants/acme?force=1", `{"display_name":"x"}`, []string{"If-Match", `"1"`}, 400},
		"not UTF-8":           {"/tenants/acme", "{\"display_name\":\"\xff\"}", []string{"If-Match", `"1"`}, 400},
		"display name's kind": {"/tenants/acme", `{"display_name":{}}`, []string{"If-Match", `"1"`}, 400},
	} {
		if got := o.as(t, o.boss, "PUT", test.path, test.body, test.header...); got.status != test.status {
			t.Errorf("%s: %d, want %d: %s", name, got.status, test.status, got.body)
		}
	}
	o.as(t, o.boss, "GET", "/tenants/acme", "").want(t, 200, `"revision":1`)
}
