package oauth_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/verify"
)

// RULES E1, E2: the numbers went back, in a recovery to a point in time. A receiver that knows
// a higher one is never told that it knows everything: it gets all there is.
func TestRuleE1NumberAboveTheHeadStartsAnew(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"alone": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newRigOn(t, fixture.Config{Start: time.Now(), Shared: shared})
			f.story(t)
			if err := f.admin.Revoke(t.Context(), root, admin.RevokeSelector{All: true}); err != nil {
				t.Fatal(err)
			}
			whole := f.feed(t, "")
			page := f.feed(t, "?wait=20s&epoch=e1&since=500")
			if page.Since != 0 || page.Seq >= 500 || len(page.Entries) == 0 || page.Seq < whole.Seq {
				t.Errorf("since 500: %+v", page)
			}
		})
	}
}

// A receiver that asked a faster replica before is ahead of this one for a moment: it loses
// nothing. Without the database nobody can tell why it is ahead, and it keeps what it has.
func TestRuleE1NumberOfAFasterReplica(t *testing.T) {
	t.Parallel()
	gone := new(atomic.Bool)
	f := newRigOn(t, fixture.Config{Start: time.Now(), Shared: true, WrapStore: func(s store.Store) store.Store { return fixture.Headless{Store: s, Gone: gone} }})
	if err := f.Registry.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := f.feed(t, "?epoch=e1&since=0")
	var seq int64
	err := f.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		seq, err = tx.PutRevocation(ctx, store.Revocation{JTI: "elsewhere", CreatedAt: f.Clock.Now(), ExpiresAt: f.Clock.Now().Add(time.Hour)})
		return err
	})
	if err != nil || seq <= before.Seq {
		t.Fatal(seq, before.Seq, err)
	}
	gone.Store(true)
	query := "?epoch=e1&since=" + text(seq)
	if a := f.do(t, call{method: http.MethodGet, path: "/oauth2/revocations" + query}); a.status != http.StatusServiceUnavailable {
		t.Errorf("without the database: %d %s", a.status, a.text)
	}
	gone.Store(false)
	if page := f.feed(t, query); page.Since != seq || page.Seq != seq || len(page.Entries) != 0 {
		t.Errorf("since %d: %+v", seq, page)
	}
}

// A poll comes between the time for which a page is complete and the page, whichever is looked
// at first: what the page claims is true.
func TestRuleE1PageIsCompleteForItsTime(t *testing.T) {
	t.Parallel()
	for at := 1; pollsAtLook(t, at); at++ {
		if at > 20 {
			t.Fatal("there is no end of looks at the clock")
		}
	}
}

// pollsAtLook revokes and polls when the view is looked at for the nth time, each of which
// begins with a look at the clock; false = a request has fewer.
func pollsAtLook(t *testing.T, nth int) bool {
	t.Helper()
	var hook atomic.Pointer[func()]
	f := newRigOn(t, fixture.Config{Start: time.Now(), Shared: true})
	view, err := registry.New(t.Context(), registry.Config{Store: f.Store, Shared: true, Now: func() time.Time {
		if fn := hook.Load(); fn != nil {
			(*fn)()
		}
		return f.Clock.Now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	door := newRigOn(t, fixture.Config{Start: f.Clock.Now()}, func(cfg *oauth.Config) { cfg.Registry = view })
	looks := 0
	var revokedAt time.Time
	poll := func() {
		if looks++; looks != nth {
			return
		}
		hook.Store(nil)
		f.Clock.Advance(100 * time.Millisecond)
		revokedAt = f.Clock.Now()
		err := f.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.PutRevocation(ctx, store.Revocation{JTI: "between", CreatedAt: revokedAt, ExpiresAt: revokedAt.Add(time.Hour)})
			return err
		})
		if err != nil {
			t.Error(err)
		}
		f.Clock.Advance(100 * time.Millisecond)
		if err := view.Sync(context.Background()); err != nil {
			t.Error(err)
		}
	}
	hook.Store(&poll)
	page := door.feed(t, "?epoch=e1&since=0")
	if revokedAt.IsZero() {
		return false
	}
	has := slices.ContainsFunc(page.Entries, func(r verify.Revocation) bool { return r.JTI == "between" })
	if page.FreshAt >= revokedAt.UnixMilli() && !has {
		t.Errorf("look %d: complete up to %d, and what was revoked at %d is not there", nth, page.FreshAt, revokedAt.UnixMilli())
	}
	return true
}
