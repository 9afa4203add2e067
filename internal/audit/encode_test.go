package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func fullEvent(s string) Event {
	return Event{
		ID: s, Time: time.Date(2026, 7, 1, 12, 0, 0, 123456000, time.UTC), Action: s, Decision: Decision(s), Reason: s,
		Service: s, ServiceUID: s, UserIssuer: s, User: s, Actor: s, Target: s, Scope: s, Role: s, Session: s, TokenID: s, Proof: s,
		ClientAddr: s, TraceID: s, Method: s, Route: s, Rule: s, ReportedBy: s, Count: 7, Detail: s,
	}
}

// cutAsJSON is what encoding/json makes of s, cut to MaxField: the slow truth.
func cutAsJSON(t testing.TB, s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var valid string
	if err := json.Unmarshal(text, &valid); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range valid {
		if n+utf8.RuneLen(r) > MaxField {
			return valid[:n]
		}
		n += utf8.RuneLen(r)
	}
	return valid
}

func checkEncoding(t testing.TB, s string) {
	e := fullEvent(s)
	line := appendEvent(nil, &e)
	if strings.Count(string(line), "\n") != 1 || line[len(line)-1] != '\n' {
		t.Fatalf("not one line: %q", line)
	}
	if !utf8.Valid(line) {
		t.Fatalf("not UTF-8: %q", line)
	}
	got, err := decodeEvent(line)
	if err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	if diff := cmp.Diff(fullEvent(cutAsJSON(t, s)), got); diff != "" {
		t.Fatal(diff)
	}
}

func TestEventEncodingAgreesWithJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "plain", `quote " and \ slash`, "line\nend\r\n", "\x00\x01\x1f\x7f", "é€😀", "\u2028\u2029\u0085", "\ufffd",
		"bad \xff\xfe utf8 \xe2\x82", "<script>&", strings.Repeat("x", MaxField), strings.Repeat("x", MaxField+1),
		strings.Repeat("x", MaxField-1) + "€tail", strings.Repeat("€", 400), strings.Repeat("\xff", 600),
		strings.Repeat("x", MaxField-2) + "\xff", strings.Repeat("\n", 600), strings.Repeat("x", MaxField-1) + "\"y",
	} {
		checkEncoding(t, s)
	}
}

func TestEventLeavesOutEmptyFields(t *testing.T) {
	t.Parallel()
	e := Event{ID: "1", Time: time.Unix(1, 0).UTC(), Action: "a", Decision: Allowed, Reason: "ok"}
	want := `{"id":"1","time":"1970-01-01T00:00:01Z","action":"a","decision":"allowed","reason":"ok"}` + "\n"
	if got := string(appendEvent(nil, &e)); got != want {
		t.Errorf("got %s", got)
	}
	std, err := json.Marshal(e)
	if err != nil || string(std)+"\n" != want {
		t.Errorf("encoding/json: %s, %v", std, err)
	}
}

func TestCompleteBringsTimesIntoRange(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 0, 0, 0, 1234, time.UTC)
	for _, at := range []time.Time{{}, time.Unix(-1, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		e := Event{Time: at}
		complete(&e, now)
		if !e.Time.Equal(now.Truncate(time.Microsecond)) || e.ID == "" {
			t.Errorf("%v became %v, id %q", at, e.Time, e.ID)
		}
	}
	e := Event{Time: time.Date(2026, 1, 1, 1, 0, 0, 999, time.FixedZone("x", 3600)), ID: "kept"}
	complete(&e, now)
	if want := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); e.Time != want || e.ID != "kept" {
		t.Errorf("%+v", e)
	}
}

func FuzzEventEncoding(f *testing.F) {
	f.Add("plain")
	f.Add("bad \xff\xe2\x82 \u2028 \x00 \" \\")
	f.Add(strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, s string) { checkEncoding(t, s) })
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"id":"1","time":"2026-07-01T12:00:00Z"}`))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := decodeEvent(line); err == nil {
			complete(&e, time.Now())
			if _, err := decodeEvent(appendEvent(nil, &e)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzParseHeadFile(f *testing.F) {
	f.Add([]byte(`{"replica":"r","seq":1,"hash":"AA==","at":"2026-07-01T12:00:00Z","kid":"k","signature":"AA=="}`))
	f.Add([]byte(`{"replica":"r","seq":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := parseHeadFile(text); err == nil && (h.Replica == "" || h.Seq < 1) {
			t.Fatalf("accepted %+v", h)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	b.ReportAllocs()
	e := Event{
		ID: "01980000-0000-7000-8000-000000000000", Time: time.Now().UTC().Truncate(time.Microsecond), Action: "token",
		Decision: Issued, Reason: "ok", Service: "document-service", ServiceUID: "3f6d6a0b8c0d4a51", Target: "parse-service",
		Scope: "s2s:internal", TokenID: "01980000-0000-7000-8000-000000000000", Proof: "client_secret_basic",
		ClientAddr: "127.0.0.1", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	var text []byte
	for b.Loop() {
		text = appendEvent(text[:0], &e)
	}
	b.SetBytes(int64(len(text)))
}
