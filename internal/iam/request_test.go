package iam

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestRuleG4IfMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		values []string
		want   int64
		code   countersign.Code
		reason countersign.Reason
	}{
		{[]string{"*"}, admin.AnyRevision, "", ""},
		{[]string{`"1"`}, 1, "", ""},
		{[]string{`"9223372036854775807"`}, 1<<63 - 1, "", ""},
		{nil, 0, countersign.Precondition, countersign.ReasonRevisionMissing},
		{[]string{`"1"`, `"2"`}, 0, countersign.Invalid, countersign.ReasonHeaderDuplicated},
		{[]string{`"1", "2"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`W/"1"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`1`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"*"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"-1"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"0"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"01"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"+1"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"9223372036854775808"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{``}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`"`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
		{[]string{`""`}, 0, countersign.Invalid, countersign.ReasonHeaderMalformed},
	}
	for _, test := range tests {
		r := httptest.NewRequest("POST", "/", nil)
		for _, value := range test.values {
			r.Header.Add("If-Match", value)
		}
		got, err := revision(r)
		if got != test.want || countersign.CodeOf(err) != test.code || countersign.ReasonOf(err) != test.reason {
			t.Errorf("If-Match %q: %d, %v; want %d, %s %s", test.values, got, err, test.want, test.code, test.reason)
		}
	}
}

func TestParseAuditQueryRefuses(t *testing.T) {
	t.Parallel()
	for query, reason := range map[string]countersign.Reason{
		"bogus=1":                        countersign.ReasonFieldUnknown,
		"Limit=1":                        countersign.ReasonFieldUnknown,
		"limit=1&limit=2":                countersign.ReasonParameterDuplicated,
		"limit=0":                        countersign.ReasonParameterInvalid,
		"limit=1001":                     countersign.ReasonParameterInvalid,
		"limit=":                         countersign.ReasonParameterInvalid,
		"limit=1e2":                      countersign.ReasonParameterInvalid,
		"since=yesterday":                countersign.ReasonParameterInvalid,
		"until=2026-01-02":               countersign.ReasonParameterInvalid,
		"decision=maybe":                 countersign.ReasonParameterInvalid,
		"decision=":                      countersign.ReasonParameterInvalid,
		"newest=1":                       countersign.ReasonParameterInvalid,
		"newest=":                        countersign.ReasonParameterInvalid,
		"wait=25":                        countersign.ReasonParameterInvalid,
		"wait=-1s":                       countersign.ReasonParameterInvalid,
		"service=":                       countersign.ReasonParameterInvalid,
		"user=a%00b":                     countersign.ReasonParameterInvalid,
		"user=%ff":                       countersign.ReasonParameterInvalid,
		"a=%zz":                          countersign.ReasonParameterInvalid,
		"limit=1;limit=2":                countersign.ReasonParameterInvalid,
		"id=" + strings.Repeat("x", 513): countersign.ReasonParameterInvalid,
	} {
		_, err := parseAuditQuery(httptest.NewRequest("GET", "/?"+query, nil))
		if countersign.CodeOf(err) != countersign.Invalid || countersign.ReasonOf(err) != reason {
			t.Errorf("%q: %v (%s), want %s", query, err, countersign.ReasonOf(err), reason)
		}
	}
}

func TestParseAuditQuery(t *testing.T) {
	t.Parallel()
	got, err := parseAuditQuery(httptest.NewRequest("GET",
		"/?since=2026-01-02T03:04:05%2B01:00&decision=denied&newest=true&limit=1000&wait=1d&service=a", nil))
	if err != nil {
		t.Fatal(err)
	}
	want := auditRequest{Query: audit.Query{
		Since: time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC), Decision: audit.Denied, Newest: true, Limit: 1000, Service: "a",
	}, wait: maxWait}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestReportedEventBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	number := func(n int64) *int64 { return &n }
	tests := []struct {
		field  string
		change func(*iamclient.ReportedEvent)
	}{
		{"decision", func(e *iamclient.ReportedEvent) { e.Decision = "issued" }},
		{"decision", func(e *iamclient.ReportedEvent) { e.Decision = "changed" }},
		{"decision", func(e *iamclient.ReportedEvent) { e.Decision = "" }},
		{"time", func(e *iamclient.ReportedEvent) { e.Time = time.Time{} }},
		{"time", func(e *iamclient.ReportedEvent) { e.Time = now.Add(-maxReportAge - time.Second) }},
		{"time", func(e *iamclient.ReportedEvent) { e.Time = now.Add(maxReportAhead + time.Second) }},
		{"count", func(e *iamclient.ReportedEvent) { e.Count = number(0) }},
		{"count", func(e *iamclient.ReportedEvent) { e.Count = number(-1) }},
		{"count", func(e *iamclient.ReportedEvent) { e.Count = number(maxCount + 1) }},
		{"user", func(e *iamclient.ReportedEvent) { e.User = "u" }},
		{"user", func(e *iamclient.ReportedEvent) { e.UserIssuer = "https://i" }},
		{"service_uid", func(e *iamclient.ReportedEvent) { e.ServiceUID = "abc" }},
		{"service_uid", func(e *iamclient.ReportedEvent) { e.Service, e.ServiceUID = "a", "x y" }},
		{"id", func(e *iamclient.ReportedEvent) { e.ID = "a b" }},
		{"id", func(e *iamclient.ReportedEvent) { e.ID = strings.Repeat("a", 65) }},
		{"reason", func(e *iamclient.ReportedEvent) { e.Reason = "" }},
		{"reason", func(e *iamclient.ReportedEvent) { e.Reason = "a\nb" }},
	}
	good := iamclient.ReportedEvent{Time: now, Decision: "denied", Reason: "aud_mismatch"}
	for _, test := range tests {
		e := good
		test.change(&e)
		if got := wrongField(e, now); got != test.field {
			t.Errorf("%+v: wrong field %q, want %q", e, got, test.field)
		}
	}
	for _, change := range []func(*iamclient.ReportedEvent){
		func(*iamclient.ReportedEvent) {},
		func(e *iamclient.ReportedEvent) { e.Time = now.Add(-maxReportAge) },
		func(e *iamclient.ReportedEvent) { e.Time = now.Add(maxReportAhead) },
		func(e *iamclient.ReportedEvent) { e.Count = number(maxCount) },
		func(e *iamclient.ReportedEvent) { e.User, e.UserIssuer = "u", "https://i" },
		func(e *iamclient.ReportedEvent) { e.Method = "M\x1b[2J!" }, // a caller of the receiver chose it
	} {
		e := good
		change(&e)
		if got := wrongField(e, now); got != "" {
			t.Errorf("%+v: wrong field %q, want none", e, got)
		}
	}
}

