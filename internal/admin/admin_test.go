package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func TestCreateService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, c := r.create(t, "document-service")
	if c.ClientID != "document-service" || !c.ExpiresAt.IsZero() || !r.works(t, d.Name, c) {
		t.Errorf("credentials %+v", c)
	}
	if d.Revision != 1 || len(d.Secrets) != 1 || d.Secrets[0].Hash != nil {
		t.Errorf("detail %+v", d)
	}
	read, err := r.Service(t.Context(), "document-service")
	must(t, err)
	if read.UID != d.UID || len(read.Secrets) != 1 || read.Secrets[0].Hash != nil || !read.Secrets[0].CreatedAt.Equal(d.Secrets[0].CreatedAt) {
		t.Errorf("read back %+v, made %+v", read, d)
	}
	_, _, err = r.CreateService(t.Context(), super(), admin.ServiceSpec{Name: "document-service"})
	if !errors.Is(err, countersign.Conflict) || countersign.ReasonOf(err) != countersign.ReasonNameTaken {
		t.Errorf("the same name again: %v", err)
	}
	if !r.works(t, d.Name, c) {
		t.Error("a refused create changed the service")
	}
}

func TestServicesArePaged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"c", "a", "b"} {
		r.create(t, name)
	}
	var names []string
	for after := ""; ; {
		page, err := r.Services(t.Context(), store.Page{After: after, Limit: 2})
		must(t, err)
		for _, d := range page {
			names, after = append(names, d.Name), d.Name
		}
		if len(page) < 2 {
			break
		}
	}
	if got := strings.Join(names, " "); got != "a b c" {
		t.Errorf("got %q", got)
	}
	if _, err := r.Services(t.Context(), store.Page{After: "' OR 1=1 --"}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a forged cursor: %v", err)
	}
}

