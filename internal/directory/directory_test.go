package directory_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/directory"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

var _ = []directory.Directory{(*directory.Local)(nil), (*directory.Cognito)(nil)}

// pool is a Cognito that answers what a test says; the emulators are asked elsewhere.
type pool struct {
	mu      sync.Mutex
	calls   []string // operation and body
	most    int      // calls at a time
	running int
	answer  func(operation string, in map[string]any) (int, any)
}

func (p *pool) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.calls = append(p.calls, operation+" "+string(body))
	p.running++
	p.most = max(p.most, p.running)
	p.mu.Unlock()
	defer func() { p.mu.Lock(); p.running--; p.mu.Unlock() }()
	var in map[string]any
	_ = json.Unmarshal(body, &in)
	status, out := p.answer(operation, in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func person(name string) map[string]any {
	return map[string]any{"Username": name, "Enabled": true, "Attributes": attributes(name), "UserAttributes": attributes(name)}
}

func attributes(name string) []map[string]any {
	return []map[string]any{{"Name": "sub", "Value": "sub-" + name}, {"Name": "email", "Value": name + "@x.example"}, {"Name": "name", "Value": "N " + name}, {"Name": "custom:tenant_id", "Value": "acme"}}
}

func newCognito(t *testing.T, p *pool) *directory.Cognito {
	t.Helper()
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	c, err := directory.NewCognito(directory.CognitoConfig{Pool: "us-east-1_AbCdEf", Endpoint: srv.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var filterForm = regexp.MustCompile(`^(sub|username|email|name) (=|\^=) "((?:[^"\\]|\\.)*)"$`)

func TestCognitoLooksUpInOrderAndOnce(t *testing.T) {
	t.Parallel()
	p := &pool{}
	p.answer = func(_ string, in map[string]any) (int, any) {
		text, _ := in["Filter"].(string)
		match := filterForm.FindStringSubmatch(text)
		if match == nil {
			return 400, map[string]any{"__type": "InvalidParameterException", "message": text}
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(match[3], "sub-"), "@")
		if name == "nobody" {
			return 200, map[string]any{"Users": []any{}}
		}
		return 200, map[string]any{"Users": []any{person(name)}}
	}
	c := newCognito(t, p)
	values := []string{"sub-b", "sub-nobody", "sub-a", "sub-b"}
	for i := range 50 {
		values = append(values, fmt.Sprintf("sub-x%d", i))
	}
	results := c.Lookup(t.Context(), directory.Subject, values)
	for i, value := range values {
		switch found := results[i]; {
		case found.Err != nil:
			t.Errorf("%s: %v", value, found.Err)
		case value == "sub-nobody" && len(found.People) != 0, value != "sub-nobody" && (len(found.People) != 1 || found.People[0].Subject != value || found.People[0].Issuer != c.Issuer()):
			t.Errorf("%s: %+v", value, found.People)
		}
	}
	if len(p.calls) != 53 || p.most > 8 {
		t.Errorf("%d calls, %d at a time", len(p.calls), p.most)
	}
}

// What fails fails alone; when nothing is answered any more, the rest is not asked for.
func TestCognitoFailsEachByItself(t *testing.T) {
	t.Parallel()
	p := &pool{}
	p.answer = func(operation string, in map[string]any) (int, any) {
		name, _ := in["Username"].(string)
		switch {
		case operation != "AdminGetUser":
			return 400, map[string]any{"__type": "InvalidParameterException"}
		case name == "throttled":
			return 400, map[string]any{"__type": "TooManyRequestsException"}
		case name == "nobody":
			return 400, map[string]any{"__type": "UserNotFoundException"}
		case name == "alias@x.example":
			return 200, person("somebody")
		case strings.HasPrefix(name, "broken"):
			return 400, map[string]any{"__type": "NotAuthorizedException"}
		}
		return 200, person(name)
	}
	c := newCognito(t, p)
	results := c.Lookup(t.Context(), directory.Username, []string{"a", "throttled", "nobody", "alias@x.example", "b"})
	if len(results[0].People) != 1 || results[1].Err == nil || !errors.Is(results[1].Err, countersign.Throttled) || results[2].Err != nil || len(results[2].People)+len(results[3].People) != 0 || len(results[4].People) != 1 {
		t.Errorf("%+v", results)
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("broken", i))
	}
	p.calls = nil
	for i, r := range c.Lookup(t.Context(), directory.Username, many) {
		if !errors.Is(r.Err, countersign.Upstream) {
			t.Fatalf("%d: %v", i, r.Err)
		}
	}
	if len(p.calls) > 30 {
		t.Errorf("%d calls to a directory that does not answer", len(p.calls))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range c.Lookup(ctx, directory.Username, []string{"a", "b"}) {
		if r.Err == nil {
			t.Error("a lookup that was given up has an answer")
		}
	}
}

// Nothing that stands in a value is anything but that value, and what an upstream makes of it
// is not believed.
func TestCognitoFilterInjection(t *testing.T) {
	t.Parallel()
	p := &pool{answer: func(string, map[string]any) (int, any) {
		return 200, map[string]any{"Users": []any{person("admin"), person("other")}}
	}}
	c := newCognito(t, p)
	for _, value := range []string{`x" or "1"="1`, `" `, `\`, `\"`, `a" email ^= "`, `*`, `a\\" = "`, "é", `sub = "x"`} {
		p.calls = nil
		if found := c.Lookup(t.Context(), directory.Email, []string{value}); found[0].Err != nil || len(found[0].People) != 0 {
			t.Errorf("%q finds %+v", value, found[0])
		}
		for _, call := range p.calls {
			var in struct{ Filter string }
			_ = json.Unmarshal([]byte(strings.TrimPrefix(call, "ListUsers ")), &in)
			match := filterForm.FindStringSubmatch(in.Filter)
			if match == nil || strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(match[3]) != value {
				t.Errorf("%q became %s", value, in.Filter)
			}
		}
	}
	page, err := c.Search(t.Context(), directory.Query{Limit: 10, Filters: []directory.Filter{{Field: directory.Username, Op: directory.StartsWith, Value: "adm"}, {Field: directory.Enabled, Op: directory.Equals, Value: "true"}}})
	if err != nil || len(page.People) != 1 || page.People[0].Username != "admin" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestCognitoSearchIsBounded(t *testing.T) {
	t.Parallel()
	p := &pool{answer: func(string, map[string]any) (int, any) {
		return 200, map[string]any{"Users": []any{person("other")}, "PaginationToken": "on"}
	}}
	c := newCognito(t, p)
	page, err := c.Search(t.Context(), directory.Query{Limit: 1000, Tenant: "beta"})
	if err != nil || len(page.People) != 0 || page.Next != "on" || len(p.calls) != 10 {
		t.Errorf("%+v, %v, %d calls", page, err, len(p.calls))
	}
}

func TestNewCognitoRefuses(t *testing.T) {
	t.Parallel()
	keys := credentials.NewStaticCredentialsProvider("a", "b", "")
	for _, cfg := range []directory.CognitoConfig{
		{}, {Pool: "us-east-1_AbC"}, {Pool: "AbC", Credentials: keys}, {Pool: "us-east-1_../x", Credentials: keys}, {Pool: "evil.example/us-east-1_A", Credentials: keys},
		{Pool: "us-east-1_A", Credentials: keys, Endpoint: "http://10.0.0.1"}, {Pool: "us-east-1_A", Credentials: keys, Endpoint: "https://u:p@x.example"},
	} {
		if _, err := directory.NewCognito(cfg); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%+v: %v", cfg.Pool, err)
		}
	}
	c, err := directory.NewCognito(directory.CognitoConfig{Pool: "eu-central-1_A", Credentials: aws.NewCredentialsCache(keys)})
	if err != nil || c.Issuer() != "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_A" {
		t.Errorf("%v %v", c, err)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	s := fixture.NewStore(t)
	if err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i, name := range []string{"ada", "bea", "cyd", ""} {
			u := store.User{UID: fmt.Sprint(i), ID: fmt.Sprint("u", i), Issuer: "i", Subject: fmt.Sprint("s", i), Tenant: "acme", Username: name}
			if name != "" {
				u.Email = name + "@x.example"
			}
			if err := tx.CreateUser(ctx, u); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	l := directory.NewLocal(s)
	results := l.Lookup(t.Context(), directory.Email, []string{"BEA@x.example", "nobody", "ada@x.example"})
	if len(results[0].People) != 1 || len(results[1].People) != 0 || results[2].People[0].Username != "ada" {
		t.Errorf("%+v", results)
	}
	if found := l.Lookup(t.Context(), directory.Subject, []string{"s1"}); len(found[0].People) != 0 {
		t.Error("a subject without its issuer finds somebody")
	}
	var names []string
	for after := ""; ; {
		page, err := l.Search(t.Context(), directory.Query{Tenant: "acme", Limit: 1, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.People {
			names = append(names, p.Username)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if strings.Join(names, " ") != "ada bea cyd" {
		t.Errorf("%v", names)
	}
	page, err := l.Search(t.Context(), directory.Query{Tenant: "acme", Limit: 10, Filters: []directory.Filter{{Field: directory.Username, Op: directory.StartsWith, Value: "b"}}})
	if err != nil || len(page.People) != 1 {
		t.Errorf("%+v %v", page, err)
	}
	if page, err := l.Search(t.Context(), directory.Query{Tenant: "beta", Limit: 10}); err != nil || len(page.People) != 0 {
		t.Errorf("%+v %v", page, err)
	}
}
