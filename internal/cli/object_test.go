package cli_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

var made = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)

// objects is a server with two route policies on two pages.
func objects(t *testing.T) *answering {
	t.Helper()
	object := func(name string) iamclient.Object {
		return iamclient.Object{
			Kind: "RoutePolicy", Name: name, UID: "u-" + name, Owner: "deploy", Revision: 3,
			CreatedAt: made, UpdatedAt: made, Document: "kind: RoutePolicy\nname: " + name + "\n",
		}
	}
	pages := 0
	return fakeServer(t, func(in request) (int, any) {
		switch {
		case strings.HasSuffix(in.path, "/a"):
			return http.StatusOK, object("a")
		case in.method == http.MethodDelete:
			return http.StatusConflict, map[string]string{"code": "conflict", "detail": "another revision"}
		case !strings.HasSuffix(in.path, "/RoutePolicy"):
			return http.StatusNotFound, map[string]string{"code": "not_found"}
		case pages%2 == 0:
			pages++
			return http.StatusOK, iamclient.ObjectList{Items: []iamclient.Object{object("a")}, Next: "a"}
		}
		pages++
		return http.StatusOK, iamclient.ObjectList{Items: []iamclient.Object{object("b")}}
	})
}

func TestGetPrintsWhatApplyTakes(t *testing.T) {
	t.Parallel()
	server := objects(t)
	s := shell{t: t}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"route-policy", "a"}, "# uid       u-a\n# owner     deploy\n# revision  3\n# created   2026-11-24T06:00:00Z\n# changed   2026-11-24T06:00:00Z\nkind: RoutePolicy\nname: a\n"},
		{[]string{"RoutePolicies", "--output", "yaml"}, "---\nkind: RoutePolicy\nname: a\n---\nkind: RoutePolicy\nname: b\n"},
		{[]string{"routepolicy"}, "NAME  TENANT  OWNER   REVISION  CHANGED\na             deploy  3         2026-11-24T06:00:00Z\nb             deploy  3         2026-11-24T06:00:00Z\n"},
	} {
		got := s.want(cli.ExitOK, nil, append([]string{"get", "--data", server.folder}, test.args...)...)
		if diff := cmp.Diff(test.want, got.stdout); diff != "" {
			t.Errorf("%v: %s", test.args, diff)
		}
	}
	s.want(cli.ExitOK, []string{`"revision": 3`, `"document": "kind: RoutePolicy\nname: a\n"`}, "get", "--data", server.folder, "route-policies", "a", "--output", "json")
}

func TestKindsAreNamedFreely(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, func(request) (int, any) { return http.StatusNoContent, nil })
	s := shell{t: t}
	for word, kind := range map[string]string{
		"service": "services", "services": "services", "Service": "services", "SERVICES": "services",
		"issuer": "Issuer", "Issuers": "Issuer", "role": "Role", "roles": "Role",
		"routepolicy": "RoutePolicy", "route-policy": "RoutePolicy", "route-policies": "RoutePolicy", "RoutePolicy": "RoutePolicy", "routepolicies": "RoutePolicy",
		"tenant": "Tenant", "user-role": "UserRole", "userroles": "UserRole", "bucket": "Bucket", "Buckets": "Bucket", "access-key": "AccessKey", "accesskeys": "AccessKey", "AccessKey": "AccessKey",
	} {
		s.want(cli.ExitOK, []string{" at unix:" + server.folder, " as local:"}, "delete", word, "x", "--data", server.folder)
		asked := server.requests()
		if last := asked[len(asked)-1]; !strings.HasSuffix(last.path, "/"+kind+"/x") || last.ifMatch != "*" {
			t.Errorf("%s: %v", word, last)
		}
	}
	before := len(server.requests())
	for _, word := range []string{"", "bukket", "tenan", "servic", "servicess", "issuer/x", "policy", "--", "../service"} {
		if got := s.run("delete", "--data", server.folder, "--", word, "x"); got.code != cli.ExitUsage {
			t.Errorf("%q: exit %d, %s", word, got.code, got.stderr)
		}
	}
	if len(server.requests()) != before {
		t.Error("the server was asked for an unknown kind")
	}
}

func TestDeleteNamesTheRevision(t *testing.T) {
	t.Parallel()
	server := objects(t)
	s := shell{t: t}
	s.want(cli.ExitFailed, []string{"another revision"}, "delete", "issuer", "b", "--data", server.folder, "--if-revision", "7")
	if asked := server.requests(); asked[0].ifMatch != `"7"` {
		t.Errorf("asked for %v", asked)
	}
	for _, args := range [][]string{{"issuer"}, {"issuer", ""}, {"issuer", "b", "--if-revision", "-2"}, {"issuer", "b", "--if-revision", "x"}} {
		if got := s.run(append([]string{"delete", "--data", server.folder}, args...)...); got.code == cli.ExitOK {
			t.Errorf("%v: %s", args, got.stderr)
		}
	}
	if asked := server.requests(); len(asked) != 1 {
		t.Errorf("asked for %v", asked)
	}
}

// A server from before there were documents still tells what it knows of a service; an
// unknown one is an error, whatever the server.
func TestGetServiceOfAnOlderServer(t *testing.T) {
	t.Parallel()
	older := fakeServer(t, func(in request) (int, any) {
		switch in.path {
		case iamclient.BasePath + "/admin/services/a":
			return http.StatusOK, iamclient.Service{Name: "a", UID: "u-a", Disabled: true, Revision: 4, CreatedAt: made}
		case iamclient.BasePath + "/admin/services/b":
			return http.StatusNotFound, map[string]string{"code": "not_found", "reason": "object_unknown", "detail": "no such service"}
		}
		return http.StatusNotFound, map[string]string{"code": "not_found", "detail": "there is no such path in the IAM API"}
	})
	s := shell{t: t}
	s.want(cli.ExitOK, []string{"# uid       u-a\n", "# revision  4\n", "# state     disabled\n", "not shown by this server"}, "get", "service", "a", "--data", older.folder)
	for _, args := range [][]string{{"service", "b"}, {"issuer", "a"}, {"issuer"}, {"service", "a", "--output", "table"}} {
		if got := s.run(append([]string{"get", "--data", older.folder}, args...)...); got.code != cli.ExitFailed || got.stdout != "" {
			t.Errorf("%v: exit %d, %s", args, got.code, got.stdout)
		}
	}
}
