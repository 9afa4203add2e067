package iam

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/web"
)

// OpenAPIPath is where the description of the API is served, to everybody.
const OpenAPIPath = "/api/openapi.json"

// described is what an operation takes and gives, beside what its path says.
type described struct {
	summary string
	// who comes in: user, platform, resource, machine; see family.go.
	who string
	// scope is what a machine needs.
	scope string
	// in and out are values of the types of the bodies; nil = none. Status is that of a
	// success; also are others.
	in, out any
	status  int
	also    []int
	// match: If-Match is required; make: If-None-Match: * may stand instead.
	match, make bool
	query       []parameter
	// media is the type of the answer, patch that of the body; "" = application/json.
	media, patch string
}

// parameter is a query parameter.
type parameter struct{ name, kind, text string }

var (
	pageParameters = []parameter{{"page_size", "integer", "1 to 500; 100 by default"}, {"page_token", "string", "next_page_token of the page before"}}
	nameParameters = []parameter{{"limit", "integer", "1 to 500; 100 by default"}, {"after", "string", "next of the page before"}}
)

// operations describes every route; a test holds it against [API.Routes].
var operations = map[string]described{
	"GET /me":         {summary: "Who calls, and what they may do", who: "user", out: iamclient.Me{}},
	"GET /me/tenants": {summary: "The tenants of who calls", who: "user", out: iamclient.MembershipList{}},

	"GET /tenants":         {summary: "List tenants", who: "user", out: iamclient.TenantList{}, query: pageParameters},
	"GET /tenants/{id}":    {summary: "One tenant", who: "user", out: iamclient.Tenant{}},
	"PUT /tenants/{id}":    {summary: "Make or change a tenant", who: "user", in: iamclient.PutTenant{}, out: iamclient.Tenant{}, also: []int{201}, match: true, make: true},
	"DELETE /tenants/{id}": {summary: "Delete a tenant to which nothing belongs", who: "user", status: 204, match: true},

	"GET /admin/users":                      {summary: "List the users of the tenant", who: "user", out: iamclient.UserList{}, query: pageParameters},
	"POST /admin/users":                     {summary: "Make somebody a member of the tenant", who: "user", in: iamclient.AddUser{}, out: iamclient.User{}, status: 201, also: []int{200}},
	"GET /admin/users/{id}":                 {summary: "One user in the tenant", who: "user", out: iamclient.User{}},
	"PATCH /admin/users/{id}":               {summary: "Change a user in the tenant", who: "user", in: patchOfUser{}, out: iamclient.User{}, match: true, patch: mergePatch},
	"DELETE /admin/users/{id}":              {summary: "Forget a user in the tenant", who: "user", status: 204, match: true},
	"PUT /admin/users/{id}/roles/{role}":    {summary: "Give a role", who: "user", out: iamclient.User{}, match: true},
	"DELETE /admin/users/{id}/roles/{role}": {summary: "Take a role away", who: "user", out: iamclient.User{}, match: true},

	"GET /admin/sessions":     {summary: "Sessions that may be alive", who: "user", out: iamclient.SessionList{}, query: pageParameters},
	"POST /admin/revocations": {summary: "End tokens and sessions", who: "user", in: iamclient.Revoke{}, out: iamclient.Revocation{}, status: 201, also: []int{200, 202}},

	"POST /admin/services":                {summary: "Register a service", who: "resource", in: iamclient.CreateService{}, out: iamclient.Credentials{}, status: 201},
	"GET /admin/services":                 {summary: "List services", who: "resource", out: iamclient.ServiceList{}, query: nameParameters},
	"GET /admin/services/{name}":          {summary: "One service", who: "resource", out: iamclient.Service{}},
	"DELETE /admin/services/{name}":       {summary: "Delete a service", who: "resource", status: 204, match: true},
	"POST /admin/services/{name}/rotate":  {summary: "Make a new secret", who: "resource", in: iamclient.RotateSecret{}, out: iamclient.Credentials{}, match: true},
	"POST /admin/services/{name}/disable": {summary: "Disable a service", who: "user", out: iamclient.Service{}, match: true},
	"POST /admin/services/{name}/enable":  {summary: "Enable a service", who: "user", out: iamclient.Service{}, match: true},

	"POST /admin/access-keys": {summary: "Make a long-lived key of a service for the S3 gateway", who: "user", in: iamclient.CreateAccessKey{}, out: iamclient.AccessKeyCredentials{}, status: 201},

	"POST /admin/resources":                 {summary: "Apply documents", who: "resource", in: iamclient.Apply{}, out: iamclient.AppliedList{}},
	"GET /admin/resources/{kind}":           {summary: "List objects of a kind", who: "resource", out: iamclient.ObjectList{}, query: nameParameters},
	"GET /admin/resources/{kind}/{name}":    {summary: "One object", who: "resource", out: iamclient.Object{}},
	"DELETE /admin/resources/{kind}/{name}": {summary: "Delete an object", who: "resource", status: 204, match: true},

	"GET /admin/keys":         {summary: "List signing keys", who: "platform", out: iamclient.KeyList{}},
	"POST /admin/keys/rotate": {summary: "Rotate signing keys", who: "platform", in: iamclient.RotateKeys{}, out: iamclient.RotatedKeys{}},
	"POST /admin/keys/rewrap": {summary: "Seal everything under the master key of now", who: "platform", in: struct{}{}, out: iamclient.RewrappedKeys{}},
	"GET /admin/audit/events": {summary: "Query the audit log", who: "platform", out: iamclient.AuditPage{}, query: []parameter{
		{"since", "string", "RFC 3339"}, {"until", "string", "RFC 3339"}, {"service", "string", ""}, {"user", "string", ""}, {"target", "string", ""}, {"action", "string", ""},
		{"reason", "string", ""}, {"decision", "string", ""}, {"id", "string", ""}, {"after", "string", ""}, {"limit", "integer", "1 to 1000"}, {"newest", "boolean", ""}, {"wait", "string", "at most 25s"},
	}},
	"POST /admin/audit/verify":  {summary: "Verify the audit chains", who: "platform", out: iamclient.AuditReport{}},
	"POST /admin/login-codes":   {summary: "Make a code for one login; on the server's own machine", who: "platform", out: iamclient.LoginCode{}, status: 201},
	"GET /admin/logins":         {summary: "Logins of administrators at other machines", who: "platform", out: iamclient.LoginList{}},
	"DELETE /admin/logins/{id}": {summary: "End a login", who: "platform", status: 204},
	"GET /login":                {summary: "Whose users may log in from a command line", who: "everybody", out: iamclient.WaysToLogin{}, query: []parameter{{"issuer", "string", "the name of one, also of a tenant's"}}},
	"POST /login":               {summary: "Trade a code for a login", who: "public", in: iamclient.Login{}, out: iamclient.LoggedIn{}, status: 201},
	"GET /admin/backup":         {summary: "A backup of the database", who: "platform", media: "application/gzip"},

	"POST /system/users/query":             {summary: "Look people up in the directories", who: "machine", scope: "s2s:internal", in: iamclient.QueryUsers{}, out: iamclient.QueriedUsers{}},
	"POST /system/enrich":                  {summary: "What is true of a user's token", who: "machine", scope: "s2s:internal", in: iamclient.Enrich{}, out: iamclient.Enriched{}},
	"POST /system/audit/events":            {summary: "Report decisions of a receiver", who: "machine", scope: scopeAuditWrite, in: iamclient.Report{}, out: iamclient.ReportAccepted{}, status: 202},
	"GET /system/route-policies/{service}": {summary: "The route policies of the service that asks", who: "machine", media: iamclient.RoutePoliciesType, also: []int{304}},
}

