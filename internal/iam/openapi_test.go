package iam_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/iamclient"
)

// api is the description as its readers see it.
type api struct {
	OpenAPI    string
	Paths      map[string]map[string]operation
	Components struct {
		Schemas         map[string]schema
		SecuritySchemes map[string]any `json:"securitySchemes"`
	}
}

type operation struct {
	OperationID string `json:"operationId"`
	Summary     string
	Security    []map[string][]string
	Parameters  []struct {
		Name, In string
		Required bool
		Schema   schema
	}
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type, Format         string
	Properties           map[string]schema
	Required             []string
	Items                *schema
	AdditionalProperties json.RawMessage `json:"additionalProperties"`
}

func (r *rig) openAPI(t *testing.T) api {
	t.Helper()
	for _, route := range r.api.Routes() {
		if route.Pattern != "GET "+iam.OpenAPIPath {
			continue
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, iam.OpenAPIPath, nil)
		must(t, err)
		w := &recorder{header: http.Header{}}
		route.Handler.ServeHTTP(w, request)
		var document api
		must(t, json.Unmarshal(w.body, &document))
		return document
	}
	t.Fatal("the API is not described")
	return api{}
}

type recorder struct {
	header http.Header
	body   []byte
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(int)             {}
func (w *recorder) Write(p []byte) (int, error) { w.body = append(w.body, p...); return len(p), nil }

// Every route is described, and nothing else is.
func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	document := r.openAPI(t)
	if document.OpenAPI != "3.1.0" || len(document.Components.SecuritySchemes) != 4 {
		t.Errorf("%s, %v", document.OpenAPI, document.Components.SecuritySchemes)
	}
	families, described, ids := r.families(t), 0, map[string]bool{}
	for path, methods := range document.Paths {
		for method, op := range methods {
			described++
			route := strings.ToUpper(method) + " " + strings.TrimPrefix(path, iamclient.BasePath)
			of, served := families[route]
			if !served {
				t.Errorf("%s is described and not served", route)
			}
			if op.Summary == "" || ids[op.OperationID] {
				t.Errorf("%s has no row in operations (openapi.go), or an id that is another's: %q", route, op.OperationID)
			}
			ids[op.OperationID] = true
			if route == "GET /login" {
				if len(op.Security) != 0 {
					t.Errorf("%s: security %v", route, op.Security)
				}
				continue
			}
			if of == public {
				if _, code := op.Security[0]["code"]; len(op.Security) != 1 || !code {
					t.Errorf("%s: security %v", route, op.Security)
				}
				continue
			}
			_, service := op.Security[0]["service"]
			if service != (of == machines) || (of == resources) != (len(op.Security) == 3) {
				t.Errorf("%s: family %s, security %v", route, of, op.Security)
			}
			for _, name := range []string{"{id}", "{name}", "{role}", "{kind}", "{service}"} {
				has := slices.ContainsFunc(op.Parameters, func(p struct {
					Name, In string
					Required bool
					Schema   schema
				}) bool {
					return p.In == "path" && "{"+p.Name+"}" == name
				})
				if has != strings.Contains(path, name) {
					t.Errorf("%s: parameter %s", route, name)
				}
			}
		}
	}
	if described != len(families) {
		t.Errorf("%d routes are served and %d described", len(families), described)
	}
}

// Requests that are generated from the description, good and bad ones: each is answered as
// the description says, and none by a failure of ours. The seed is printed.
func TestOpenAPIGeneratedRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{directory: true})
	o.configure(t, betaObjects)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	g := &generator{random: rand.New(rand.NewPCG(seed, 1)), api: o.openAPI(t), office: o}
	successes, count := 0, 0
	for path, methods := range g.api.Paths {
		for method, op := range methods {
			if strings.HasSuffix(path, "/admin/backup") || strings.HasSuffix(path, "/login") || strings.Contains(path, "/keys/") {
				continue // what they do is done once
			}
			for range 25 {
				a := g.request(strings.ToUpper(method), path, op)
				got := o.ask(t, a)
				count++
				if got.status < 300 {
					successes++
				}
				if problem := g.judge(op, got); problem != "" {
					t.Errorf("%s %s (seed %d): %s\nrequest %s\nanswer %d %s", a.method, a.path, seed, problem, a.body, got.status, got.body)
				}
			}
		}
	}
	if successes < count/20 {
		t.Errorf("of %d requests only %d were served: the generator makes nothing that is good", count, successes)
	}
}

type generator struct {
	random *rand.Rand
	api    api
	office *office
}

func (g *generator) pick(list ...string) string { return list[g.random.IntN(len(list))] }

