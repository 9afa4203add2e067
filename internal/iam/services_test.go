package iam_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

func (r *rig) create(t testing.TB, name string) iamclient.Credentials {
	t.Helper()
	c, err := r.client.CreateService(t.Context(), iamclient.CreateService{
		Name: name, Scopes: []string{"s2s:internal", "audit:write"}, Audiences: []string{"parse-service", "iam-service"},
	})
	must(t, err)
	return c
}

func TestServiceThroughItsLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	made, err := r.client.CreateService(ctx, iamclient.CreateService{
		Name: "document-service", Tenant: "acme", Owner: "pipeline", Scopes: []string{"s2s:internal"},
		Audiences: []string{"parse-service"}, TokenLifetime: iamclient.Duration(5 * time.Minute),
	})
	must(t, err)
	if made.ClientID != "document-service" || made.ClientSecret.IsZero() || made.ClientSecretExpiresAt != 0 {
		t.Errorf("credentials %+v", made)
	}
	read, err := r.client.Service(ctx, "document-service")
	must(t, err)
	if diff := cmp.Diff(made.Service, read); diff != "" {
		t.Errorf("made and read differ: %s", diff)
	}
	want := iamclient.Service{
		Name: "document-service", UID: read.UID, Tenant: "acme", Owner: "pipeline", Scopes: []string{"s2s:internal"},
		Audiences: []string{"parse-service"}, TokenLifetime: iamclient.Duration(5 * time.Minute), Revision: 1,
		CreatedAt: r.Clock.Now(), UpdatedAt: r.Clock.Now(),
		Secrets: []iamclient.ServiceSecret{{ID: read.Secrets[0].ID, CreatedAt: r.Clock.Now(), Live: true}},
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Error(diff)
	}
	r.Clock.Advance(time.Minute)
	rotated, err := r.client.RotateSecret(ctx, "document-service", read.Revision, time.Hour)
	must(t, err)
	if rotated.ClientSecret.Equal(made.ClientSecret) || len(rotated.Service.Secrets) != 2 ||
		!rotated.Service.Secrets[0].ExpiresAt.Equal(r.Clock.Now().Add(time.Hour)) || !rotated.Service.Secrets[0].Live {
		t.Errorf("rotated %+v", rotated.Service)
	}
	disabled, err := r.client.DisableService(ctx, "document-service", rotated.Service.Revision)
	must(t, err)
	enabled, err := r.client.EnableService(ctx, "document-service", disabled.Revision)
	must(t, err)
	if !disabled.Disabled || enabled.Disabled || enabled.Revision != 4 {
		t.Errorf("disabled %+v, enabled %+v", disabled, enabled)
	}
	if err := r.client.DeleteService(ctx, "document-service", 3); !errors.Is(err, countersign.Conflict) {
		t.Errorf("a stale delete: %v", err)
	}
	must(t, r.client.DeleteService(ctx, "document-service", enabled.Revision))
	if _, err := r.client.Service(ctx, "document-service"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("after delete: %v", err)
	}
}

