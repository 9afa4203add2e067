package audit

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/google/go-cmp/cmp"
)

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []cursor{
		{}, {"r1": {}}, {"a": {1, 0}, "b": {math.MaxInt64, math.MaxInt64}, strings.Repeat("n", maxReplicaName): {300, 5}},
	} {
		got, err := parseCursor(c.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, cmp.AllowUnexported(position{})); diff != "" {
			t.Error(diff)
		}
	}
	if c, err := parseCursor(""); err != nil || len(c) != 0 {
		t.Errorf("the empty cursor: %v, %v", c, err)
	}
}

func TestVulnerability28ForgedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	good := cursor{"a": {1, 2}, "b": {3, 4}}.String()
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	tests := map[string]string{
		"not base64":        "***",
		"padding":           good + "=",
		"sql":               "' OR 1=1 --",
		"nothing":           encode(0),
		"another version":   encode(append([]byte{2}, raw[1:]...)...),
		"a byte more":       encode(append(raw, 0)...),
		"a byte less":       encode(raw[:len(raw)-1]...),
		"no count":          encode(1),
		"too many chains":   encode(1, 0xff, 0xff, 0x03),
		"an empty name":     encode(1, 1, 0, 0, 0),
		"a name too long":   encode(1, 1, 0xff, 0xff, 0x7f, 'a'),
		"names not in line": encode(1, 2, 1, 'b', 0, 0, 1, 'a', 0, 0),
		"a name twice":      encode(1, 2, 1, 'a', 0, 0, 1, 'a', 0, 0),
		"a long zero":       encode(1, 1, 1, 'a', 0x80, 0x00, 0),
		"a negative number": encode(1, 1, 1, 'a', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0),
		"too long":          strings.Repeat("A", maxCursor+1),
	}
	for name, text := range tests {
		if _, err := parseCursor(text); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cursor has one text: what is accepted is what would be written.
func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(cursor{"a": {1, 2}, "b": {3, 4}}.String())
	f.Add("AQE")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			if countersign.CodeOf(err) != countersign.Invalid {
				t.Fatal(err)
			}
			return
		}
		if text != "" && c.String() != text {
			t.Fatalf("%q became %q", text, c.String())
		}
	})
}
