package admin_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
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
