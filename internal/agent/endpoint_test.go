package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/agent"
)

const (
	authorization = "abcdefghijklmnopqrstuvwxyz"
	writerARN     = "arn:aws:iam::000000000000:role/document-writer"
)

var (
	address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8442}
	expires = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
)

func giving(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: "secret", SessionToken: "session/+=", CanExpire: true, Expires: expires}, nil
}

func refusing(err error) aws.CredentialsProviderFunc {
	return func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, err }
}

func newEndpoint(t *testing.T, roles ...agent.Role) *agent.Endpoint {
	t.Helper()
	if len(roles) == 0 {
		roles = []agent.Role{
			{Name: "document-writer", ARN: writerARN, Credentials: aws.CredentialsProviderFunc(giving)},
			{Name: "down", ARN: "x", Credentials: refusing(&countersign.Error{Code: countersign.Upstream, Msg: "the sts can't be reached", RetryAfter: 1500 * time.Millisecond})},
		}
	}
	e, err := agent.NewEndpoint(agent.EndpointConfig{Address: address, Authorization: countersign.NewSecret(authorization), Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ask is a request that is served, before change.
func ask(e *agent.Endpoint, change func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/role/document-writer", http.NoBody)
	r.Host = "127.0.0.1:8442"
	r.Header = http.Header{"Authorization": {authorization}, "Accept": {"application/json"}, "User-Agent": {"Botocore/1"}}
	change(r)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w.Result()
}

func TestEndpointAnswersAsAnSDKReads(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	resp := ask(e, func(*http.Request) {})
	body, _ := io.ReadAll(resp.Body)
	var got map[string]string
	if err := json.Unmarshal(body, &got); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
	}
	for name, want := range map[string]string{
		"AccessKeyId": "ASIAEXAMPLEEXAMPLE00", "SecretAccessKey": "secret", "Token": "session/+=",
		"Expiration": "2026-11-26T12:00:00Z", "RoleArn": writerARN,
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", resp.Header)
	}
	if want := "http://127.0.0.1:8442/role/document-writer"; e.URL("document-writer") != want {
		t.Errorf("url %s", e.URL("document-writer"))
	}
}

func TestRuleG7WhoMayAsk(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	auth := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	host := func(value string) func(*http.Request) { return func(r *http.Request) { r.Host = value } }
	path := func(value string) func(*http.Request) {
		return func(r *http.Request) {
			r.URL.Path, r.URL.RawPath = value, ""
		}
	}
	tests := map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"no authorization":    {auth(), 401},
		"empty authorization": {auth(""), 401},
		"wrong authorization": {auth(authorization[1:] + "x"), 401},
		"a prefix of it":      {auth(authorization[:25]), 401},
		"more than it":        {auth(authorization + "x"), 401},
		"another case":        {auth(strings.ToUpper(authorization)), 401},
		"as a bearer":         {auth("Bearer " + authorization), 401},
		"twice":               {auth(authorization, authorization), 401},
		"right and wrong":     {auth(authorization, "x"), 401},
		"in the query": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "Authorization=" + authorization
		}, 401},
		"another host":            {host("evil.example.com:8442"), 403},
		"localhost":               {host("localhost:8442"), 403},
		"another loopback":        {host("127.0.0.2:8442"), 403},
		"IPv6 loopback":           {host("[::1]:8442"), 403},
		"no port":                 {host("127.0.0.1"), 403},
		"another port":            {host("127.0.0.1:80"), 403},
		"no host":                 {host(""), 403},
		"dot at the end":          {host("127.0.0.1.:8442"), 403},
		"origin":                  {header("Origin", "http://127.0.0.1:8442"), 403},
		"origin null":             {header("Origin", "null"), 403},
		"fetch metadata":          {header("Sec-Fetch-Site", "same-origin"), 403},
		"websocket":               {header("Sec-Websocket-Key", "x"), 403},
		"forwarded for":           {header("X-Forwarded-For", "127.0.0.1"), 403},
		"forwarded host":          {header("X-Forwarded-Host", "127.0.0.1:8442"), 403},
		"forwarded":               {header("Forwarded", "for=127.0.0.1"), 403},
		"via":                     {header("Via", "1.1 proxy"), 403},
		"referer":                 {header("Referer", "http://127.0.0.1:8442/"), 403},
		"POST":                    {func(r *http.Request) { r.Method = http.MethodPost }, 405},
		"PUT":                     {func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"HEAD":                    {func(r *http.Request) { r.Method = http.MethodHead }, 405},
		"OPTIONS":                 {func(r *http.Request) { r.Method = http.MethodOptions }, 405},
		"another role":            {path("/role/other"), 404},
		"no role":                 {path("/role/"), 404},
		"root":                    {path("/"), 404},
		"below a role":            {path("/role/document-writer/"), 404},
		"two slashes":             {path("//role/document-writer"), 404},
		"up and down":             {path("/x/../role/document-writer"), 404},
		"another case of a role":  {path("/role/Document-Writer"), 404},
		"query":                   {func(r *http.Request) { r.URL.RawQuery = "a=b" }, 404},
		"encoded":                 {func(r *http.Request) { r.URL.RawPath = "/role/document%2dwriter" }, 404},
		"unknown without a proof": {func(r *http.Request) { r.URL.Path = "/role/other"; r.Header.Del("Authorization") }, 401},
	}
	e := newEndpoint(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := ask(e, test.change)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != test.want || strings.Contains(string(body), "ASIA") {
				t.Errorf("%d, want %d: %s", resp.StatusCode, test.want, body)
			}
			if strings.Contains(string(body), authorization[:12]) || resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %v", body, resp.Header)
			}
		})
	}
}

