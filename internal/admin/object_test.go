package admin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

var pageOfAll = store.Page{Limit: store.MaxLimit}

func TestDeleteObject(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, request(twoServices+"---\n"+onePolicy))
	o, err := r.Object(t.Context(), "RoutePolicy", "b-defaults")
	must(t, err)
	if o.Revision != 1 || o.UID == "" || o.CreatedAt.IsZero() {
		t.Errorf("got %+v", o)
	}
	wantRefused(t, r.DeleteObject(t.Context(), super(), "RoutePolicy", "b-defaults", 2), countersign.Conflict, countersign.ReasonRevisionMismatch)
	wantRefused(t, r.DeleteObject(t.Context(), super(), "RoutePolicy", "none", admin.AnyRevision), countersign.NotFound, countersign.ReasonObjectUnknown)
	wantRefused(t, r.DeleteObject(t.Context(), super(), "AccessKey", "b", admin.AnyRevision), countersign.NotFound, countersign.ReasonObjectUnknown)
	wantRefused(t, r.DeleteObject(t.Context(), super(), "bucket", "b", admin.AnyRevision), countersign.Invalid, countersign.ReasonParameterInvalid)
	wantRefused(t, r.DeleteObject(t.Context(), admin.Actor{ID: "user:i|u"}, "RoutePolicy", "b-defaults", 1), countersign.Denied, countersign.ReasonNotAdministrator)
	must(t, r.DeleteObject(t.Context(), super(), "RoutePolicy", "b-defaults", 1))
	if _, err := r.Object(t.Context(), "RoutePolicy", "b-defaults"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("got %v", err)
	}
	events := r.Events(t, audit.Query{Action: "route-policy.delete", Decision: audit.Changed})
	if len(events) != 1 || events[0].Target != "b-defaults" {
		t.Errorf("events %+v", events)
	}
	must(t, r.DeleteObject(t.Context(), super(), "Service", "a", 1))
	if _, err := r.Object(t.Context(), "Service", "a"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]struct {
		selector admin.RevokeSelector
		want     store.Revocation
		code     countersign.Code
	}{
		"issuer":      {selector: admin.RevokeSelector{Issuer: "https://i.example"}, want: store.Revocation{Issuer: "https://i.example", Before: start}},
		"user":        {selector: admin.RevokeSelector{Issuer: "https://i.example", Subject: "u"}, want: store.Revocation{Issuer: "https://i.example", Subject: "u", Before: start}},
		"key":         {selector: admin.RevokeSelector{KID: "k"}, want: store.Revocation{KID: "k", Before: start}},
		"all":         {selector: admin.RevokeSelector{All: true}, want: store.Revocation{All: true, Before: start}},
		"earlier":     {selector: admin.RevokeSelector{All: true, Before: start.Add(-time.Minute)}, want: store.Revocation{All: true, Before: start.Add(-time.Minute)}},
		"nothing":     {code: countersign.Invalid},
		"two":         {selector: admin.RevokeSelector{KID: "k", All: true}, code: countersign.Invalid},
		"bare user":   {selector: admin.RevokeSelector{Subject: "u"}, code: countersign.Invalid},
		"later":       {selector: admin.RevokeSelector{All: true, Before: start.Add(time.Second)}, code: countersign.Invalid},
		"unprintable": {selector: admin.RevokeSelector{Issuer: "a\nb"}, code: countersign.Invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			err := r.Revoke(t.Context(), super(), tt.selector)
			if countersign.CodeOf(err) != tt.code {
				t.Fatalf("got %v, want %q", err, tt.code)
			}
			found, listErr := r.Store.Revocations(t.Context(), 0, start, 0)
			must(t, listErr)
			if tt.code != "" {
				if len(found) != 0 {
					t.Errorf("stored %+v", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("stored %+v", found)
			}
			got := found[0]
			if !got.ExpiresAt.After(start.Add(time.Hour)) && name != "earlier" {
				t.Errorf("ends at %s", got.ExpiresAt)
			}
			got.Seq, got.ExpiresAt, got.CreatedAt = 0, time.Time{}, time.Time{}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if events := r.Events(t, audit.Query{Action: "revoke", Decision: audit.Changed}); len(events) != 1 || events[0].User != tt.selector.Subject {
				t.Errorf("events %+v", events)
			}
		})
	}
	r := newRig(t)
	wantRefused(t, r.Revoke(t.Context(), admin.Actor{ID: "user:i|u"}, admin.RevokeSelector{All: true}), countersign.Denied, countersign.ReasonNotAdministrator)
}