func TestServicesAreListed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if list, err := r.client.Services(t.Context(), iamclient.ServicePage{}); err != nil || list.Items == nil || len(list.Items) != 0 {
		t.Errorf("an empty list: %+v, %v", list, err)
	}
	for _, name := range []string{"c", "a", "d", "b"} {
		r.create(t, name)
	}
	var names []string
	page := iamclient.ServicePage{Limit: 2}
	for rounds := 0; rounds < 5; rounds++ {
		list, err := r.client.Services(t.Context(), page)
		must(t, err)
		for _, s := range list.Items {
			names = append(names, s.Name)
		}
		if page.After = list.Next; page.After == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "a b c d" {
		t.Errorf("got %q", got)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "taken")
	tests := []struct {
		name, body string
		status     int
		reason     countersign.Reason
	}{
		{"taken", `{"name":"taken"}`, 409, countersign.ReasonNameTaken},
		{"reserved", `{"name":"sts"}`, 400, countersign.ReasonNameReserved},
		{"capitals", `{"name":"A"}`, 400, countersign.ReasonNameInvalid},
		{"no name", `{}`, 400, countersign.ReasonNameInvalid},
		{"unknown field", `{"name":"a","uid":"mine"}`, 400, countersign.ReasonFieldUnknown},
		{"doubled field", `{"name":"a","name":"b"}`, 400, countersign.ReasonParameterDuplicated},
		{"doubled in another case", `{"name":"a","Name":"b"}`, 400, countersign.ReasonParameterDuplicated},
		{"two documents", `{"name":"a"}{}`, 400, countersign.ReasonBodyInvalid},
		{"a list", `[]`, 400, countersign.ReasonBodyInvalid},
		{"cut", `{"name":`, 400, countersign.ReasonBodyInvalid},
		{"scope of a wrong type", `{"name":"a","scopes":"x"}`, 400, countersign.ReasonParameterInvalid},
		{"bad scope", `{"name":"a","scopes":["x y"]}`, 400, countersign.ReasonParameterInvalid},
		{"bad audience", `{"name":"a","audiences":["x y"]}`, 400, countersign.ReasonParameterInvalid},
		{"lifetime without a unit", `{"name":"a","token_lifetime":"900"}`, 400, countersign.ReasonParameterInvalid},
		{"lifetime as a number", `{"name":"a","token_lifetime":900}`, 400, countersign.ReasonParameterInvalid},
		{"lifetime too long", `{"name":"a","token_lifetime":"2h"}`, 400, countersign.ReasonParameterInvalid},
		{"too large", `{"name":"` + strings.Repeat("a", 130<<10) + `"}`, 413, countersign.ReasonBodyTooLarge},
		{"deep", strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100), 400, countersign.ReasonBodyInvalid},
	}
	for _, test := range tests {
		got := r.ask(t, ask{method: "POST", path: "/admin/services", body: test.body, local: true})
		if got.status != test.status || got.problem.Reason != string(test.reason) {
			t.Errorf("%s: %d %+v", test.name, got.status, got.problem)
		}
		events := r.Events(t, audit.Query{ID: got.problem.RequestID})
		if len(events) != 1 || events[0].Decision != audit.Refused || events[0].Action != "service.create" || events[0].Reason != string(test.reason) {
			t.Errorf("%s: events %+v", test.name, events)
		}
	}
	got := r.ask(t, ask{method: "POST", path: "/admin/services", body: `{"name":"a"}`, local: true,
		header: map[string]string{"Content-Type": "text/plain"}})
	if got.status != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %d %+v", got.status, got.problem)
	}
	if got := r.ask(t, ask{method: "POST", path: "/admin/services?name=a", body: `{"name":"a"}`, local: true}); got.status != 400 {
		t.Errorf("a query: %d", got.status)
	}
}

func TestRuleG4EveryWriteNeedsIfMatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.create(t, "a")
	const path = "/admin/services/a"
	for _, write := range []struct{ method, path string }{
		{"POST", path + "/rotate"}, {"POST", path + "/disable"}, {"POST", path + "/enable"}, {"DELETE", path},
	} {
		for value, status := range map[string]int{"": 428, `"7"`: 412, `W/"1"`: 400, "1": 400} {
			header := map[string]string{}
			if value != "" {
				header["If-Match"] = value
			}
			got := r.ask(t, ask{method: write.method, path: write.path, local: true, header: header})
			if got.status != status || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s with If-Match %q: %d, want %d", write.method, write.path, value, got.status, status)
			}
		}
	}
	got := r.ask(t, ask{method: "GET", path: path, local: true})
	if got.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %q after refused writes", got.header.Get("ETag"))
	}
	if s, err := r.client.Service(t.Context(), "a"); err != nil || cmp.Diff(made.Service, s) != "" {
		t.Errorf("the service was changed: %+v, %v", s, err)
	}
	got = r.ask(t, ask{method: "POST", path: path + "/disable", local: true, header: map[string]string{"If-Match": `"1"`}})
	if got.status != 200 || got.header.Get("ETag") != `"2"` {
		t.Errorf("disable: %d, ETag %q", got.status, got.header.Get("ETag"))
	}
	got = r.ask(t, ask{method: "DELETE", path: path, local: true, header: map[string]string{"If-Match": "*"}})
	if got.status != 204 || got.body != "" {
		t.Errorf("delete: %d %q", got.status, got.body)
	}
}

func TestRotationOverTheWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	for body, status := range map[string]int{
		``: 200, `{}`: 200, `{"grace":"0s"}`: 200, `{"grace":"7d"}`: 200,
		`{"grace":"31d"}`: 400, `{"grace":"-1h"}`: 400, `{"grace":24}`: 400, `{"grace":"24"}`: 400,
		`{"now":true}`: 400, `x`: 400,
	} {
		got := r.ask(t, ask{method: "POST", path: "/admin/services/a/rotate", body: body, local: true, header: map[string]string{"If-Match": "*"}})
		if got.status != status {
			t.Errorf("%q: %d %s", body, got.status, got.problem.Detail)
		}
	}
	got := r.ask(t, ask{method: "POST", path: "/admin/services/a/disable", body: `{"grace":"0s"}`, local: true, header: map[string]string{"If-Match": "*"}})
	if got.status != 400 || got.problem.Reason != string(countersign.ReasonBodyInvalid) {
		t.Errorf("a body where none is taken: %d %+v", got.status, got.problem)
	}
}

func TestOfTwoRotationsWithOneETagOneWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.create(t, "a")
	var won, lost atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			_, err := r.client.RotateSecret(t.Context(), "a", made.Service.Revision, time.Hour)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, countersign.Conflict):
				lost.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || lost.Load() != 3 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, test := range []struct {
		method, path, allow string
		status              int
	}{
		{"PUT", "/admin/services", "GET, POST", 405},
		{"PATCH", "/admin/services/a", "DELETE, GET", 405},
		{"GET", "/admin/services/a/rotate", "POST", 405},
		{"GET", "/system/audit/events", "POST", 405},
		{"GET", "/admin", "", 404},
		{"GET", "/admin/session", "", 404},
		{"DELETE", "/admin/keys", "GET", 405},
		{"PUT", "/admin/resources", "POST", 405},
		{"GET", "/admin/services/a/b/c", "", 404},
		{"GET", "/", "", 404},
	} {
		got := r.ask(t, ask{method: test.method, path: test.path, local: true})
		if got.status != test.status || got.header.Get("Allow") != test.allow || got.problem.Status != test.status {
			t.Errorf("%s %s: %d, Allow %q, %+v", test.method, test.path, got.status, got.header.Get("Allow"), got.problem)
		}
	}
}

// TestDocumentsMirrorAudit holds the client's documents against what is encoded.
func TestDocumentsMirrorAudit(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]any{
		{audit.Event{}, iamclient.AuditEvent{}}, {audit.Report{}, iamclient.AuditReport{}},
		{audit.Finding{}, iamclient.AuditFinding{}}, {audit.Result{}, iamclient.AuditPage{}},
	} {
		ours, theirs := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1])
		if ours.NumField() != theirs.NumField() {
			t.Errorf("%v has %d fields, %v %d", ours, ours.NumField(), theirs, theirs.NumField())
			continue
		}
		for i := range ours.NumField() {
			a, b := ours.Field(i), theirs.Field(i)
			if a.Name != b.Name || a.Tag != b.Tag || a.Type.Kind() != b.Type.Kind() {
				t.Errorf("%v.%s %s differs from %v.%s %s", ours, a.Name, a.Tag, theirs, b.Name, b.Tag)
			}
		}
	}
}
