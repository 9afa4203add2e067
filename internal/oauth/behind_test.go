package oauth_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

// RULES B5, E2: a view that is behind another replica may hold a token for dead that
// lives. Who revokes it there is not told that it is dead already: it is revoked, or the
// answer is 503.
func TestRuleB5RevokeDoesNotTrustAViewThatIsBehind(t *testing.T) {
	t.Parallel()
	gone := new(atomic.Bool)
	f := newRigOn(t, fixture.Config{Start: time.Now(), Shared: true, WrapStore: func(s store.Store) store.Store { return fixture.Headless{Store: s, Gone: gone} }})
	secret := f.service(t, admin.ServiceSpec{Name: "caller", Audiences: []string{"receiver"}})
	receiver := f.service(t, admin.ServiceSpec{Name: "receiver"})
	token := f.token(t, "caller", secret, "receiver")
	active := func() bool {
		a := f.do(t, call{path: introspect, id: "receiver", secret: receiver, form: form("token", token)})
		if a.status != http.StatusOK {
			t.Fatalf("introspect: %d %s", a.status, a.text)
		}
		live, _ := a.body["active"].(bool)
		return live
	}
	if !active() {
		t.Fatal("the token is dead")
	}
	f.FallBehind(t, "caller")
	if active() {
		t.Fatal("the view is not behind")
	}
	end := func() int {
		return f.do(t, call{path: revoke, id: "receiver", secret: receiver, form: form("token", token)}).status
	}
	gone.Store(true)
	if got := end(); got != http.StatusServiceUnavailable {
		t.Errorf("without the store: %d, want 503", got)
	}
	gone.Store(false)
	// Known again, it lives, and is another client's: that it is refused shows that it was looked at.
	if got := end(); got == http.StatusOK {
		t.Error("another client's living token was called dead")
	}
	if !active() {
		t.Error("the token is dead")
	}
	f.FallBehind(t, "caller")
	if a := f.do(t, call{path: revoke, id: "caller", secret: secret, form: form("token", token)}); a.status == http.StatusOK {
		t.Error("a client that is disabled by the view was let in") // it is refused, and tries again
	}
	if err := f.Registry.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := f.do(t, call{path: revoke, id: "caller", secret: secret, form: form("token", token)}); a.status != http.StatusOK || active() {
		t.Errorf("revoke: %d %s, and the token is active: %t", a.status, a.text, active())
	}
}
