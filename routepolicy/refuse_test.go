package routepolicy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/routepolicy"
)

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	const ok = `{services: [a]}`
	to := func(path string) string { return `{methods: [GET], paths: ["` + path + `"]}` }
	for name, test := range map[string]struct{ text, path string }{
		"name":                       {strings.Replace(ruleOf(ok, anyGet, ""), "name: p", "name: P", 1), "name"},
		"service":                    {strings.Replace(ruleOf(ok, anyGet, ""), "service: s", "service: a/b", 1), "service"},
		"rule's name":                {strings.Replace(ruleOf(ok, anyGet, ""), "name: r", "name: R r", 1), "rules[0].name"},
		"two policies of a name":     {ruleOf(ok, anyGet, "") + "---\n" + ruleOf(ok, anyGet, ""), "name"},
		"two services":               {first + "---\n" + strings.Replace(second, "service: s", "service: t", 1), "service"},
		"two rules of a name":        {first + "  - {name: r, from: {services: [a]}, to: {methods: [GET], paths: [/x]}}\n", "rules[1].name"},
		"no services":                {ruleOf(`{users: ["**"]}`, anyGet, ""), "rules[0].from.services"},
		"no services, said false":    {ruleOf(`{users: ["**"], without_service: false}`, anyGet, ""), "rules[0].from.services"},
		"services and none":          {ruleOf(`{services: [a], without_service: true}`, anyGet, ""), "rules[0].from.without_service"},
		"D1: * alone":                {ruleOf(`{services: ["*"]}`, anyGet, ""), "rules[0].from.services[0]"},
		"D1: ** alone":               {ruleOf(`{services: [a, "**"]}`, anyGet, ""), "rules[0].from.services[1]"},
		"D1: ** alone, more keys":    {ruleOf(`{services: ["**"], scopes: [x]}`, anyGet, ""), "rules[0].from.services[0]"},
		"D1: ** in the middle":       {ruleOf(`{services: ["a**b"]}`, anyGet, ""), "rules[0].from.services[0]"},
		"D1: ***":                    {ruleOf(`{services: ["a***"]}`, anyGet, ""), "rules[0].from.services[0]"},
		"D1: every user":             {ruleOf(`{without_service: true, users: ["**"]}`, anyGet, ""), "rules[0].from.users[0]"},
		"D1: every caller":           {ruleOf(`{without_service: true}`, anyGet, ""), "rules[0].from"},
		"A1: subject alone":          {ruleOf(`{services: [a], users: [alice]}`, anyGet, ""), "rules[0].from.users[0]"},
		"A1: * for users":            {ruleOf(`{services: [a], users: ["*"]}`, anyGet, ""), "rules[0].from.users[0]"},
		"A1: pattern of issuers":     {ruleOf(`{services: [a], users: ["https://*|x"]}`, anyGet, ""), "rules[0].from.users[0]"},
		"A1: no issuer":              {ruleOf(`{services: [a], users: ["|x"]}`, anyGet, ""), "rules[0].from.users[0]"},
		"A1: no subject":             {ruleOf(`{services: [a], users: ["https://x|"]}`, anyGet, ""), "rules[0].from.users[0]"},
		"scope as pattern":           {ruleOf(`{services: [a], scopes: ["docs:*"]}`, anyGet, ""), "rules[0].from.scopes[0]"},
		"role as pattern":            {ruleOf(`{services: [a], user_roles: ["*"]}`, anyGet, ""), "rules[0].from.user_roles[0]"},
		"two words as role":          {ruleOf(`{services: [a], roles: ["a b"]}`, anyGet, ""), "rules[0].from.roles[0]"},
		"method, lower case":         {ruleOf(ok, `{methods: [get], paths: [/x]}`, ""), "rules[0].to.methods[0]"},
		"method, any":                {ruleOf(ok, `{methods: ["*"], paths: [/x]}`, ""), "rules[0].to.methods[0]"},
		"method, two":                {ruleOf(ok, `{methods: ["GET,PUT"], paths: [/x]}`, ""), "rules[0].to.methods[0]"},
		"path, relative":             {ruleOf(ok, to("x"), ""), "rules[0].to.paths[0]"},
		"path, ** alone":             {ruleOf(ok, to("**"), ""), "rules[0].to.paths[0]"},
		"path, ** in the middle":     {ruleOf(ok, to("/**/x"), ""), "rules[0].to.paths[0]"},
		"path, empty segment":        {ruleOf(ok, to("/a//b"), ""), "rules[0].to.paths[0]"},
		"path, dots":                 {ruleOf(ok, to("/a/../b"), ""), "rules[0].to.paths[0]"},
		"path, dot at the end":       {ruleOf(ok, to("/a/."), ""), "rules[0].to.paths[0]"},
		"path, encoded":              {ruleOf(ok, to("/a%20b"), ""), "rules[0].to.paths[0]"},
		"path, query":                {ruleOf(ok, to("/a?b"), ""), "rules[0].to.paths[0]"},
		"path, parameter":            {ruleOf(ok, to("/a;b"), ""), "rules[0].to.paths[0]"},
		"path, part of a segment":    {ruleOf(ok, to("/a{b}"), ""), "rules[0].to.paths[0]"},
		"path, star in braces":       {ruleOf(ok, to("/{*}"), ""), "rules[0].to.paths[0]"},
		"path, no name":              {ruleOf(ok, to("/{}"), ""), "rules[0].to.paths[0]"},
		"path, braces before **":     {ruleOf(ok, to("/{a}**"), ""), "rules[0].to.paths[0]"},
		"path, name twice":           {ruleOf(ok, to("/{a}/{a}"), ""), "rules[0].to.paths[0]"},
		"path, open brace":           {ruleOf(ok, to("/{a"), ""), "rules[0].to.paths[0]"},
		"path, deep":                 {ruleOf(ok, to(strings.Repeat("/a", 65)), ""), "rules[0].to.paths[0]"},
		"D4: not typed":              {ruleOf(ok, anyGet, "    when: principal.name == 'x'\n"), "rules[0].when"},
		"D4: not a bool":             {ruleOf(ok, anyGet, "    when: principal.tenant\n"), "rules[0].when"},
		"D4: too costly":             {ruleOf(ok, anyGet, "    when: 'principal.scopes.all(a, principal.scopes.all(b, a != b))'\n"), "rules[0].when"},
		"D4: clock":                  {ruleOf(ok, anyGet, "    when: now() > request.time\n"), "rules[0].when"},
		"when: no such parameter":    {ruleOf(ok, to("/{a}"), "    when: request.path_params.b == 'x'\n"), "rules[0].when"},
		"when: not in every path":    {ruleOf(ok, `{methods: [GET], paths: ["/{a}", "/x/*"]}`, "    when: request.path_params['a'] == 'x'\n"), "rules[0].when"},
		"when: a name in the schema": {ruleOf(ok, anyGet, "    when: 'request.path_params.all(p, p == \"x\") && principal == \"x\"'\n"), "rules[0].when"},
	} {
		documents, err := routepolicy.Parse([]byte(test.text))
		if err != nil {
			t.Errorf("%s: not even parsed: %v", name, err)
			continue
		}
		_, err = routepolicy.Compile(documents)
		if err == nil {
			t.Errorf("%s: compiled", name)
			continue
		}
		if got := problemsOf(t, err)[0]; got.Path != test.path || got.Message == "" || got.Line == 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCompileRefusesTooMuch(t *testing.T) {
	t.Parallel()
	rule := routepolicy.Rule{Name: "r", From: routepolicy.From{Services: []string{"a"}}, To: routepolicy.To{Methods: []string{"GET"}, Paths: []string{"/x"}}}
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("/a%d", i))
		}
		return list
	}
	for name, change := range map[string]func(*routepolicy.Document){
		"rules": func(d *routepolicy.Document) { d.Rules = make([]routepolicy.Rule, 201) },
		"paths": func(d *routepolicy.Document) { d.Rules[0].To.Paths = many(513) },
		"combinations": func(d *routepolicy.Document) {
			d.Rules[0].To.Paths, d.Rules[0].From.Services = many(512), many(512)
			d.Rules[0].To.Methods = []string{"A", "B", "C", "D"}
		},
		"condition":    func(d *routepolicy.Document) { d.Rules[0].When = strings.Repeat("true && ", 600) + "true" },
		"empty list":   func(d *routepolicy.Document) { d.Rules[0].From.Scopes = []string{} },
		"no methods":   func(d *routepolicy.Document) { d.Rules[0].To.Methods = nil },
		"no paths":     func(d *routepolicy.Document) { d.Rules[0].To.Paths = nil },
		"not UTF-8":    func(d *routepolicy.Document) { d.Rules[0].To.Paths = []string{"/\xff"} },
		"control":      func(d *routepolicy.Document) { d.Rules[0].From.Services = []string{"a\n"} },
		"empty method": func(d *routepolicy.Document) { d.Rules[0].To.Methods = []string{""} },
		"many wrong":   func(d *routepolicy.Document) { d.Rules[0].To.Methods = make([]string, 100) },
	} {
		d := routepolicy.Document{Name: "p", Service: "s", Rules: []routepolicy.Rule{rule}}
		change(&d)
		_, err := routepolicy.Compile([]routepolicy.Document{d})
		if err == nil {
			t.Errorf("%s: compiled", name)
			continue
		}
		if n := len(problemsOf(t, err)); n > 20 {
			t.Errorf("%s: %d problems", name, n)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		line int
	}{
		"unknown key":          {first + "colour: blue\n", 6},
		"unknown key in rule":  {ruleOf("{services: [a]}", anyGet, "    colour: blue\n"), 8},
		"unknown key in from":  {ruleOf("{services: [a], x: [y]}", anyGet, ""), 6},
		"a key twice":          {first + "service: t\n", 6},
		"another kind":         {"kind: Service\nname: a\n", 1},
		"no kind":              {"name: a\nservice: s\nrules: []\n", 1},
		"no rules":             {"kind: RoutePolicy\nname: a\nservice: s\n", 1},
		"rules are no list":    {"kind: RoutePolicy\nname: a\nservice: s\nrules: {}\n", 4},
		"enforce is a word":    {first + "enforce: 'false'\n", 6},
		"enforce is nothing":   {first + "enforce:\n", 6},
		"name is a number":     {strings.Replace(first, "a-first", "7", 1), 2},
		"methods are a text":   {ruleOf("{services: [a]}", "{methods: GET, paths: [/x]}", ""), 7},
		"empty list":           {ruleOf("{services: []}", anyGet, ""), 6},
		"empty text":           {ruleOf(`{services: [""]}`, anyGet, ""), 6},
		"anchor":               {ruleOf("&a {services: [a]}", anyGet, ""), 6},
		"alias":                {ruleOf("{services: [a], users: *a}", anyGet, ""), 6},
		"tag":                  {ruleOf("{services: [!!str a]}", anyGet, ""), 6},
		"no from":              {"kind: RoutePolicy\nname: a\nservice: s\nrules:\n  - name: r\n    to: " + anyGet + "\n", 5},
		"second document":      {first + "---\nkind: RoutePolicy\nname: 7\nservice: s\nrules: []\n", 8},
		"not YAML":             {first + "---\na: [\n", 7},
		"nothing":              {"", 1},
		"only a comment":       {"# x\n", 1},
		"beside the line":      {first + "--- {}\n", 6},
		"control":              {first + "# \x01\n", 6},
		"not UTF-8":            {first + "# \xff\n", 0},
		"byte order mark":      {"\xef\xbb\xbf" + first, 1},
		"too large":            {first + strings.Repeat("# "+strings.Repeat("a", 98)+"\n", 700), 1},
		"deep":                 {"a: " + strings.Repeat("[", 100) + "\n", 1},
		"deep, by indentation": {strings.Repeat(" ", 300) + "a: 1\n", 1},
		"long line":            {"# " + strings.Repeat("a", 17<<10) + "\na: 1\n", 1},
		"list at the top":      {"- a\n", 1},
		"text at the top":      {"a\n", 1},
		"directive":            {"%YAML 1.2\n" + first, 1},
	} {
		_, err := routepolicy.Parse([]byte(test.text))
		if err == nil {
			t.Errorf("%s: parsed", name)
			continue
		}
		if got := problemsOf(t, err)[0]; got.Line != test.line && name != "not YAML" && name != "directive" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := routepolicy.Parse(make([]byte, routepolicy.MaxFileBytes+1)); err == nil {
		t.Error("a large file: parsed")
	}
}

// What a server sends is JSON on one line: it is read whatever its length, and as strictly.
func TestParseReadsLongJSON(t *testing.T) {
	t.Parallel()
	document := func(extra string, paths []string) []byte {
		list, err := json.Marshal(paths)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(`{"kind":"RoutePolicy","name":"p","service":"s"` + extra + `,"rules":[{"name":"r","from":{"services":["a"]},"to":{"methods":["GET"],"paths":` + string(list) + `},"when":"true \u0026\u0026 \"\u003c\u00e9\\n\" != \"\""}]}`)
	}
	var many []string
	for i := range 512 {
		many = append(many, fmt.Sprintf("/%s%d", strings.Repeat("a", 100), i))
	}
	documents, err := routepolicy.Parse(document("", many))
	if err != nil || len(documents) != 1 || len(documents[0].Rules[0].To.Paths) != 512 || documents[0].Rules[0].When != `true && "<é\n" != ""` {
		t.Fatalf("%+v, %v", documents, err)
	}
	if _, err := routepolicy.Compile(documents); err != nil {
		t.Error(err)
	}
	for name, text := range map[string][]byte{
		"unknown key":   document(`,"colour":"blue"`, []string{"/x"}),
		"a key twice":   document(`,"service":"t"`, []string{"/x"}),
		"enforce: null": document(`,"enforce":null`, []string{"/x"}),
		"a number":      document(`,"tenant":7`, []string{"/x"}),
		"half a pair":   document(`,"tenant":"\ud800"`, []string{"/x"}),
		"no list":       document("", nil),
		"deep":          document(`,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100), []string{"/x"}),
		"two at once":   append(document("", []string{"/x"}), document("", []string{"/x"})...),
		"too large":     document("", slices.Repeat(many, 40)),
	} {
		if _, err := routepolicy.Parse(text); err == nil {
			t.Errorf("%s: parsed", name)
		} else {
			problemsOf(t, err)
		}
	}
}

func TestParseReads(t *testing.T) {
	t.Parallel()
	json := `{"kind": "RoutePolicy", "name": "p", "service": "s", "enforce": false, "rules": [{"name": "r", "from": {"services": ["a"], "scopes": ["s2s:internal"]}, "to": {"methods": ["GET"], "paths": ["/x"]}}]}`
	for _, text := range []string{json, "# note\n---\n" + json + "\n", strings.ReplaceAll(ruleOf("{services: [a], scopes: [s2s:internal]}", "{methods: [GET], paths: [/x]}", "enforce: false\n"), "\n", "\r\n")} {
		documents, err := routepolicy.Parse([]byte(text))
		if err != nil || len(documents) != 1 {
			t.Errorf("%s: %v", text, err)
			continue
		}
		d := documents[0]
		if d.Name != "p" || d.Service != "s" || !d.ReportOnly || len(d.Rules) != 1 || d.Rules[0].From.Scopes[0] != "s2s:internal" || d.Rules[0].To.Paths[0] != "/x" {
			t.Errorf("%+v", d)
		}
	}
}
