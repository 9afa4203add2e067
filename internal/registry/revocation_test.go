package registry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// commit stores a revocation and takes it into the view, as admin does.
func commit(tb testing.TB, s store.Store, r *registry.Registry, rev store.Revocation) {
	tb.Helper()
	update(tb, s, func(ctx context.Context, tx store.Tx) (err error) {
		rev.Seq, err = tx.PutRevocation(ctx, rev)
		return err
	})
	r.Revoke(rev)
}

func revoked(t *testing.T, r *registry.Registry, jti, service, uid string, issuedAt time.Time) bool {
	t.Helper()
	is, err := r.Revoked(t.Context(), registry.TokenFacts{JTI: jti, Service: service, ServiceUID: uid, IssuedAt: issuedAt})
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func facts(service, uid string) registry.TokenFacts {
	return registry.TokenFacts{Service: service, ServiceUID: uid}
}

func TestRevokedByToken(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	commit(t, s, r, store.Revocation{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	for _, view := range []*registry.Registry{r, newRegistry(t, s, c, 0)} { // after a restart too
		if !revoked(t, view, "jti-1", "a", "uid-a", start.Add(time.Minute)) {
			t.Error("the revoked token lives")
		}
		for _, jti := range []string{"jti-2", "jti-", "jti-11", ""} {
			if revoked(t, view, jti, "a", "uid-a", start) {
				t.Errorf("the token %q is dead", jti)
			}
		}
	}
}

func TestRuleE3BeforeCoversTwoSecondsMore(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	register(t, s, "b", "uid-b")
	r := newRegistry(t, s, c, 0)
	before := start.Add(500 * time.Millisecond)
	commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: before, ExpiresAt: start.Add(2 * time.Hour), CreatedAt: start})
	for _, view := range []*registry.Registry{r, newRegistry(t, s, c, 0)} {
		for _, test := range []struct {
			iat  time.Time
			want bool
		}{
			{start.Add(-time.Hour), true},
			{start, true},
			{start.Add(2 * time.Second), true},
			{before.Add(2 * time.Second), true}, // ≤ T + 2 s
			{before.Add(2*time.Second + 1), false},
			{start.Add(3 * time.Second), false},
			{start.Add(time.Hour), false},
		} {
			if got := revoked(t, view, "jti", "a", "uid-a", test.iat); got != test.want {
				t.Errorf("iat %v: revoked %v, want %v", test.iat.Sub(start), got, test.want)
			}
		}
		if revoked(t, view, "jti", "b", "uid-b", start) {
			t.Error("another service's token is dead")
		}
	}
}

func TestRuleE3MintingWaitsItOut(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	if from := r.MintFrom(facts("a", "uid-a")); !from.IsZero() {
		t.Fatalf("nothing is revoked, but minting waits for %v", from)
	}
	for _, part := range []time.Duration{0, 1, 300 * time.Millisecond, 999 * time.Millisecond} {
		c.Advance(time.Minute)
		before := c.Now().Add(part)
		commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: before, ExpiresAt: before.Add(time.Hour), CreatedAt: before})
		from := r.MintFrom(facts("a", "uid-a"))
		if wait := from.Sub(before); wait <= 2*time.Second || wait > 3*time.Second {
			t.Errorf("minting waits %v, want 2 s and to the next whole second", wait)
		}
		if revoked(t, r, "jti", "a", "uid-a", from.Truncate(time.Second)) {
			t.Error("a token minted then is born revoked")
		}
		if !revoked(t, r, "jti", "a", "uid-a", from.Add(-1).Truncate(time.Second)) {
			t.Error("minting waits longer than it must")
		}
		if !r.MintFrom(facts("b", "uid-b")).IsZero() || !r.MintFrom(facts("a", "uid-other")).IsZero() {
			t.Error("another service waits")
		}
	}
}

func TestRevocationWithoutATimeCoversEveryToken(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	// A narrower one beside it changes nothing.
	commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: start, ExpiresAt: start.Add(2 * time.Hour), CreatedAt: start})
	if !revoked(t, r, "jti", "a", "uid-a", start.Add(59*time.Minute)) {
		t.Error("a token from after the revocation lives")
	}
	if from := r.MintFrom(facts("a", "uid-a")); from.Before(start.Add(time.Hour)) {
		t.Errorf("minting goes on at %v", from)
	}
	c.Advance(90 * time.Minute)
	if revoked(t, r, "jti", "a", "uid-a", start.Add(time.Minute)) || !revoked(t, r, "jti", "a", "uid-a", start) {
		t.Error("after its end only the narrower one holds")
	}
}