func TestReportedEventsSayWhoReported(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	events, err := reportedEvents(iamclient.Report{Events: []iamclient.ReportedEvent{{
		Time: now, Decision: "allowed", Reason: "ok", Service: "a\u202eb", User: "u\x1b", UserIssuer: "i", Method: "GET\r\n",
	}}}, "parse-service", now)
	if err != nil || len(events) != 1 {
		t.Fatalf("%v, %v", events, err)
	}
	e := events[0]
	if e.ReportedBy != "parse-service" || e.Action != "call" || e.Count != 1 || len(e.ID) != 36 || e.Decision != audit.Allowed {
		t.Errorf("got %+v", e)
	}
	if strings.ContainsAny(e.Service+e.User+e.Method, "\u202e\x1b\r\n") {
		t.Errorf("control characters came through: %q %q %q", e.Service, e.User, e.Method)
	}
}

func FuzzReportedEvents(f *testing.F) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Add("2026-01-02T03:04:05Z", "denied", "aud_mismatch", "a", "u", "https://i", "GET", int64(1))
	f.Add("2026-01-02T03:04:05+14:00", "allowed", "ok", "\x1b", "", "", "\xff", int64(0))
	f.Fuzz(func(t *testing.T, at, decision, reason, service, user, issuer, method string, count int64) {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return
		}
		events, err := reportedEvents(iamclient.Report{Events: []iamclient.ReportedEvent{{
			Time: parsed, Decision: decision, Reason: reason, Service: service, User: user, UserIssuer: issuer, Method: method, Count: &count,
		}}}, "parse-service", now)
		if err != nil {
			return
		}
		e := events[0]
		if e.ReportedBy != "parse-service" || e.Action != "call" || e.Count < 1 || e.Count > maxCount || (e.User == "") != (e.UserIssuer == "") {
			t.Fatalf("got %+v", e)
		}
		for _, text := range []string{e.Service, e.User, e.UserIssuer, e.Method, e.Reason} {
			if !printable(text, len(text)) {
				t.Fatalf("%q is not printable", text)
			}
		}
	})
}

func FuzzRevision(f *testing.F) {
	for _, seed := range []string{"*", `"1"`, `W/"1"`, `"01"`, `"`, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header["If-Match"] = []string{text}
		got, err := revision(r)
		switch {
		case err != nil && got == 0, err == nil && got > 0, text == "*" && got == admin.AnyRevision:
		default:
			t.Fatalf("%q: %d, %v", text, got, err)
		}
	})
}

func FuzzParseAuditQuery(f *testing.F) {
	for _, seed := range []string{"limit=1", "since=2026-01-02T03:04:05Z&newest=true", "after=AQA&wait=25s", "service=%00", "a=b;c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = text
		in, err := parseAuditQuery(r)
		if err == nil && (in.Limit < 1 || in.Limit > maxEvents || in.wait < 0 || in.wait > maxWait) {
			t.Fatalf("%q: %+v", text, in)
		}
	})
}
