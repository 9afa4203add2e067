package admin_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
)

// TestRuleA5WhatEndsAccessKeys: a revocation is kept for as long as sessions live, and a key
// that it hit stays dead after that.
func TestRuleA5WhatEndsAccessKeys(t *testing.T) {
	t.Parallel()
	anyRevision := admin.AnyRevision
	for name, test := range map[string]struct {
		do      func(t *testing.T, r *rig, c admin.AccessKeyCredentials) error
		revoked bool // and not only without effect
		alive   bool
	}{
		"revoked by its id": {func(t *testing.T, r *rig, c admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{Session: c.AccessKeyID})
		}, true, false},
		"revoked here": {func(t *testing.T, r *rig, c admin.AccessKeyCredentials) error {
			_, err := r.RevokeHere(t.Context(), super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Session: c.AccessKeyID}})
			return err
		}, true, false},
		"role revoked": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer"})
		}, true, false},
		"role revoked here": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			_, err := r.RevokeHere(t.Context(), super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Role: "writer"}})
			return err
		}, true, false},
		"another role revoked": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "reader"})
		}, false, true},
		"everything revoked": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true})
		}, true, false},
		"everything until before": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true, Before: r.Clock.Now().Add(-time.Hour)})
		}, false, true},
		"service revoked": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.RevokeService(t.Context(), super(), "document-service")
		}, true, false},
		"service disabled and enabled": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			if _, err := r.SetServiceDisabled(t.Context(), super(), "document-service", anyRevision, true); err != nil {
				return err
			}
			_, err := r.SetServiceDisabled(t.Context(), super(), "document-service", anyRevision, false)
			return err
		}, true, false},
		"another service disabled": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			_, err := r.SetServiceDisabled(t.Context(), super(), "other-service", anyRevision, true)
			return err
		}, false, true},
		"role deleted": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.DeleteObject(t.Context(), super(), "Role", "writer", anyRevision)
		}, false, false},
		"role made again": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			if err := r.DeleteObject(t.Context(), super(), "Role", "writer", anyRevision); err != nil {
				return err
			}
			r.apply(t, request(keyWorld))
			return nil
		}, false, false},
		"role's statement changed": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			r.apply(t, request(strings.Replace(keyWorld, `["document-*", "other-*"]`, "[document-service]", 1)))
			return nil
		}, false, false},
		"a secret rotated": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			_, _, err := r.RotateSecret(t.Context(), super(), "document-service", anyRevision, admin.Rotation{})
			return err
		}, false, true},
		"a user revoked": {func(t *testing.T, r *rig, _ admin.AccessKeyCredentials) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{Issuer: "https://i.example", Subject: "ada"})
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newKeyRig(t)
			c := r.accessKey(t, "uploader", "document-service", "writer")
			r.Clock.Advance(time.Minute)
			if !r.opens(t, c) {
				t.Fatal("it opens nothing")
			}
			must(t, test.do(t, r, c))
			if got := r.opens(t, c); got != test.alive {
				t.Errorf("opens: %v", got)
			}
			o, err := r.Object(t.Context(), "AccessKey", "uploader")
			must(t, err)
			if want := map[bool]string{true: admin.AccessKeyLive, false: admin.AccessKeyEnded}[test.alive]; !test.revoked && o.State != want || test.revoked && o.State != admin.AccessKeyRevoked {
				t.Errorf("state %s", o.State)
			}
			events := r.Events(t, audit.Query{Action: "access-key.revoke", Decision: audit.Changed})
			if test.revoked != (len(events) == 1) || test.revoked && events[0].Session != c.AccessKeyID {
				t.Errorf("events %+v", events)
			}
			r.Clock.Advance(24 * time.Hour) // no revocation is left
			if got := r.opens(t, c); got != test.alive {
				t.Errorf("a day later it opens: %v", got)
			}
		})
	}
}

func TestRuleA5AccessKeysGoWithTheirService(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	c := r.accessKey(t, "uploader", "document-service", "writer")
	must(t, r.DeleteService(t.Context(), super(), "document-service", admin.AnyRevision))
	r.apply(t, request(keyWorld))
	if r.opens(t, c) {
		t.Error("the key of a former service opens")
	}
	if _, err := r.Object(t.Context(), "AccessKey", "uploader"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("got %v", err)
	}
}

// A key that was made right after a revocation would be hit by that.
func TestRuleE3NoAccessKeyIsBornRevoked(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	must(t, r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer"}))
	_, _, err := r.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "k", Service: "document-service", Role: "writer"})
	told, ok := errors.AsType[*countersign.Error](err)
	if !errors.Is(err, countersign.Throttled) || !ok || told.RetryAfter <= 0 || told.RetryAfter > 4*time.Second {
		t.Fatalf("got %v", err)
	}
	r.Clock.Advance(told.RetryAfter)
	if !r.opens(t, r.accessKey(t, "k", "document-service", "writer")) {
		t.Error("born revoked")
	}
}