// A revocation that names no uid ends the tokens of every service of that name.
func TestRevocationByNameAlone(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	commit(t, s, r, store.Revocation{Service: "a", Before: start, ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	if !revoked(t, r, "jti", "a", "uid-a", start) || revoked(t, r, "jti", "a", "uid-a", start.Add(time.Minute)) {
		t.Error("not as it should be")
	}
}

func TestRuleA5DeadServicesEndTheirTokens(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	later := start.Add(10 * time.Minute) // issued long after anything that happens here
	if revoked(t, r, "jti", "a", "uid-a", later) {
		t.Fatal("a good token is dead")
	}
	for name, test := range map[string]struct{ service, uid string }{
		"unknown service": {"b", "uid-a"},
		"no service":      {"", "uid-a"},
		"no uid":          {"a", ""},
		"another uid":     {"a", "uid-b"},
		"uid's prefix":    {"a", "uid-"},
		"not a name":      {"A", "uid-a"},
	} {
		if !revoked(t, r, "jti", test.service, test.uid, later) {
			t.Errorf("%s: the token lives", name)
		}
	}
	change(t, s, "a", func(s *store.Service) { s.Disabled = true })
	r.Forget("a")
	if !revoked(t, r, "jti", "a", "uid-a", later) {
		t.Error("the token of a disabled service lives")
	}
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-a") })
	r.Forget("a")
	if !revoked(t, r, "jti", "a", "uid-a", later) {
		t.Error("the token of a deleted service lives")
	}
	register(t, s, "a", "uid-again")
	r.Forget("a")
	if !revoked(t, r, "jti", "a", "uid-a", later) {
		t.Error("delete and re-create revived a token")
	}
	if revoked(t, r, "jti", "a", "uid-again", later) {
		t.Error("the new service's token is dead")
	}
}

// Disable stores a revocation until now; enabling again does not lift it.
func TestRuleA5EnableRevivesNothing(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	issued := c.Now()
	c.Advance(time.Minute)

	change(t, s, "a", func(s *store.Service) { s.Disabled = true })
	commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: c.Now(), ExpiresAt: c.Now().Add(time.Hour), CreatedAt: c.Now()})
	r.Forget("a")
	c.Advance(time.Second)
	change(t, s, "a", func(s *store.Service) { s.Disabled = false })
	r.Forget("a")

	for _, view := range []*registry.Registry{r, newRegistry(t, s, c, 0)} {
		if !revoked(t, view, "jti", "a", "uid-a", issued) {
			t.Error("a token from before the disable is alive again")
		}
		from := view.MintFrom(facts("a", "uid-a"))
		if !from.After(c.Now()) {
			t.Errorf("a token could be minted that is born revoked: %v", from)
		}
		if revoked(t, view, "jti", "a", "uid-a", from) {
			t.Error("a new token is dead")
		}
	}
}

// Verifiers allow a token a minute past its end, so its revocation holds longer.
func TestRevocationsHoldPastTheirEndAndThenGo(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	r := newRegistry(t, s, c, 0)
	for i := range 50 {
		commit(t, s, r, store.Revocation{JTI: fmt.Sprint("jti-", i), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	}
	commit(t, s, r, store.Revocation{Service: "a", ServiceUID: "uid-a", Before: start, ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	c.Advance(time.Hour + time.Minute)
	for _, view := range []*registry.Registry{r, newRegistry(t, s, c, 0)} {
		if !revoked(t, view, "jti-7", "a", "uid-a", start.Add(time.Minute)) || !revoked(t, view, "jti", "a", "uid-a", start) {
			t.Error("gone while a verifier may still take the token")
		}
	}
	c.Advance(time.Hour)
	if held, _ := newRegistry(t, s, c, 0).Held(); held != 0 {
		t.Errorf("a fresh view holds %d ended revocations", held)
	}
	r.Revoke(store.Revocation{JTI: "new", ExpiresAt: c.Now().Add(time.Hour)})
	if held, _ := r.Held(); held != 1 {
		t.Errorf("%d revocations are held, want the new one", held)
	}
}

func TestManyRevocationsAreLoaded(t *testing.T) {
	t.Parallel()
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	register(t, s, "a", "uid-a")
	const many = 2*store.MaxLimit + 1
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range many {
			if _, err := tx.PutRevocation(ctx, store.Revocation{JTI: fmt.Sprint("jti-", i), ExpiresAt: start.Add(time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	})
	r := newRegistry(t, s, c, 0)
	for _, i := range []int{0, store.MaxLimit - 1, store.MaxLimit, many - 1} {
		if !revoked(t, r, fmt.Sprint("jti-", i), "a", "uid-a", start) {
			t.Errorf("revocation %d was not loaded", i)
		}
	}
}