func (g *generator) request(method, path string, op operation) ask {
	a := ask{method: method, header: map[string]string{}}
	a.path = strings.TrimPrefix(path, iamclient.BasePath)
	query := ""
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			value := g.pick("acme", "beta", "kim", "bff", "beta-service", "zeta", "Service", "Tenant", "helpdesk", "member", "super-admin", id(g.office.people, "kim"), "%2e%2e", "a%00b", strings.Repeat("a", 300))
			a.path = strings.ReplaceAll(a.path, "{"+p.Name+"}", value)
		case "query":
			if g.random.IntN(3) == 0 {
				query += "&" + p.Name + "=" + g.pick("1", "500", "0", "-1", "true", "a", "", "2026-01-02T03:04:05Z", "%00", strings.Repeat("b", 600))
			}
		case "header":
			if p.Name != "X-Active-Tenant-ID" && (p.Required || g.random.IntN(2) == 0) || g.random.IntN(4) == 0 {
				a.header[p.Name] = map[string]string{
					"If-Match": g.pick("*", `"1"`, `"2"`, `"9"`, "1", ""), "If-None-Match": g.pick("*", `"1"`), "X-Active-Tenant-ID": g.pick("acme", "beta", "zeta", "A"),
				}[p.Name]
			}
		}
	}
	if strings.Contains(query, "wait=") {
		query = ""
	}
	if query != "" {
		a.path += "?" + query[1:]
	}
	for media, content := range op.RequestBody.Content {
		body, _ := json.Marshal(g.value(content.Schema, 0))
		a.body, a.header["Content-Type"] = string(body), media
		if g.random.IntN(8) == 0 {
			a.body = g.pick(`{`, `[]`, `null`, `{"a":1}`, `{"a":{"a":{"a":[]}}}`, `"x"`, "\x00", a.body+a.body)
		}
	}
	_, machine := op.Security[0]["service"]
	a.bearer = map[bool]string{true: g.office.service, false: g.pick(g.office.boss, g.office.boss, g.office.ann, g.office.kim, g.office.eve)}[machine]
	if g.random.IntN(12) == 0 {
		a.bearer = g.pick(g.office.service, g.office.ann, "x", "")
	}
	return a
}

// value makes something of a schema; now and then something else.
func (g *generator) value(s schema, depth int) any {
	if s.Ref != "" {
		s = g.api.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if g.random.IntN(25) == 0 {
		return []any{nil, 1, "x", true, []any{}, map[string]any{}, -1e9, strings.Repeat("z", 5000)}[g.random.IntN(8)]
	}
	switch s.Type {
	case "string":
		if s.Format == "date-time" {
			return g.pick("2026-01-02T03:04:05Z", "2030-01-01T00:00:00Z", "x")
		}
		return g.pick("acme", "kim", "15m", "new-"+strconv.Itoa(g.random.IntN(50)), "https://people.example", "email", "eq", "s2s:internal", "", "é\u202e", "a\"b\\c", "'; DROP TABLE user_record; --", "kind: Tenant\nname: made\n")
	case "boolean":
		return g.random.IntN(2) == 0
	case "integer":
		return g.random.IntN(2000) - 10
	case "array":
		list := []any{}
		for range g.random.IntN(3) {
			list = append(list, g.value(*s.Items, depth+1))
		}
		return list
	case "object":
		object := map[string]any{}
		for name, of := range s.Properties {
			if slices.Contains(s.Required, name) || g.random.IntN(3) == 0 && depth < 4 {
				object[name] = g.value(of, depth+1)
			}
		}
		return object
	}
	return nil
}

// judge holds an answer against the description; "" = it is as described.
func (g *generator) judge(op operation, got reply) string {
	if got.status >= 500 {
		return "a failure of ours"
	}
	described, ok := op.Responses[strconv.Itoa(got.status)]
	if !ok {
		if got.status < 400 {
			return "a success that is not described"
		}
		described = op.Responses["default"]
	}
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	if len(described.Content) == 0 {
		if got.body != "" {
			return "a body that is not described"
		}
		return ""
	}
	content, ok := described.Content[media]
	if !ok {
		return "another media type: " + media
	}
	if !strings.HasSuffix(media, "json") {
		return ""
	}
	var body any
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		return err.Error()
	}
	return g.check(content.Schema, body, "")
}

// check holds a value against a schema, of which it knows what ours use.
func (g *generator) check(s schema, v any, at string) string {
	if s.Ref != "" {
		s = g.api.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	wrong := func() string { return fmt.Sprintf("%s: %v is no %s", at, v, s.Type) }
	switch s.Type {
	case "string":
		if _, ok := v.(string); !ok {
			return wrong()
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case "integer":
		if n, ok := v.(float64); !ok || n != float64(int64(n)) {
			return wrong()
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			return wrong()
		}
		for i, item := range list {
			if problem := g.check(*s.Items, item, fmt.Sprintf("%s[%d]", at, i)); problem != "" {
				return problem
			}
		}
	case "object":
		object, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		for _, name := range s.Required {
			if _, ok := object[name]; !ok {
				return at + "." + name + " is missing"
			}
		}
		for name, value := range object {
			of, known := s.Properties[name]
			if !known {
				return at + "." + name + " is not described"
			}
			if problem := g.check(of, value, at+"."+name); problem != "" {
				return problem
			}
		}
	}
	return ""
}