// patchOfUser describes what PATCH of a user may say.
type patchOfUser struct {
	Disabled    *bool   `json:"disabled,omitempty"`
	Username    *string `json:"username,omitempty"`
	Email       *string `json:"email,omitempty"`
	DisplayName *string `json:"display_name,omitempty"`
}

// describe finds the description of a route; those of the collections are of one kind.
func describe(route string) (described, bool) {
	if d, ok := operations[route]; ok {
		return d, true
	}
	method, path, _ := strings.Cut(route, " ")
	collection, name, _ := strings.Cut(strings.TrimPrefix(path, "/admin/"), "/")
	if _, ok := collections[collection]; !ok || name != "" && name != "{name}" {
		return described{}, false
	}
	switch {
	case method == http.MethodGet && name == "":
		return described{summary: "List " + collection, who: "resource", out: iamclient.ObjectList{}, query: nameParameters}, true
	case method == http.MethodGet:
		return described{summary: "One of " + collection, who: "resource", out: iamclient.Object{}}, true
	case method == http.MethodDelete:
		return described{summary: "Delete one of " + collection, who: "resource", status: http.StatusNoContent, match: true}, true
	}
	return described{}, false
}

// openAPI writes the description of the routes that are served.
//
// Source: OpenAPI Specification 3.1.0.
func (a *API) openAPI(routes []string) ([]byte, error) {
	s := &schemas{made: map[string]any{}}
	s.of(iamclient.Problem{})
	paths := map[string]any{}
	for _, route := range routes {
		method, path, _ := strings.Cut(route, " ")
		d, _ := describe(route)
		at, ok := paths[iamclient.BasePath+path].(map[string]any)
		if !ok {
			at = map[string]any{}
			paths[iamclient.BasePath+path] = at
		}
		at[strings.ToLower(method)] = d.operation(method, path, s)
	}
	document, err := json.Marshal(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "Countersign IAM API", "version": "v1", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Administration by users, and what services ask for. Errors are RFC 9457 problems."},
		"servers": []any{map[string]any{"url": a.issuer}},
		"paths":   paths,
		"components": map[string]any{
			"schemas": s.made,
			"securitySchemes": map[string]any{
				"user":    bearerScheme("A user's token, of an Issuer document of kind user"),
				"service": bearerScheme("A service token of ours with the audience iam-service"),
				"code":    map[string]any{"type": "apiKey", "in": "header", "name": "Authorization", "description": iamclient.CodeScheme + " and a code of countersign login-code"},
				"actor": map[string]any{"type": "apiKey", "in": "header", "name": "Service-Authorization",
					"description": "Bearer and the token of the service that calls for the user"},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the description of the API: %w", err)
	}
	return document, nil
}

func bearerScheme(text string) map[string]any {
	return map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": text}
}

func (d described) operation(method, path string, s *schemas) map[string]any {
	id := strings.NewReplacer("/", "_", "{", "", "}", "", "-", "_").Replace(strings.ToLower(method) + path)
	op := map[string]any{"operationId": id, "summary": d.summary, "tags": []string{d.who}, "security": d.security(), "responses": d.responses(s)}
	if parameters := d.parameters(path); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if d.in != nil {
		media := "application/json"
		if d.patch != "" {
			media = d.patch
		}
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{media: map[string]any{"schema": s.of(d.in)}}}
	}
	return op
}

func (d described) security() []any {
	none := []string{}
	user := []any{map[string]any{"user": none}, map[string]any{"user": none, "actor": none}}
	switch d.who {
	case "everybody":
		return []any{}
	case "public":
		return []any{map[string]any{"code": none}}
	case "machine":
		return []any{map[string]any{"service": []string{}}}
	case "resource":
		return append(user, map[string]any{"service": none})
	}
	return user
}

func (d described) parameters(path string) []any {
	var all []any
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			all = append(all, map[string]any{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, p := range d.query {
		one := map[string]any{"name": p.name, "in": "query", "schema": map[string]any{"type": p.kind}}
		if p.text != "" {
			one["description"] = p.text
		}
		all = append(all, one)
	}
	header := func(name, text string, required bool) {
		all = append(all, map[string]any{"name": name, "in": "header", "required": required, "description": text, "schema": map[string]any{"type": "string"}})
	}
	if d.match {
		header("If-Match", `the ETag of what is changed, or "*" for whatever it is`, !d.make)
	}
	if d.make {
		header("If-None-Match", `"*": only if there is none`, false)
	}
	if d.who == "user" || d.who == "resource" {
		header("X-Active-Tenant-ID", "the tenant that is meant; it narrows what the caller may do to that one", false)
	}
	return all
}

func (d described) responses(s *schemas) map[string]any {
	success := map[string]any{"description": "done"}
	switch {
	case d.out != nil:
		success["content"] = map[string]any{"application/json": map[string]any{"schema": s.of(d.out)}}
	case d.media != "":
		success["content"] = map[string]any{d.media: map[string]any{"schema": map[string]any{"type": "string"}}}
	}
	all := map[string]any{"default": map[string]any{
		"description": "a problem", "content": map[string]any{iamclient.ProblemType: map[string]any{"schema": s.of(iamclient.Problem{})}},
	}}
	status := d.status
	if status == 0 {
		status = http.StatusOK
	}
	all[strconv.Itoa(status)] = success
	for _, other := range d.also {
		all[strconv.Itoa(other)] = success
	}
	return all
}

// describeAPI is GET /api/openapi.json, for everybody.
//
// Source: DESIGN §8.
func (a *API) describeAPI(routes []string) web.Handler {
	document := sync.OnceValues(func() ([]byte, error) { return a.openAPI(routes) })
	return func(w http.ResponseWriter, _ *http.Request) error {
		text, err := document()
		if err != nil {
			return err
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "public, max-age=300")
		header.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(text) // an error means that the client has gone
		return nil
	}
}
