package resource_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
)

const service = "kind: Service\nname: a\n"

const issuer = "kind: Issuer\nname: i\nurl: https://i.example\nsubject: user\nprofile: oidc\naudiences: [app]\n"

const policy = "kind: RoutePolicy\nname: p\nservice: a\nrules:\n"

func parse(texts ...string) ([]resource.Document, error) {
	var files []resource.File
	for i, text := range texts {
		files = append(files, resource.File{Name: fmt.Sprintf("f%d.yaml", i), Content: []byte(text)})
	}
	return resource.Parse(files)
}

// places are the problems as "file:line:col: path", with the nearest name behind them.
func places(err error) []string {
	var told *resource.Error
	if !errors.As(err, &told) {
		return nil
	}
	var all []string
	for _, p := range told.Problems {
		text := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Path)
		if p.Nearest != "" {
			text += " ~" + p.Nearest
		}
		all = append(all, text)
	}
	return all
}

func TestParseRefusesWithPlace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []string
	}{
		"unknown kind":             {"kind: service\nname: a\n", []string{"f0.yaml:1:7: kind ~Service"}},
		"nothing like it":          {"kind: Deployment\nname: a\n", []string{"f0.yaml:1:7: kind"}},
		"no kind":                  {"name: a\n", []string{"f0.yaml:1:1: kind"}},
		"no name":                  {"kind: Service\n", []string{"f0.yaml:1:1: name"}},
		"kind is a list":           {"kind: [Service]\nname: a\n", []string{"f0.yaml:1:7: kind"}},
		"unknown field":            {service + "scope: [x]\n", []string{"f0.yaml:3:1: scope ~scopes"}},
		"field in camel case":      {service + "tokenLifetime: 15m\n", []string{"f0.yaml:3:1: tokenLifetime ~token_lifetime"}},
		"unknown inner field":      {service + "quota: {token_per_minute: 1}\n", []string{"f0.yaml:3:9: quota.token_per_minute ~tokens_per_minute"}},
		"trust is not ignored":     {service + "trust: []\n", []string{"f0.yaml:3:8: trust"}},
		"exchange is not ignored":  {service + "exchange: {}\n", []string{"f0.yaml:3:11: exchange"}},
		"duplicate key":            {service + "name: b\n", []string{"f0.yaml:3:1: name"}},
		"duplicate document":       {service + "---\n" + service, []string{"f0.yaml:5:7: name"}},
		"empty between":            {service + "---\n# nothing\n---\n" + issuer, []string{"f0.yaml:4:1: "}},
		"empty at the end":         {service + "---\n", []string{"f0.yaml:4:1: "}},
		"empty file":               {"", []string{"f0.yaml:1:1: "}},
		"only a comment":           {"# nothing\n", []string{"f0.yaml:1:1: "}},
		"beside the marker":        {"--- {kind: Service, name: a}\n", []string{"f0.yaml:1:1: "}},
		"directive":                {"%YAML 1.2\n---\n" + service, []string{"f0.yaml:1:1: "}},
		"document end":             {service + "...\n" + service, []string{"f0.yaml:1:1: "}},
		"anchor":                   {"kind: Service\nname: &n a\n", []string{"f0.yaml:2:7: name"}},
		"alias":                    {"kind: Service\nname: a\nscopes: *n\n", []string{"f0.yaml:3:9: scopes"}},
		"merge":                    {service + "<<: {tenant: acme}\n", []string{"f0.yaml:3:1: "}},
		"tag":                      {"kind: Service\nname: !!str a\n", []string{"f0.yaml:2:7: name"}},
		"number as name":           {"kind: Service\nname: 12\n", []string{"f0.yaml:2:7: name"}},
		"key is a number":          {service + "1: x\n", []string{"f0.yaml:3:1: "}},
		"null":                     {service + "scopes:\n", []string{"f0.yaml:3:9: scopes"}},
		"list as document":         {"- kind: Service\n  name: a\n", []string{"f0.yaml:1:1: "}},
		"text as document":         {"hello\n", []string{"f0.yaml:1:1: "}},
		"name in capitals":         {"kind: Service\nname: Parse\n", []string{"f0.yaml:2:7: name"}},
		"name too long":            {"kind: Service\nname: " + strings.Repeat("a", 64) + "\n", []string{"f0.yaml:2:7: name"}},
		"tenant":                   {service + "tenant: A\n", []string{"f0.yaml:3:9: tenant"}},
		"scopes is text":           {service + "scopes: s2s:internal\n", []string{"f0.yaml:3:9: scopes"}},
		"scope with a space":       {service + "scopes: [ok, 'a b']\n", []string{"f0.yaml:3:14: scopes[1]"}},
		"scope twice":              {service + "scopes:\n  - x\n  - x\n", []string{"f0.yaml:5:5: scopes[1]"}},
		"audience":                 {service + "audiences: [\"*\"]\n", []string{"f0.yaml:3:13: audiences[0]"}},
		"duration without a unit":  {service + "token_lifetime: 900\n", []string{"f0.yaml:3:17: token_lifetime"}},
		"quoted number":            {service + "token_lifetime: '900'\n", []string{"f0.yaml:3:17: token_lifetime"}},
		"duration too long":        {service + "token_lifetime: 90d\n", []string{"f0.yaml:3:17: token_lifetime"}},
		"duration too short":       {service + "token_lifetime: 59s\n", []string{"f0.yaml:3:17: token_lifetime"}},
		"quota is a float":         {service + "quota: {tokens_per_minute: 1.5}\n", []string{"f0.yaml:3:28: quota.tokens_per_minute"}},
		"quota below zero":         {service + "quota: {tokens_per_minute: -1}\n", []string{"f0.yaml:3:28: quota.tokens_per_minute"}},
		"quota in hex":             {service + "quota: {tokens_per_minute: 0x10}\n", []string{"f0.yaml:3:28: quota.tokens_per_minute"}},
		"plain http jwks_uri":      {service + "jwks_uri: http://a.example/jwks\n", []string{"f0.yaml:3:11: jwks_uri"}},
		"jwks_uri beside jwks":     {service + "jwks: {keys: []}\njwks_uri: https://a.example/jwks\n", []string{"f0.yaml:4:11: jwks_uri"}},
		"issuer without url":       {strings.Replace(issuer, "url: https://i.example\n", "", 1), []string{"f0.yaml:1:1: url"}},
		"issuer without audiences": {strings.Replace(issuer, "[app]", "[]", 1), []string{"f0.yaml:6:12: audiences"}},
		"plain http issuer":        {strings.Replace(issuer, "https://i.example", "http://i.example", 1), []string{"f0.yaml:3:6: url"}},
		"plain http keys":          {issuer + "jwks_uri: http://a.example/keys\n", []string{"f0.yaml:7:11: jwks_uri"}},
		"keys on a loopback":       {issuer + "jwks_uri: http://127.0.0.1:8080/keys\n", []string{"f0.yaml:7:11: jwks_uri"}},
		"issuer with a password":   {strings.Replace(issuer, "https://i", "https://u:p@i", 1), []string{"f0.yaml:3:6: url"}},
		"issuer at the metadata":   {strings.Replace(issuer, "i.example", "169.254.169.254", 1), []string{"f0.yaml:3:6: url"}},
		"subject":                  {strings.Replace(issuer, "user", "users", 1), []string{"f0.yaml:4:10: subject ~user"}},
		"profile":                  {strings.Replace(issuer, "oidc", "saml", 1), []string{"f0.yaml:5:10: profile"}},
		"algorithm none":           {issuer + "algorithms: [RS256, none]\n", []string{"f0.yaml:7:21: algorithms[1]"}},
		"algorithm HS256":          {issuer + "algorithms: [HS256]\n", []string{"f0.yaml:7:14: algorithms[0]"}},
		"no algorithm":             {issuer + "algorithms: []\n", []string{"f0.yaml:7:13: algorithms"}},
		"token_use with oidc":      {issuer + "token_use: id\n", []string{"f0.yaml:7:12: token_use"}},
		"cognito, no token_use":    {strings.Replace(issuer, "oidc", "cognito", 1), []string{"f0.yaml:1:1: token_use"}},
		"claim unknown":            {issuer + "claims: {role: x}\n", []string{"f0.yaml:7:10: claims.role ~roles"}},
		"username with oidc":       {issuer + "claims: {service: {from: username}}\n", []string{"f0.yaml:7:26: claims.service.from"}},
		"asserted tenant":          {issuer + "may_assert: {tenants: [A]}\n", []string{"f0.yaml:7:24: may_assert.tenants[0]"}},
		"device of a workload":     {strings.Replace(issuer, "subject: user", "subject: workload", 1) + "device_login: {client_id: c}\n", []string{"f0.yaml:7:15: device_login"}},
		"device without a client":  {issuer + "device_login: {scopes: [openid]}\n", []string{"f0.yaml:7:15: device_login.client_id"}},
		"device of another token":  {issuer + "device_login: {client_id: c, token: refresh}\n", []string{"f0.yaml:7:37: device_login.token"}},
		"device with a secret":     {issuer + "device_login: {client_id: c, client_secret: s}\n", []string{"f0.yaml:7:30: device_login.client_secret"}},
		"asserted role":            {issuer + "may_assert: {roles: {admins: Admin}}\n", []string{"f0.yaml:7:30: may_assert.roles.admins"}},
		"rules missing":            {"kind: RoutePolicy\nname: p\nservice: a\n", []string{"f0.yaml:1:1: rules"}},
		"no from":                  {policy + "  - name: r\n    to: {methods: [GET], paths: [/x]}\n", []string{"f0.yaml:5:5: rules[0].from"}},
		"from nobody":              {policy + "  - name: r\n    from: {users: ['**']}\n    to: {methods: [GET], paths: [/x]}\n", []string{"f0.yaml:6:11: rules[0].from.services"}},
		"empty services":           {policy + "  - name: r\n    from: {services: [], without_service: true}\n    to: {methods: [GET], paths: [/x]}\n", []string{"f0.yaml:6:22: rules[0].from.services"}},
		"rule twice":               {policy + strings.Repeat("  - name: r\n    from: {services: [a]}\n    to: {methods: [GET], paths: [/x]}\n", 2), []string{"f0.yaml:8:11: rules[1].name"}},
		"method misspelt":          {policy + "  - name: r\n    from: {services: [a]}\n    to: {method: [GET], paths: [/x]}\n", []string{"f0.yaml:7:9: rules[0].to.methods", "f0.yaml:7:10: rules[0].to.method ~methods"}},
		"second document":          {service + "---\nkind: Issue\nname: x\n", []string{"f0.yaml:4:7: kind ~Issuer"}},
		"CRLF keeps the lines":     {"kind: Service\r\nname: a\r\nscope: []\r\n", []string{"f0.yaml:3:1: scope ~scopes"}},
		"JSON":                     {"{\n  \"kind\": \"Service\",\n  \"name\": \"a\",\n  \"scope\": []\n}\n", []string{"f0.yaml:4:3: scope ~scopes"}},
		"several at once":          {"kind: Service\nname: A\nscopes: x\ntoken_lifetime: 1\n", []string{"f0.yaml:2:7: name", "f0.yaml:3:9: scopes", "f0.yaml:4:17: token_lifetime"}},
		"not UTF-8":                {service + "# \xff\n", []string{"f0.yaml:3:1: "}},
		"byte order mark":          {"\xef\xbb\xbf" + service, []string{"f0.yaml:1:1: "}},
		"NUL":                      {service + "tenant: \"a\x00\"\n", []string{"f0.yaml:3:1: "}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents, err := parse(tt.text)
			if !errors.Is(err, countersign.Invalid) || countersign.ReasonOf(err) != countersign.ReasonResourceInvalid || documents != nil {
				t.Fatalf("got %v, %v", documents, err)
			}
			if diff := cmp.Diff(tt.want, places(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestParseReservedNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sts", "iam-service", "s3", "countersign", "sts.amazonaws.com"} {
		if _, err := parse("kind: Service\nname: " + name + "\n"); places(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseDuplicatesOverFiles(t *testing.T) {
	t.Parallel()
	_, err := parse(service, "# second\n"+service)
	if diff := cmp.Diff([]string{"f1.yaml:3:7: name"}, places(err)); diff != "" {
		t.Error(diff)
	}
	if _, err := parse(service, strings.Replace(issuer, "name: i", "name: a", 1)); err != nil {
		t.Errorf("another kind of the same name: %v", err)
	}
}

func TestParseTellsTwentyProblems(t *testing.T) {
	t.Parallel()
	_, err := parse(strings.Repeat("kind: Nope\nname: a\n---\n", 30) + service)
	var told *resource.Error
	if !errors.As(err, &told) || len(told.Problems) != resource.MaxProblems || !told.More {
		t.Errorf("got %v", err)
	}
}

func TestParseBounds(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"total":          strings.Repeat("# x\n", resource.MaxBytes/4+1),
		"documents":      strings.Repeat("kind: X\n---\n", resource.MaxDocuments+1),
		"million lines":  service + "scopes:\n" + strings.Repeat("  - x\n", 1_000_000),
		"long line":      service + "tenant: " + strings.Repeat("a", 20_000) + "\n",
		"flow nesting":   service + "scopes: " + strings.Repeat("[", 100) + "\n",
		"block nesting":  service + "scopes:\n " + strings.Repeat("- ", 100) + "a\n",
		"indent nesting": service + strings.Repeat(" ", 300) + "a: b\n",
		"many items":     service + "scopes:\n" + strings.Repeat("  - x\n", 9_000),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(text); countersign.ReasonOf(err) != countersign.ReasonResourceInvalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCanonicalFormIsOne(t *testing.T) {
	t.Parallel()
	full := `kind: Issuer
name: i
tenant: acme
url: https://i.example
subject: service
profile: cognito
audiences:
  - "12"
  - app
algorithms:
  - ES256
  - RS256
claims:
  service:
    from: username
    strip_prefix: service-
  roles: cognito:groups
token_use: access
may_assert:
  tenants:
    - acme
  roles:
    "on": admin
`
	other := "# the same\ntoken_use: \"access\"\nname: i\nkind: Issuer\ntenant: acme\nurl: https://i.example\nsubject: service\nprofile: cognito\n" +
		"audiences: [app, \"12\"]\nalgorithms: [RS256, ES256]\nclaims: {roles: 'cognito:groups', service: {strip_prefix: service-, from: username}}\n" +
		"may_assert: {roles: {\"on\": admin}, tenants: [acme], scopes: []}\n"
	for _, text := range []string{full, other} {
		documents, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := documents[0].YAML()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(full, string(got)); diff != "" {
			t.Errorf("canonical form (-want +got):\n%s", diff)
		}
		spec, err := documents[0].Spec()
		if err != nil {
			t.Fatal(err)
		}
		back, err := resource.FromSpec("Issuer", "i", "acme", spec)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := back.YAML(); string(again) != full {
			t.Errorf("from the spec: %s", again)
		}
	}
}

func TestParseSecretsStayOut(t *testing.T) {
	t.Parallel()
	_, err := parse(service + "tenant: Hunter2-hunter2\nscopes: ['hunter2 hunter2']\n")
	if err == nil || strings.Contains(strings.ToLower(err.Error()), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{service, issuer, interfaceRole, interfaceService, interfaceBucket, bucketHead + "origin: {dir: x}\nallowed_roles: [a]\n",
		s3Origin("ambient", `{web_identity: {role_arn: "arn:aws:iam::123456789012:role/R"}}, prefix: "a/", path_style: false`), "kind: AccessKey\nname: k\nservice: a\nrole: b\nexpires_at: 2026-04-01T01:00:00+01:00\n",
		policy + "  - name: r\n    from: {services: [a]}\n    to: {methods: [GET], paths: [/x]}\n    when: |\n      a\n      b\n", service + "---\n" + issuer,
		service + "jwks: {keys: [{kty: OKP, crv: Ed25519, x: AAAA}]}\n", "{\"kind\": \"Service\", \"name\": \"a\"}", "? [a]\n: &x *y\n", "a: !!b c\n<<: *a\n", "- - - -\n", "%TAG\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		documents, err := resource.Parse([]resource.File{{Name: "f", Content: content}})
		if err != nil {
			if countersign.ReasonOf(err) != countersign.ReasonResourceInvalid {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		for i := range documents {
			first, err := documents[i].YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := resource.Parse([]resource.File{{Name: "again", Content: first}})
			if err != nil {
				t.Fatalf("the canonical form is refused: %v\n%s", err, first)
			}
			if second, _ := again[0].YAML(); string(second) != string(first) {
				t.Fatalf("two canonical forms:\n%s\n%s", first, second)
			}
		}
	})
}

// A colon that no blank follows belongs to the text, however deep it stands.
func TestTextWithColonInNestedFlow(t *testing.T) {
	t.Parallel()
	const head = "kind: Issuer\nname: i\nurl: https://idp.example.com\nsubject: service\nprofile: oidc\naudiences: [a]\nalgorithms: [RS256]\nclaims: {service: sub}\n"
	tests := map[string][]string{
		"[s2s:internal]":    {"s2s:internal"},
		"[a, s2s:internal]": {"a", "s2s:internal"},
		"[s2s:internal, b]": {"b", "s2s:internal"},
		"[a:b:c]":           {"a:b:c"},
		"[a:1]":             {"a:1"},
		"[ a:b , c ]":       {"a:b", "c"},
		`["s2s:internal"]`:  {"s2s:internal"},
		"[a: b]":            nil,
		`["a":b]`:           nil,
		"[a:[b]]":           nil,
		"[{a: b}]":          nil,
		"[a:b: c]":          nil,
		"[a:&x b]":          nil,
		"[a:\n      b]":     nil,
	}
	for text, want := range tests {
		documents, err := resource.Parse([]resource.File{{Name: "f", Content: []byte(head + "may_assert: {scopes: " + text + "}\n")}})
		if want == nil {
			if err == nil {
				t.Errorf("%s: read as %q, want a refusal", text, documents[0].Issuer.MayAssert.Scopes)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := documents[0].Issuer.MayAssert.Scopes; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
