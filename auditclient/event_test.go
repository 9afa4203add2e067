package auditclient_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
)

// What a decision may hold and Countersign would refuse, with the whole batch.
func TestStrangeDecisionsSpoilNoBatch(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	service := func(name, uid string) *countersign.Principal {
		return &countersign.Principal{Service: countersign.Service{Name: name, UID: uid}}
	}
	user := func(issuer, subject string) *countersign.Principal {
		return &countersign.Principal{User: countersign.User{Issuer: issuer, Subject: subject}}
	}
	tests := []struct {
		name string
		in   countersign.Decision
		want report
	}{
		{"no reason", countersign.Decision{}, report{Decision: "denied", Reason: "internal", Count: 1}},
		{"sentence as a reason", countersign.Decision{Reason: "not today"}, report{Decision: "denied", Reason: "internal", Count: 1}},
		{"long reason", countersign.Decision{Reason: countersign.Reason(long)}, report{Decision: "denied", Reason: "internal", Count: 1}},
		{"long uid", countersign.Decision{Reason: "x", Caller: service("s", long)}, report{Decision: "denied", Reason: "x", Service: "s", Count: 1}},
		{"strange uid", countersign.Decision{Reason: "x", Caller: service("s", "a b")}, report{Decision: "denied", Reason: "x", Service: "s", Count: 1}},
		{"uid alone", countersign.Decision{Reason: "x", Caller: service("", "u")}, report{Decision: "denied", Reason: "x", Count: 1}},
		{"user without issuer", countersign.Decision{Reason: "x", Caller: user("", "alice")}, report{Decision: "denied", Reason: "x", Count: 1}},
		{"issuer without user", countersign.Decision{Reason: "x", Caller: user("i", "")}, report{Decision: "denied", Reason: "x", Count: 1}},
		{"long route", countersign.Decision{Reason: "x", Route: long}, report{Decision: "denied", Reason: "x", Route: long[:512], Count: 1}},
		{"allowed without a reason", countersign.Decision{Allowed: true}, report{Decision: "allowed", Reason: "ok", Count: 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{}
				c := newClient(t, s, nil)
				test.in.ID = "an id with spaces"
				c.Record(t.Context(), test.in)
				if err := c.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := s.all()
				if diff := cmp.Diff([]report{test.want}, got, cmpopts.IgnoreFields(report{}, "ID", "Time")); diff != "" {
					t.Errorf("report (-want +got):\n%s", diff)
				}
				if len(got) == 1 && (len(got[0].ID) != 36 || !got[0].Time.Equal(time.Now())) {
					t.Errorf("id %q, time %v", got[0].ID, got[0].Time)
				}
			})
		})
	}
}
