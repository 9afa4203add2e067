package verify

import (
	"encoding/json"
	"testing"
)

// FuzzParseObject: what our scanner takes, encoding/json takes too and reads the
// same way.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a":1} `, `{"a":"\u0061\ud83d\ude00\n","b":[1,-0.5e+3,true,null,{"c":{}}]}`, `{"a":1,"a":2}`,
		`{"\u0061":1,"a":2}`, `{"a":01}`, `{"a":"\ud800"}`, `[]`, `{"a":[1,]}`, `{,}`, "{\"a\":\"\x01\"}", "{\"\xff\":1}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, err := parseObject(text, false, nil)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("we take %q, encoding/json: %v", text, err)
		}
		if len(members) != len(want) {
			t.Fatalf("%q: %d members, want %d", text, len(members), len(want))
		}
		for _, m := range members {
			raw := text[m.start:m.end]
			if string(want[m.name]) != raw {
				t.Errorf("%q: member %q = %q, want %q", text, m.name, raw, want[m.name])
			}
			got, gotErr := stringsOf(raw)
			var one string
			var list []string
			if json.Unmarshal([]byte(raw), &one) == nil && raw != "null" {
				list = []string{one}
			} else if gotErr == nil && json.Unmarshal([]byte(raw), &list) != nil {
				t.Errorf("%q: strings %q, encoding/json disagrees", raw, got)
			}
			if gotErr == nil && len(got) != len(list) {
				t.Errorf("%q: strings %q, want %q", raw, got, list)
			}
			for i := range got {
				if gotErr == nil && got[i] != list[i] {
					t.Errorf("%q: strings %q, want %q", raw, got, list)
				}
			}
			if n, err := dateOf(raw); err == nil && (n < 0 || n > maxDate) {
				t.Errorf("dateOf(%q) = %d", raw, n)
			}
		}
	})
}
