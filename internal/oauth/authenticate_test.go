package oauth_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/oauth"
)

// The bodies and headers of all of these are the same but for the request id.
func TestRuleB4SameAnswerForUnknownDisabledAndWrongSecret(t *testing.T) {
	t.Parallel()
	f := newRig(t, func(cfg *oauth.Config) { cfg.ExposeReasons = true })
	secrets := f.story(t)
	old := secrets["document-service"]
	if _, _, err := f.admin.RotateSecret(t.Context(), root, "document-service", admin.AnyRevision, admin.Rotation{Grace: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if a := f.do(t, call{id: "document-service", secret: old, form: grant()}); a.status != http.StatusOK {
		t.Fatalf("within the grace: %d %s", a.status, a.text)
	}
	f.Clock.Advance(time.Hour)
	if _, err := f.admin.SetServiceDisabled(t.Context(), root, "backend-actor", admin.AnyRevision, true); err != nil {
		t.Fatal(err)
	}
	calls := map[string]call{
		"client_unknown":  {id: "nobody", secret: old, form: grant()},
		"client_disabled": {id: "backend-actor", secret: secrets["backend-actor"], form: grant("audience", "parse-service")},
		"secret_wrong":    {id: "parse-service", secret: old, form: grant()},
		"secret_expired":  {id: "document-service", secret: old, form: grant()},
	}
	var first string
	for reason, c := range calls {
		for _, post := range []bool{false, true} {
			if post {
				c.form = grant("client_id", c.id, "client_secret", c.secret, "audience", "parse-service")
				c.id, c.secret = "", ""
			}
			a := f.do(t, c)
			id := a.header.Get("X-Request-Id")
			a.header.Del("X-Request-Id")
			seen := strings.ReplaceAll(a.text, id, "ID")
			for _, name := range []string{"Cache-Control", "Content-Length", "Content-Type", "Pragma", "Www-Authenticate", "X-Content-Type-Options"} {
				seen += "\n" + name + ": " + a.header.Get(name)
				a.header.Del(name)
			}
			if len(a.header) != 0 {
				t.Errorf("%s: further headers %v", reason, a.header)
			}
			if first == "" {
				first = seen
			}
			if a.status != http.StatusUnauthorized || seen != first {
				t.Errorf("%s: %d\n%s\nwant\n%s", reason, a.status, seen, first)
			}
		}
		if found := f.Events(t, audit.Query{Reason: reason}); len(found) == 0 {
			t.Errorf("%s: the audit log doesn't know", reason)
		}
	}
}

func TestRuleB4FailuresLockNobodyElseOut(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	guesser, neighbour := "198.51.100.7", "198.51.100.8"
	var a answer
	for range 20 {
		if a = f.do(t, call{id: "document-service", secret: "guess", form: grant(), from: guesser}); a.status != http.StatusUnauthorized {
			break
		}
	}
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Fatalf("after 20 guesses: %d %s", a.status, a.text)
	}
	if a := f.do(t, call{id: "document-service", secret: secret, form: grant(), from: guesser}); a.status != http.StatusTooManyRequests {
		t.Errorf("the guesser is told by status whether the guess was right: %d", a.status)
	}
	if a := f.do(t, call{id: "document-service", secret: secret, form: grant(), from: neighbour}); a.status != http.StatusOK {
		t.Errorf("another address is locked out: %d %s", a.status, a.text)
	}
	if a := f.do(t, call{id: "parse-service", secret: "guess", form: grant(), from: guesser}); a.status != http.StatusUnauthorized {
		t.Errorf("another client is locked out: %d %s", a.status, a.text)
	}
	f.Clock.Advance(time.Minute)
	if a := f.do(t, call{id: "document-service", secret: secret, form: grant(), from: guesser}); a.status != http.StatusOK {
		t.Errorf("a minute later: %d %s", a.status, a.text)
	}
	if found := f.Events(t, audit.Query{Reason: "rate_limited"}); len(found) == 0 {
		t.Error("the audit log doesn't know")
	}
}

// vulnerabilities 23: disable, delete, re-create.
func TestVulnerability23DisabledAndRecreatedServices(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	get := func(secret string) int {
		return f.do(t, call{id: "document-service", secret: secret, form: grant()}).status
	}
	if _, err := f.admin.SetServiceDisabled(t.Context(), root, "document-service", admin.AnyRevision, true); err != nil {
		t.Fatal(err)
	}
	if got := get(secret); got != http.StatusUnauthorized {
		t.Errorf("disabled: %d", got)
	}
	if _, err := f.admin.SetServiceDisabled(t.Context(), root, "document-service", admin.AnyRevision, false); err != nil {
		t.Fatal(err)
	}
	if got := get(secret); got != http.StatusOK {
		t.Errorf("enabled: %d", got)
	}
	if err := f.admin.DeleteService(t.Context(), root, "document-service", admin.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if got := get(secret); got != http.StatusUnauthorized {
		t.Errorf("deleted: %d", got)
	}
	again := f.service(t, admin.ServiceSpec{Name: "document-service", Audiences: []string{"parse-service"}})
	if got := get(secret); got != http.StatusUnauthorized {
		t.Errorf("re-created, old secret: %d", got)
	}
	if got := get(again); got != http.StatusOK {
		t.Errorf("re-created, new secret: %d", got)
	}
}