func TestEndpointRefusals(t *testing.T) {
	t.Parallel()
	for code, want := range map[countersign.Code]int{
		countersign.Denied: 403, countersign.BadToken: 403, countersign.Expired: 403, countersign.BadClient: 403,
		countersign.Throttled: 429, countersign.Upstream: 503, countersign.Unavailable: 503, countersign.Internal: 500,
		countersign.Invalid: 400, countersign.BadPolicy: 500,
	} {
		cause := errors.New("the cause is for the log")
		e := newEndpoint(t, agent.Role{Name: "document-writer", Credentials: refusing(countersign.WrapError(code, "", "a message", cause))})
		resp := ask(e, func(*http.Request) {})
		body, _ := io.ReadAll(resp.Body)
		var got struct{ Code, Message string }
		if err := json.Unmarshal(body, &got); err != nil || resp.StatusCode != want || got.Code != string(code) || got.Message != "a message" {
			t.Errorf("%s: %d %s", code, resp.StatusCode, body)
		}
	}
	if got := ask(newEndpoint(t), func(r *http.Request) { r.URL.Path = "/role/down" }); got.StatusCode != 503 || got.Header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
}

func TestEndpointConfig(t *testing.T) {
	t.Parallel()
	good := agent.Role{Name: "a", ARN: writerARN, Credentials: aws.CredentialsProviderFunc(giving)}
	tests := map[string]func(*agent.EndpointConfig){
		"every address":   func(c *agent.EndpointConfig) { c.Address = &net.TCPAddr{Port: 1} },
		"another address": func(c *agent.EndpointConfig) { c.Address = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1} },
		"a socket":        func(c *agent.EndpointConfig) { c.Address = &net.UnixAddr{Name: "/x"} },
		"no secret":       func(c *agent.EndpointConfig) { c.Authorization = countersign.Secret{} },
		"short secret":    func(c *agent.EndpointConfig) { c.Authorization = countersign.NewSecret(authorization[1:]) },
		"secret, break":   func(c *agent.EndpointConfig) { c.Authorization = countersign.NewSecret(authorization + "\n") },
		"two of a name":   func(c *agent.EndpointConfig) { c.Roles = []agent.Role{good, good} },
		"no name":         func(c *agent.EndpointConfig) { c.Roles[0].Name = "" },
		"a path":          func(c *agent.EndpointConfig) { c.Roles[0].Name = "a/b" },
		"a query":         func(c *agent.EndpointConfig) { c.Roles[0].Name = "a?b" },
		"no credentials":  func(c *agent.EndpointConfig) { c.Roles[0].Credentials = nil },
	}
	for name, change := range tests {
		cfg := agent.EndpointConfig{Address: address, Authorization: countersign.NewSecret(authorization), Roles: []agent.Role{good}}
		change(&cfg)
		if _, err := agent.NewEndpoint(cfg); countersign.CodeOf(err) != countersign.Invalid || strings.Contains(fmt.Sprint(err), authorization[1:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
