package routepolicy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

// fromInterface is the example of the interface's description, word by word.
const fromInterface = `kind: RoutePolicy
name: parse-service-defaults
service: parse-service             # the receiving service
enforce: true                      # false: log what would be denied, let it pass
rules:
  - name: documents-may-parse
    from: {services: [document-service]}
    to: {methods: [POST], paths: ["/v1/parse/**"]}
  - name: admins-read-their-tenant
    from: {services: [backend-actor], users: ["**"], user_roles: [admin]}   # AND between keys, OR inside
    to: {methods: [GET], paths: ["/v1/tenants/{tenant}/**"]}
    when: 'principal.tenant == request.path_params.tenant'
`

var noon = time.Date(2027, 1, 15, 12, 0, 0, 0, time.UTC)

func mustCompile(t testing.TB, text string) *routepolicy.Policy {
	t.Helper()
	documents, err := routepolicy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := routepolicy.Compile(documents)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func service(name string) *countersign.Principal {
	return &countersign.Principal{Service: countersign.Service{Name: name}, Tenant: "acme"}
}

const idp = "https://idp.example.com/pool"

func userBy(name, tenant string, roles ...string) *countersign.Principal {
	return &countersign.Principal{
		Service: countersign.Service{Name: name}, User: countersign.User{Issuer: idp, Subject: "alice", Roles: roles}, Tenant: tenant,
	}
}

func decide(t testing.TB, p *routepolicy.Policy, method, path string, caller *countersign.Principal) countersign.RouteVerdict {
	t.Helper()
	return p.Decide(t.Context(), routepolicy.Request{Method: method, Path: path, Principal: caller, Time: noon})
}

func denied(reason countersign.Reason) countersign.RouteVerdict {
	return countersign.RouteVerdict{Reason: reason}
}

func TestDecidesByInterfaceExample(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, fromInterface)
	if p.Service() != "parse-service" || p.Rules() != 2 {
		t.Errorf("%s, %d rules", p.Service(), p.Rules())
	}
	allowed := func(rule string) countersign.RouteVerdict {
		return countersign.RouteVerdict{Allowed: true, Policy: "parse-service-defaults", Rule: rule, Reason: countersign.ReasonOK}
	}
	no := denied(countersign.ReasonRouteNotAllowed)
	for name, test := range map[string]struct {
		method, path string
		caller       *countersign.Principal
		want         countersign.RouteVerdict
	}{
		"document-service":     {"POST", "/v1/parse/7", service("document-service"), allowed("documents-may-parse")},
		"with a user":          {"POST", "/v1/parse/a/b", userBy("document-service", "acme"), allowed("documents-may-parse")},
		"nothing behind":       {"POST", "/v1/parse/", service("document-service"), allowed("documents-may-parse")},
		"admin, own tenant":    {"GET", "/v1/tenants/acme/users", userBy("backend-actor", "acme", "admin"), allowed("admins-read-their-tenant")},
		"admin among roles":    {"GET", "/v1/tenants/acme/a/b", userBy("backend-actor", "acme", "member", "admin"), allowed("admins-read-their-tenant")},
		"encoded":              {"GET", "/v1/tenants/%61cme/users", userBy("backend-actor", "acme", "admin"), allowed("admins-read-their-tenant")},
		"admin, other tenant":  {"GET", "/v1/tenants/other/users", userBy("backend-actor", "acme", "admin"), no},
		"admin, no tenant":     {"GET", "/v1/tenants/acme/users", userBy("backend-actor", "", "admin"), no},
		"not an admin":         {"GET", "/v1/tenants/acme/users", userBy("backend-actor", "acme", "member"), no},
		"no user":              {"GET", "/v1/tenants/acme/users", service("backend-actor"), no},
		"another service":      {"GET", "/v1/tenants/acme/users", userBy("document-service", "acme", "admin"), no},
		"the user alone":       {"GET", "/v1/tenants/acme/users", userBy("", "acme", "admin"), no},
		"HEAD is not GET":      {"HEAD", "/v1/tenants/acme/users", userBy("backend-actor", "acme", "admin"), no},
		"get is not GET":       {"get", "/v1/tenants/acme/users", userBy("backend-actor", "acme", "admin"), no},
		"no method":            {"", "/v1/parse/7", service("document-service"), no},
		"GET is not POST":      {"GET", "/v1/parse/7", service("document-service"), no},
		"without the slash":    {"POST", "/v1/parse", service("document-service"), no},
		"another start":        {"POST", "/v1/parsex/7", service("document-service"), no},
		"below another":        {"POST", "/x/v1/parse/7", service("document-service"), no},
		"upper case":           {"POST", "/V1/parse/7", service("document-service"), no},
		"another name":         {"POST", "/v1/parse/7", service("document-service2"), no},
		"foreign":              {"POST", "/v1/parse/7", service("https://idp.example.com/document-service"), no},
		"a user of its name":   {"POST", "/v1/parse/7", &countersign.Principal{User: countersign.User{Issuer: idp, Subject: "document-service"}}, no},
		"an actor of its name": {"POST", "/v1/parse/7", &countersign.Principal{User: countersign.User{Issuer: idp, Subject: "a", Actor: "document-service"}}, no},
		"the root":             {"POST", "/", service("document-service"), no},
		"nobody":               {"POST", "/v1/parse/7", &countersign.Principal{}, denied(countersign.ReasonTokenMissing)},
		"nil":                  {"POST", "/v1/parse/7", nil, denied(countersign.ReasonTokenMissing)},
		"not canonical":        {"POST", "/v1/parse/../x", service("document-service"), denied(countersign.ReasonRouteNotCanonical)},
	} {
		if got := decide(t, p, test.method, test.path, test.caller); got != test.want {
			t.Errorf("%s: %+v", name, got)
		}
		if got := p.DecideRoute(t.Context(), test.method, test.path, test.caller, noon); got != test.want {
			t.Errorf("%s, for the middleware: %+v", name, got)
		}
	}
}