// TestRuleE4AccessKeyRevokedInAnOutage: it ends here at once, and for ever when the store takes it.
func TestRuleE4AccessKeyRevokedInAnOutage(t *testing.T) {
	t.Parallel()
	var mode atomic.Int32
	r := newKeyRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
	c := r.accessKey(t, "uploader", "document-service", "writer")
	other := r.accessKey(t, "other", "document-service", "reader")
	r.Clock.Advance(time.Minute)
	if !r.opens(t, c) || !r.opens(t, other) {
		t.Fatal("they open nothing")
	}
	mode.Store(lost)
	_, _ = r.RevokeHere(t.Context(), super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Role: "writer"}})
	_ = r.Revoke(t.Context(), super(), admin.RevokeSelector{Session: other.AccessKeyID})
	if r.opens(t, c) {
		t.Error("it opens while the store is away")
	}
	mode.Store(healthy)
	must(t, r.Settle(t.Context()))
	r.Clock.Advance(24 * time.Hour)
	if r.opens(t, c) {
		t.Error("it opens again when the revocation is over")
	}
	if o, err := r.Object(t.Context(), "AccessKey", "uploader"); err != nil || o.State != admin.AccessKeyRevoked {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestRevokeOfAnUnknownAccessKey(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	err := r.Revoke(t.Context(), super(), admin.RevokeSelector{Session: "AKIAABCDEFGHIJ234567"})
	wantRefused(t, err, countersign.NotFound, countersign.ReasonAccessKeyUnknown)
	for _, id := range []string{"AKIA", "AKIAABCDEFGHIJ23456", "akiaABCDEFGHIJ234567", "AIDAABCDEFGHIJ234567"} {
		err := r.Revoke(t.Context(), super(), admin.RevokeSelector{Session: id})
		wantRefused(t, err, countersign.Invalid, countersign.ReasonAccessKeyMalformed)
	}
}

// TestRuleA5AccessKeyOfAReplicaThatIsAhead: what ends "now" ends every key that is there, also one
// that seems to be younger, for ever.
func TestRuleA5AccessKeyOfAReplicaThatIsAhead(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig) error{
		"service": func(r *rig) error { return r.RevokeService(t.Context(), super(), "document-service") },
		"role":    func(r *rig) error { return r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer"}) },
		"all":     func(r *rig) error { return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true}) },
		"before now": func(r *rig) error { // clocks differ by a second at most
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true, Before: r.Clock.Now()})
		},
	} {
		r := newKeyRig(t)
		ahead, err := admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Now: func() time.Time { return r.Clock.Now().Add(900 * time.Millisecond) }})
		must(t, err)
		_, c, err := ahead.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "k", Service: "document-service", Role: "writer"})
		must(t, err)
		r.Clock.Advance(100 * time.Millisecond)
		must(t, end(r))
		r.Clock.Advance(24 * time.Hour) // no revocation is left
		if o, err := r.Object(t.Context(), "AccessKey", "k"); err != nil || o.State != admin.AccessKeyRevoked || r.opens(t, c) {
			t.Errorf("%s: state %s, %v; opens %t", name, o.State, err, r.opens(t, c))
		}
	}
}

// TestRuleA5AccessKeysEndBeforeATimeLongAgo: longer ago than sessions live, when the revocation
// itself has nothing left to hit. A younger key goes on.
func TestRuleA5AccessKeysEndBeforeATimeLongAgo(t *testing.T) {
	t.Parallel()
	longAgo := func(r *rig) time.Time { return r.Clock.Now().Add(-20 * time.Hour) }
	for name, end := range map[string]func(r *rig) error{
		"service": func(r *rig) error {
			return r.RevokeServiceBefore(t.Context(), super(), "document-service", longAgo(r))
		},
		"role": func(r *rig) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer", Before: longAgo(r)})
		},
		"all": func(r *rig) error {
			return r.Revoke(t.Context(), super(), admin.RevokeSelector{All: true, Before: longAgo(r)})
		},
		"service here": func(r *rig) error {
			_, err := r.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "document-service", RevokeSelector: admin.RevokeSelector{Before: longAgo(r)}})
			return err
		},
	} {
		for outcome, failure := range map[string]int32{"stored": healthy, "failed": lost} {
			var mode atomic.Int32
			r := newKeyRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
			old := r.accessKey(t, "old", "document-service", "writer")
			r.Clock.Advance(time.Hour)
			young := r.accessKey(t, "young", "document-service", "writer")
			r.Clock.Advance(20*time.Hour - time.Minute)
			mode.Store(failure)
			if err := end(r); failure == healthy && err != nil {
				t.Fatal(err)
			}
			if r.opens(t, old) || !r.opens(t, young) {
				t.Errorf("%s, %s: the old one opens %t, the young one %t", name, outcome, r.opens(t, old), r.opens(t, young))
			}
			mode.Store(healthy)
			must(t, r.Settle(t.Context()))
			o, err := r.Object(t.Context(), "AccessKey", "old")
			must(t, err)
			if o.State != admin.AccessKeyRevoked || !r.opens(t, young) || revocations(t, r) != 0 {
				t.Errorf("%s, %s, settled: %s; the young one opens %t; %d revocations", name, outcome, o.State, r.opens(t, young), revocations(t, r))
			}
		}
	}
}

