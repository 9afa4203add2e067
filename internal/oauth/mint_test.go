package oauth_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/oauth"
)

// A token is never born revoked: who asks right after a revocation waits.
func TestRuleE3MintingWaitsForARevocationToPass(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secret := f.story(t)["document-service"]
	old := f.token(t, "document-service", secret, "parse-service")
	revoked := f.clock.Now()
	if err := f.admin.RevokeService(t.Context(), root, "document-service"); err != nil {
		t.Fatal(err)
	}
	fresh := f.token(t, "document-service", secret, "parse-service")
	if waited := f.clock.Now().Sub(revoked); waited <= 2*time.Second || waited > 4*time.Second {
		t.Errorf("waited %v", waited)
	}
	checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", old)}))
	if a := f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", fresh)}); a.body["active"] != true {
		t.Errorf("born revoked: %s", a.text)
	}
}

// RFC 6749 §5.2 invalid_grant: the client's grant was revoked while the request waited.
func TestRuleE3ClientChangedWhileItsRequestWaited(t *testing.T) {
	t.Parallel()
	changes := map[string]func(t *testing.T, f *fixture){
		"disabled": func(t *testing.T, f *fixture) {
			t.Helper()
			if _, err := f.admin.SetServiceDisabled(t.Context(), root, "document-service", admin.AnyRevision, true); err != nil {
				t.Error(err)
			}
		},
		"secret ended": func(t *testing.T, f *fixture) {
			t.Helper()
			if _, _, err := f.admin.RotateSecret(t.Context(), root, "document-service", admin.AnyRevision, admin.Rotation{}); err != nil {
				t.Error(err)
			}
		},
		"deleted": func(t *testing.T, f *fixture) {
			t.Helper()
			if err := f.admin.DeleteService(t.Context(), root, "document-service", admin.AnyRevision); err != nil {
				t.Error(err)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *fixture
			f = newFixture(t, func(cfg *oauth.Config) {
				cfg.Sleep = func(_ context.Context, d time.Duration) error {
					change(t, f)
					f.clock.Advance(d)
					return nil
				}
			})
			secret := f.story(t)["document-service"]
			if err := f.admin.RevokeService(t.Context(), root, "document-service"); err != nil {
				t.Fatal(err)
			}
			a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
			if a.status != http.StatusBadRequest || a.word("error") != "invalid_grant" {
				t.Fatalf("got %d %s", a.status, a.text)
			}
			checkRefusal(t, a)
		})
	}
}

func TestRuleE3ServiceRevokedAgainAndAgain(t *testing.T) {
	t.Parallel()
	var f *fixture
	f = newFixture(t, func(cfg *oauth.Config) {
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			f.clock.Advance(d)
			return f.admin.RevokeService(ctx, root, "document-service")
		}
	})
	secret := f.story(t)["document-service"]
	if err := f.admin.RevokeService(t.Context(), root, "document-service"); err != nil {
		t.Fatal(err)
	}
	a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Fatalf("got %d %s", a.status, a.text)
	}
}