func TestUnknownServices(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"nobody", "", "../x", "A", strings.Repeat("a", 64), "a\x00"} {
		_, readErr := r.Service(t.Context(), name)
		_, _, rotateErr := r.RotateSecret(t.Context(), super(), name, admin.AnyRevision, admin.Rotation{})
		_, disableErr := r.SetServiceDisabled(t.Context(), super(), name, admin.AnyRevision, true)
		for what, err := range map[string]error{
			"read": readErr, "rotate": rotateErr, "disable": disableErr,
			"delete": r.DeleteService(t.Context(), super(), name, admin.AnyRevision),
			"revoke": r.RevokeService(t.Context(), super(), name),
		} {
			if !errors.Is(err, countersign.NotFound) || countersign.ReasonOf(err) != countersign.ReasonObjectUnknown {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func TestRuleB3AtMostTwoLiveSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, first := r.create(t, "document-service")
	rotate := func(grace time.Duration) admin.Credentials {
		t.Helper()
		_, c, err := r.RotateSecret(t.Context(), super(), "document-service", admin.AnyRevision, admin.Rotation{Grace: grace})
		must(t, err)
		return c
	}
	expect := func(what string, working ...bool) func(...admin.Credentials) {
		return func(all ...admin.Credentials) {
			t.Helper()
			for i, c := range all {
				if got := r.works(t, "document-service", c); got != working[i] {
					t.Errorf("%s: secret %d works: %t, want %t", what, i+1, got, working[i])
				}
			}
		}
	}
	second := rotate(24 * time.Hour)
	expect("after one rotation", true, true)(first, second)
	r.Clock.Advance(time.Hour)
	third := rotate(24 * time.Hour)
	expect("a third ends the oldest", false, true, true)(first, second, third)
	r.Clock.Advance(24*time.Hour - time.Microsecond)
	expect("just before the grace ends", false, true, true)(first, second, third)
	r.Clock.Advance(time.Microsecond)
	expect("when the grace has ended", false, false, true)(first, second, third)
	fourth := rotate(0)
	expect("without grace", false, false, false, true)(first, second, third, fourth)

	r.Clock.Advance(31 * 24 * time.Hour)
	d, _, err := r.RotateSecret(t.Context(), super(), "document-service", admin.AnyRevision, admin.Rotation{Grace: time.Hour})
	must(t, err)
	if len(d.Secrets) != 2 {
		t.Errorf("%d secrets are kept, want the new one and the one before", len(d.Secrets))
	}
	for _, grace := range []time.Duration{-time.Second, admin.MaxGrace + time.Second} {
		_, _, err := r.RotateSecret(t.Context(), super(), "document-service", admin.AnyRevision, admin.Rotation{Grace: grace})
		if !errors.Is(err, countersign.Invalid) {
			t.Errorf("grace %v: %v", grace, err)
		}
	}
}

func TestRotationsWhileTheClockStands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, before := r.create(t, "a")
	for i := range 20 {
		_, c, err := r.RotateSecret(t.Context(), super(), "a", admin.AnyRevision, admin.Rotation{Grace: time.Hour})
		must(t, err)
		if !r.works(t, "a", c) || !r.works(t, "a", before) {
			t.Fatalf("rotation %d: not both of the two newest work", i)
		}
		before = c
	}
}

func TestRuleA5DisableEndsTokensForGood(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, _ := r.create(t, "a")
	issued := r.Clock.Now()
	r.Clock.Advance(time.Minute)
	if r.revoked(t, d, issued) {
		t.Fatal("revoked before anything happened")
	}
	disabled, err := r.SetServiceDisabled(t.Context(), super(), "a", d.Revision, true)
	must(t, err)
	if !disabled.Disabled || disabled.Revision != d.Revision+1 || !r.revoked(t, d, issued) {
		t.Errorf("disabled: %+v, revoked %t", disabled, r.revoked(t, d, issued))
	}
	r.Clock.Advance(time.Minute)
	meanwhile := r.Clock.Now() // by a replica that had not heard of it
	r.Clock.Advance(time.Minute)
	enabled, err := r.SetServiceDisabled(t.Context(), super(), "a", disabled.Revision, false)
	must(t, err)
	if enabled.Disabled || !r.revoked(t, d, issued) {
		t.Errorf("enabled: %+v; the old token is revoked: %t", enabled, r.revoked(t, d, issued))
	}
	if !r.revoked(t, d, meanwhile) {
		t.Error("a token from the time in between lives")
	}
	r.Clock.Advance(3 * time.Second) // RULES E3: until T + 2 s
	if r.revoked(t, d, r.Clock.Now()) {
		t.Error("a new token is revoked")
	}
	stored := revocations(t, r)
	_, err = r.SetServiceDisabled(t.Context(), super(), "a", enabled.Revision, false)
	must(t, err)
	if got := revocations(t, r); got != stored || r.revoked(t, d, r.Clock.Now()) {
		t.Errorf("enabling what is enabled revokes: %d rows, before %d", got, stored)
	}
	// The same from the disk alone.
	again := reopen(t, r)
	if revoked, err := again.Revoked(t.Context(), registry.TokenFacts{JTI: "some-token", Service: "a", ServiceUID: d.UID, IssuedAt: meanwhile}); err != nil || !revoked {
		t.Errorf("after a restart: %t, %v", revoked, err)
	}
}

func TestRuleA5DeleteAndCreateRevivesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, secret := r.create(t, "a")
	issued := r.Clock.Now()
	must(t, r.DeleteService(t.Context(), super(), "a", old.Revision))
	if !r.revoked(t, old, issued) {
		t.Error("a token of a deleted service lives")
	}
	fresh, _ := r.create(t, "a")
	if fresh.UID == old.UID || !r.revoked(t, old, issued) || r.works(t, "a", secret) {
		t.Errorf("uid %s and %s; old token revoked %t, old secret works %t",
			old.UID, fresh.UID, r.revoked(t, old, issued), r.works(t, "a", secret))
	}
	r.Clock.Advance(3 * time.Second) // RULES E3
	if r.revoked(t, fresh, r.Clock.Now()) {
		t.Error("a token of the new service is revoked")
	}
}

func TestRuleA9DisabledStaysThroughOtherChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	_, err := r.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, true)
	must(t, err)
	d, _, err := r.RotateSecret(t.Context(), super(), "a", admin.AnyRevision, admin.Rotation{})
	must(t, err)
	must(t, r.RevokeService(t.Context(), super(), "a"))
	if read, err := r.Service(t.Context(), "a"); err != nil || !d.Disabled || !read.Disabled {
		t.Errorf("rotated %+v, read %+v, %v", d, read, err)
	}
}

func TestRuleE3RevokeService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, _ := r.create(t, "a")
	issued := r.Clock.Now()
	must(t, r.RevokeService(t.Context(), super(), "a"))
	if !r.revoked(t, d, issued) || !r.revoked(t, d, issued.Add(2*time.Second)) || r.revoked(t, d, issued.Add(3*time.Second)) {
		t.Error("before T must cover iat up to T + 2 s")
	}
	page, err := r.Store.Revocations(t.Context(), 0, time.Time{}, 10)
	must(t, err)
	if len(page) != 1 || page[0].ServiceUID != d.UID || !page[0].ExpiresAt.Equal(issued.Add(13*time.Hour+62*time.Second)) {
		t.Errorf("stored %+v", page)
	}
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, _ := r.create(t, "a")
	now := r.Clock.Now()
	own := admin.Actor{ID: "service:a", Proof: "client_secret_basic"} // a client may revoke its own token
	must(t, r.RevokeToken(t.Context(), own, admin.Token{ID: "token-1", ExpiresAt: now.Add(15 * time.Minute), NoSessions: true}))
	for id, want := range map[string]bool{"token-1": true, "token-2": false} {
		if got, err := r.Registry.Revoked(t.Context(), registry.TokenFacts{JTI: id, Service: "a", ServiceUID: d.UID, IssuedAt: now}); err != nil || got != want {
			t.Errorf("%s: revoked %t, %v", id, got, err)
		}
	}
	must(t, r.RevokeToken(t.Context(), own, admin.Token{ID: "token-3", ExpiresAt: now.Add(-2 * time.Minute), NoSessions: true})) // ended by itself
	must(t, r.RevokeToken(t.Context(), own, admin.Token{ID: "token-5", ExpiresAt: now.Add(-13 * time.Hour)}))                    // and all that it proved
	for _, id := range []string{"", "a b", strings.Repeat("a", 65), "a\n"} {
		if err := r.RevokeToken(t.Context(), own, admin.Token{ID: id, ExpiresAt: now.Add(time.Minute)}); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := r.RevokeToken(t.Context(), own, admin.Token{ID: "token-4", ExpiresAt: now.Add(100 * time.Hour)}); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a token that lives too long: %v", err)
	}
	page, err := r.Store.Revocations(t.Context(), 0, time.Time{}, 10)
	must(t, err)
	if len(page) != 1 || page[0].JTI != "token-1" || !page[0].ExpiresAt.Equal(now.Add(15*time.Minute+62*time.Second)) {
		t.Errorf("stored %+v", page)
	}
}

func TestRuleA7OthersMayNotChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, secret := r.create(t, "a")
	other := admin.Actor{ID: "service:b", Proof: "jwt"}
	_, _, createErr := r.CreateService(t.Context(), other, admin.ServiceSpec{Name: "c", Tenant: "t"})
	_, _, rotateErr := r.RotateSecret(t.Context(), other, "a", admin.AnyRevision, admin.Rotation{})
	_, disableErr := r.SetServiceDisabled(t.Context(), other, "a", admin.AnyRevision, true)
	for what, err := range map[string]error{
		"service.create": createErr, "service.rotate": rotateErr, "service.disable": disableErr,
		"service.delete": r.DeleteService(t.Context(), other, "a", admin.AnyRevision),
		"revoke":         r.RevokeService(t.Context(), other, "a"),
	} {
		if !errors.Is(err, countersign.Denied) {
			t.Errorf("%s: %v", what, err)
		}
		events := r.Events(t, audit.Query{Action: what, Decision: audit.Refused})
		if len(events) != 1 || events[0].Actor != "service:b" || events[0].Reason != string(countersign.ReasonNotAdministrator) {
			t.Errorf("%s: events %+v", what, events)
		}
	}
	if read, err := r.Service(t.Context(), "a"); err != nil || read.Revision != d.Revision || !r.works(t, "a", secret) {
		t.Errorf("changed: %+v, %v", read, err)
	}
}

