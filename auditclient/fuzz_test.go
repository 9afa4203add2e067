package auditclient

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

func FuzzParseSpoolName(f *testing.F) {
	f.Add("1800000000000000000-500-500-0.json")
	f.Add("0000000000000000001-1-0-1.json.tmp")
	f.Add("../1-1-1-1.json")
	f.Fuzz(func(t *testing.T, name string) {
		got, ours := parseSpoolName(name)
		if ours && (got.name() != name || got.events <= 0) {
			t.Errorf("%q was read as %+v", name, got)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add("route", "user", true)
	f.Add("\xff\x00\"\u2028", "ü", false)
	f.Fuzz(func(t *testing.T, route, user string, allowed bool) {
		key := keyOf(countersign.Decision{
			Allowed: allowed, Reason: countersign.Reason(user), Route: route, Rule: user,
			Caller: &countersign.Principal{User: countersign.User{Subject: user}},
		})
		e := newEvent(key, time.Unix(1_800_000_000, 0), "", 1)
		if len(e.Route) > 3*maxField || !utf8.ValidString(e.Route) {
			t.Errorf("route %q", e.Route)
		}
		b, err := newBatch([]event{e, e, e}, time.Unix(1_800_000_000, 0))
		if err != nil || !json.Valid(b.body) || len(b.body) > maxBatchBytes {
			t.Errorf("batch %s, %v", b.body, err)
		}
	})
}
