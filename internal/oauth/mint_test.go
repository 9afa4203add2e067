package oauth_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/oauth"
)

// A token is never born revoked: who asks right after a revocation waits.
func TestRuleE3MintingWaitsForARevocationToPass(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.story(t)["document-service"]
	old := f.token(t, "document-service", secret, "parse-service")
	revoked := f.Clock.Now()
	if err := f.admin.RevokeService(t.Context(), root, "document-service"); err != nil {
		t.Fatal(err)
	}
	fresh := f.token(t, "document-service", secret, "parse-service")
	if waited := f.Clock.Now().Sub(revoked); waited <= 2*time.Second || waited > 4*time.Second {
		t.Errorf("waited %v", waited)
	}
	checkInactive(t, f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", old)}))
	if a := f.do(t, call{path: introspect, id: "document-service", secret: secret, form: form("token", fresh)}); a.body["active"] != true {
		t.Errorf("born revoked: %s", a.text)
	}
}

// changes are what may become of a client while its request is under way, and what the
// request gets then. RFC 6749 §5.2 invalid_grant: the grant was revoked. A client whose
// secret was rotated may have a good one still, and is to ask again.
var changes = map[string]struct {
	change func(t *testing.T, f *rig)
	status int
	word   string
}{
	"disabled": {status: http.StatusBadRequest, word: "invalid_grant", change: func(t *testing.T, f *rig) {
		t.Helper()
		if _, err := f.admin.SetServiceDisabled(t.Context(), root, "document-service", admin.AnyRevision, true); err != nil {
			t.Error(err)
		}
	}},
	"secret ended": {status: http.StatusServiceUnavailable, word: "temporarily_unavailable", change: func(t *testing.T, f *rig) {
		t.Helper()
		if _, _, err := f.admin.RotateSecret(t.Context(), root, "document-service", admin.AnyRevision, admin.Rotation{}); err != nil {
			t.Error(err)
		}
	}},
	"deleted": {status: http.StatusBadRequest, word: "invalid_grant", change: func(t *testing.T, f *rig) {
		t.Helper()
		if err := f.admin.DeleteService(t.Context(), root, "document-service", admin.AnyRevision); err != nil {
			t.Error(err)
		}
	}},
}

func TestRuleE3ClientChangedWhileItsRequestWaited(t *testing.T) {
	t.Parallel()
	for name, tt := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *rig
			f = newRig(t, func(cfg *oauth.Config) {
				cfg.Sleep = func(_ context.Context, d time.Duration) error {
					tt.change(t, f)
					f.Clock.Advance(d)
					return nil
				}
			})
			secret := f.story(t)["document-service"]
			if err := f.admin.RevokeService(t.Context(), root, "document-service"); err != nil {
				t.Fatal(err)
			}
			a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
			if a.status != tt.status || a.word("error") != tt.word {
				t.Fatalf("got %d %s", a.status, a.text)
			}
			checkRefusal(t, a)
		})
	}
}

// A request that was authenticated, stalled, and goes on when its client is locked out:
// its token would have an iat that no revocation covers, and live on after an enable.
func TestRuleA5RequestThatStalledGetsNoToken(t *testing.T) {
	t.Parallel()
	for name, tt := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f *rig
			var asked int // of the clock, by the request: for its event, then by its authentication
			f = newRig(t, func(cfg *oauth.Config) {
				now := cfg.Now
				cfg.Now = func() time.Time {
					if asked++; asked == 2 {
						tt.change(t, f)
						f.Clock.Advance(10 * time.Second)
					}
					return now()
				}
			})
			secret := f.story(t)["document-service"]
			a := f.do(t, call{id: "document-service", secret: secret, form: grant()})
			if a.status != tt.status || a.word("error") != tt.word || asked < 2 {
				t.Fatalf("got %d %s", a.status, a.text)
			}
			events := f.Events(t, audit.Query{ID: a.header.Get("X-Request-Id")})
			if len(events) != 2 || events[1].Decision != audit.Refused || events[1].Reason != string(countersign.ReasonTokenRevoked) {
				t.Errorf("events %+v", events)
			}
		})
	}
}

func TestRuleE3ServiceRevokedAgainAndAgain(t *testing.T) {
	t.Parallel()
	var f *rig
	f = newRig(t, func(cfg *oauth.Config) {
		cfg.Sleep = func(ctx context.Context, d time.Duration) error {
			f.Clock.Advance(d)
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