func TestRuleG4StaleRevisions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, _ := r.create(t, "a")
	now, err := r.SetServiceDisabled(t.Context(), super(), "a", d.Revision, false)
	must(t, err)
	for _, stale := range []int64{d.Revision, now.Revision + 1, 0, -2} {
		_, _, rotateErr := r.RotateSecret(t.Context(), super(), "a", stale, admin.Rotation{})
		_, disableErr := r.SetServiceDisabled(t.Context(), super(), "a", stale, true)
		for what, err := range map[string]error{
			"rotate": rotateErr, "disable": disableErr,
			"delete": r.DeleteService(t.Context(), super(), "a", stale),
		} {
			if !errors.Is(err, countersign.Conflict) || countersign.ReasonOf(err) != countersign.ReasonRevisionMismatch {
				t.Errorf("%s at %d: %v", what, stale, err)
			}
		}
	}
	read, err := r.Service(t.Context(), "a")
	must(t, err)
	if read.Revision != now.Revision || read.Disabled || len(read.Secrets) != 1 {
		t.Errorf("changed: %+v", read)
	}
}

func TestOfTwoRotationsAtOneRevisionOneWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d, _ := r.create(t, "a")
	var won atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, _, err := r.RotateSecret(t.Context(), super(), "a", d.Revision, admin.Rotation{Grace: time.Hour})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, countersign.Conflict):
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	read, err := r.Service(t.Context(), "a")
	if err != nil || won.Load() != 1 || read.Revision != d.Revision+1 || len(read.Secrets) != 2 {
		t.Errorf("%d won; %+v, %v", won.Load(), read, err)
	}
}

func TestEveryChangeIsAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	actor := super()
	step := 0
	next := func() admin.Actor {
		step++
		actor.RequestID, actor.ClientAddr = fmt.Sprintf("request-%d", step), "192.0.2.1"
		return actor
	}
	_, _, err := r.CreateService(ctx, next(), admin.ServiceSpec{Name: "a", Scopes: []string{"x"}})
	must(t, err)
	_, _, err = r.RotateSecret(ctx, next(), "a", 1, admin.Rotation{Grace: time.Hour})
	must(t, err)
	_, err = r.SetServiceDisabled(ctx, next(), "a", 2, true)
	must(t, err)
	_, err = r.SetServiceDisabled(ctx, next(), "a", 3, false)
	must(t, err)
	must(t, r.RevokeToken(ctx, next(), admin.Token{ID: "token-1", ExpiresAt: r.Clock.Now()}))
	must(t, r.RevokeService(ctx, next(), "a"))
	must(t, r.DeleteService(ctx, next(), "a", 4))
	_ = r.DeleteService(ctx, next(), "a", 4)
	_ = r.DeleteService(ctx, next(), "csk_canary", 4) // a secret in the wrong field

	want := []string{
		"service.create changed ok a", "service.rotate changed ok a", "service.disable changed ok a",
		"service.enable changed ok a", "revoke changed ok ", "revoke changed ok a", "service.delete changed ok a",
		"service.delete refused object_unknown a", "service.delete refused object_unknown ",
	}
	events := r.Events(t, audit.Query{})
	if len(events) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(events), len(want), events)
	}
	for i, e := range events {
		if got := fmt.Sprintf("%s %s %s %s", e.Action, e.Decision, e.Reason, e.Target); got != want[i] {
			t.Errorf("event %d: %q, want %q", i, got, want[i])
		}
		if e.ID != fmt.Sprintf("request-%d", i+1) || e.Actor != "local:1000" || e.Proof != "unix_socket" || e.ClientAddr != "192.0.2.1" {
			t.Errorf("event %d: %+v", i, e)
		}
		if strings.Contains(fmt.Sprintf("%+v", e), "csk_") {
			t.Errorf("event %d holds a secret: %+v", i, e)
		}
	}
	if events[4].TokenID != "token-1" {
		t.Errorf("the revoked token is not named: %+v", events[4])
	}
}