func TestNoPolicyDenies(t *testing.T) {
	t.Parallel()
	empty, err := routepolicy.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		policy *routepolicy.Policy
		reason countersign.Reason
	}{
		"nil":          {nil, countersign.ReasonPolicyUnavailable},
		"zero":         {&routepolicy.Policy{}, countersign.ReasonPolicyUnavailable},
		"no documents": {empty, countersign.ReasonRouteNotAllowed},
	} {
		if got := decide(t, test.policy, "GET", "/", service("a")); got != denied(test.reason) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// ruleOf is a policy p of service s with one rule r.
func ruleOf(from, to, rest string) string {
	return "kind: RoutePolicy\nname: p\nservice: s\nrules:\n  - name: r\n    from: " + from + "\n    to: " + to + "\n" + rest
}

const anyGet = `{methods: [GET], paths: ["/**"]}`

func TestFromKeys(t *testing.T) {
	t.Parallel()
	session := &countersign.Principal{Session: countersign.Session{AccessKeyID: "ASIA1", Role: "writer"}}
	scoped := &countersign.Principal{Service: countersign.Service{Name: "a"}, Scopes: []string{"x", "s2s:internal"}}
	bare := &countersign.Principal{User: countersign.User{Issuer: idp, Subject: "bob"}}
	auth0 := &countersign.Principal{User: countersign.User{Issuer: idp, Subject: "auth0|7"}}
	for name, test := range map[string]struct {
		from   string
		caller *countersign.Principal
		want   bool
	}{
		"service":                         {`{services: [b, a]}`, service("a"), true},
		"pattern":                         {`{services: ["doc-*"]}`, service("doc-a"), true},
		"literal and pattern":             {`{services: [a, "doc-*"]}`, service("a"), true},
		"pattern of foreign":              {`{services: ["https://idp.example.com/pool/*"]}`, service(idp + "/a"), true},
		"foreign by name":                 {`{services: ["https://idp.example.com/pool/a"]}`, service(idp + "/a"), true},
		"scope":                           {`{services: [a], scopes: [s2s:internal]}`, scoped, true},
		"without service, none":           {`{without_service: true, user_roles: [admin]}`, userBy("", "acme", "admin"), true},
		"without service, one":            {`{without_service: true, user_roles: [admin]}`, userBy("a", "acme", "admin"), true},
		"role of a session":               {`{without_service: true, roles: [writer]}`, session, true},
		"user":                            {`{without_service: true, users: ["` + idp + `|alice"]}`, userBy("", ""), true},
		"users of an issuer":              {`{without_service: true, users: ["` + idp + `|**"]}`, bare, true},
		"pattern of users":                {`{without_service: true, users: ["` + idp + `|al*"]}`, userBy("", ""), true},
		"subject with a bar":              {`{without_service: true, users: ["` + idp + `|auth0|*"]}`, auth0, true},
		"any user":                        {`{services: [a], users: ["**"]}`, userBy("a", ""), true},
		"other service":                   {`{services: [b]}`, service("a"), false},
		"pattern, nothing":                {`{services: ["doc-*"]}`, service("doc-"), false},
		"pattern, foreign":                {`{services: ["h**"]}`, service(idp + "/a"), false},
		"no service for a name":           {`{services: [a]}`, bare, false},
		"scope missing":                   {`{services: [a], scopes: [y]}`, scoped, false},
		"scope of another service":        {`{services: [b], scopes: [x]}`, scoped, false},
		"scope in part":                   {`{services: [a], scopes: [s2s]}`, scoped, false},
		"other role of a session":         {`{without_service: true, roles: [reader]}`, session, false},
		"user's role is no role":          {`{without_service: true, roles: [admin]}`, userBy("", "", "admin"), false},
		"session's role is no user's":     {`{without_service: true, user_roles: [writer]}`, session, false},
		"subject of another issuer":       {`{without_service: true, users: ["https://idp.example.com/other|alice"]}`, userBy("", ""), false},
		"issuer is a beginning":           {`{without_service: true, users: ["https://idp.example.com|**"]}`, userBy("", ""), false},
		"other subject":                   {`{without_service: true, users: ["` + idp + `|bob"]}`, userBy("", ""), false},
		"AND: user and role, other user":  {`{without_service: true, users: ["` + idp + `|bob"], user_roles: [admin]}`, userBy("", "", "admin"), false},
		"AND: user and role, other role":  {`{without_service: true, users: ["` + idp + `|alice"], user_roles: [x]}`, userBy("", "", "admin"), false},
		"any user, none":                  {`{services: [a], users: ["**"]}`, service("a"), false},
		"without service, nobody of role": {`{without_service: true, user_roles: [admin]}`, service("a"), false},
	} {
		got := decide(t, mustCompile(t, ruleOf(test.from, anyGet, "")), "GET", "/x", test.caller)
		if got.Allowed != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	caller := userBy("a", "acme", "admin")
	caller.Scopes = []string{"docs:read"}
	for when, want := range map[string]bool{
		`principal.service == "a" && principal.user.subject == "alice" && principal.user.issuer.startsWith("https://idp")`: true,
		`"admin" in principal.user.roles && "docs:read" in principal.scopes && principal.roles.size() == 0`:                true,
		`request.method == "GET" && request.path == "/v1/7" && request.path_params.id == "7"`:                              true,
		`request.time < timestamp("2028-01-01T00:00:00Z")`:                                                                 true,
		`principal.scopes.exists(s, s.matches("docs:.*"))`:                                                                 true,
		`principal.scopes.exists(s, s.matches("docs"))`:                                                                    false,
		`request.time > timestamp("2028-01-01T00:00:00Z")`:                                                                 false,
		`1 / (request.path.size() - 5) == 0`:                                                                               false,
		`!(1 / (request.path.size() - 5) == 0)`:                                                                            false,
		`principal.tenant == "other"`:                                                                                      false,
		`false`:                                                                                                            false,
	} {
		p := mustCompile(t, ruleOf(`{services: ["*"]}`, `{methods: [GET], paths: ["/v1/{id}"]}`, "    when: '"+when+"'\n"))
		if got := decide(t, p, "GET", "/v1/7", caller); got.Allowed != want {
			t.Errorf("%s: %+v", when, got)
		}
	}
	p := mustCompile(t, ruleOf(`{services: ["*"]}`, anyGet, "    when: request.time.getHours() == 12\n"))
	if got := p.Decide(t.Context(), routepolicy.Request{Method: "GET", Path: "/", Principal: caller}); got.Allowed {
		t.Error("a time that is not there matches")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := p.Decide(ended, routepolicy.Request{Method: "GET", Path: "/", Principal: caller, Time: noon}); got.Allowed {
		t.Error("a match after the end")
	}
	if got := decide(t, p, "GET", "/", caller); !got.Allowed {
		t.Errorf("%+v", got)
	}
}

const (
	first  = "kind: RoutePolicy\nname: a-first\nservice: s\nrules:\n  - {name: r, from: {services: [a]}, to: {methods: [GET], paths: [/x]}}\n"
	second = "kind: RoutePolicy\nname: b-second\nservice: s\nrules:\n  - {name: r, from: {services: [a, b]}, to: {methods: [GET, PUT], paths: [/x, '/*', '/{n}']}}\n"
)

func TestPoliciesAreAUnion(t *testing.T) {
	t.Parallel()
	for _, text := range []string{first + "---\n" + second, second + "---\n" + first} {
		p := mustCompile(t, text)
		for _, test := range []struct{ method, path, caller, policy string }{
			{"GET", "/x", "a", "a-first"}, // the order of names, not of the files
			{"GET", "/x", "b", "b-second"},
			{"PUT", "/x", "a", "b-second"},
			{"GET", "/y", "a", "b-second"},
			{"GET", "/x", "c", ""},
			{"PUT", "/x/y", "a", ""},
			{"DELETE", "/x", "a", ""},
		} {
			got := decide(t, p, test.method, test.path, service(test.caller))
			if got.Policy != test.policy || got.Allowed != (test.policy != "") {
				t.Errorf("%+v: %+v", test, got)
			}
		}
	}
}

func TestEnforce(t *testing.T) {
	t.Parallel()
	open := func(text string) string { return "enforce: false\n" + text }
	allowed := countersign.RouteVerdict{Allowed: true, Policy: "a-first", Rule: "r", Reason: countersign.ReasonOK}
	would := func(r countersign.Reason) countersign.RouteVerdict {
		return countersign.RouteVerdict{Allowed: true, WouldDeny: true, Reason: r}
	}
	for name, test := range map[string]struct {
		text, path string
		caller     *countersign.Principal
		want       countersign.RouteVerdict
	}{
		"open, a rule":         {open(first), "/x", service("a"), allowed},
		"open, no rule":        {open(first), "/y", service("a"), would(countersign.ReasonRouteNotAllowed)},
		"open, not canonical":  {open(first), "//x", service("a"), would(countersign.ReasonRouteNotCanonical)},
		"open, nobody":         {open(first), "/x", nil, denied(countersign.ReasonTokenMissing)},
		"all open":             {open(first) + "---\n" + open(second), "/x", service("c"), would(countersign.ReasonRouteNotAllowed)},
		"a mix, no rule":       {open(first) + "---\n" + second, "/x", service("c"), denied(countersign.ReasonRouteNotAllowed)},
		"a mix, open rule":     {open(first) + "---\n" + second, "/x", service("a"), allowed},
		"the other mix":        {first + "---\n" + open(second), "/x", service("c"), denied(countersign.ReasonRouteNotAllowed)},
		"enforced, not canon.": {first, "//x", service("a"), denied(countersign.ReasonRouteNotCanonical)},
	} {
		if got := decide(t, mustCompile(t, test.text), "GET", test.path, test.caller); got != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func problemsOf(t *testing.T, err error) []routepolicy.Problem {
	t.Helper()
	var told *routepolicy.Error
	if !errors.As(err, &told) || !errors.Is(err, countersign.BadPolicy) || countersign.ReasonOf(err) != countersign.ReasonResourceInvalid {
		t.Fatalf("%v", err)
	}
	return told.Problems
}