// TestRuleE4AccessKeyRevokedInALongOutage: longer than the revocation is kept. It stays dead here
// meanwhile, also after a restart, and for ever afterwards; a key that was made since goes on.
func TestRuleE4AccessKeyRevokedInALongOutage(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig) error{
		"here": func(r *rig) error {
			_, err := r.RevokeHere(t.Context(), super(), admin.HereSelector{Service: "document-service"})
			return err
		},
		"role here": func(r *rig) error {
			_, err := r.RevokeHere(t.Context(), super(), admin.HereSelector{RevokeSelector: admin.RevokeSelector{Role: "writer"}})
			return err
		},
		"failed": func(r *rig) error { return r.RevokeService(t.Context(), super(), "document-service") },
	} {
		var mode atomic.Int32
		r := newKeyRig(t, func(s store.Store) store.Store { return doubtful{s, &mode} })
		own := admin.Config{Store: r.Store, Audit: r.Audit, Registry: r.Registry, Keys: r.Keys, Now: r.Clock.Now, PendingFile: filepath.Join(t.TempDir(), "pending.json")}
		var err error
		r.Admin, err = admin.New(own)
		must(t, err)
		// Another replica, which has not lost the store.
		config := own
		config.PendingFile, config.Registry = "", otherReplica(t, r)
		config.Store = fixture.OpenStore(t, r.Path)
		config.Audit, err = audit.Open(t.Context(), audit.Config{Store: config.Store, Replica: "other", Signer: r.Keys, Now: r.Clock.Now})
		must(t, err)
		t.Cleanup(func() { _ = config.Audit.Close(context.WithoutCancel(t.Context())) })
		other, err := admin.New(config)
		must(t, err)

		c := r.accessKey(t, "k", "document-service", "writer")
		r.Clock.Advance(time.Minute)
		mode.Store(lost)
		_ = end(r)
		r.Clock.Advance(time.Hour)
		_, since, err := other.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "since", Service: "document-service", Role: "writer"})
		must(t, err)
		r.Clock.Advance(12 * time.Hour)
		if r.opens(t, c) || !r.opens(t, since) {
			t.Errorf("%s, in the outage: it opens %t, one that was made since %t", name, r.opens(t, c), r.opens(t, since))
		}
		parts := *r.Parts
		parts.Registry = otherReplica(t, r)
		own.Registry = parts.Registry
		_, err = admin.New(own)
		must(t, err)
		if (&rig{Parts: &parts}).opens(t, c) {
			t.Errorf("%s, restarted in the outage: it opens", name)
		}
		mode.Store(healthy)
		must(t, r.Settle(t.Context()))
		r.Clock.Advance(24 * time.Hour)
		o, err := r.Object(t.Context(), "AccessKey", "k")
		must(t, err)
		if o.State != admin.AccessKeyRevoked || r.opens(t, c) || !r.opens(t, since) {
			t.Errorf("%s: state %s, opens %t; one that was made since opens %t", name, o.State, r.opens(t, c), r.opens(t, since))
		}
	}
}

// TestRuleE3NoAccessKeyIsBornRevokedElsewhere: another replica revoked, and this one has not
// polled since.
func TestRuleE3NoAccessKeyIsBornRevokedElsewhere(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	behind, err := admin.New(admin.Config{Store: r.Store, Audit: r.Audit, Registry: otherReplica(t, r), Keys: r.Keys, Now: r.Clock.Now})
	must(t, err)
	must(t, r.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer"}))
	_, _, err = behind.CreateAccessKey(t.Context(), super(), admin.AccessKeySpec{Name: "k", Service: "document-service", Role: "writer"})
	if !errors.Is(err, countersign.Throttled) {
		t.Errorf("got %v, want throttled", err)
	}
}

// TestRuleA5RevocationOfEveryTimeEndsAccessKeys: one that names no time hits whatever there is, also
// when it is stored late.
func TestRuleA5RevocationOfEveryTimeEndsAccessKeys(t *testing.T) {
	t.Parallel()
	r := newKeyRig(t)
	c := r.accessKey(t, "k", "document-service", "writer")
	now := r.Clock.Now()
	must(t, r.StoreOwed(t.Context(), []store.Revocation{{Service: "document-service", CreatedAt: now, ExpiresAt: now.Add(time.Hour)}}, "lost"))
	r.Clock.Advance(24 * time.Hour)
	if r.opens(t, c) {
		t.Error("it opens when the revocation is over")
	}
}
