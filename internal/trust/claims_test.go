package trust_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

// What is decoded without encoding/json is decoded as encoding/json would, and refused as it
// would.
func TestClaimsAreThoseOfEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`"build:main"`, `""`, `" "`, `"a\"b"`, `"a\\"`, `"\u00e4"`, `"ä"`, `"😀"`, "\"a\x7fb\"", "\"\xff\"", `"a`, `a"`, `"`, `"a"b"`,
		`0`, `1`, `-1`, `00`, `01`, `1.5`, `1e3`, `1.0`, `123456789012345`, `1234567890123456`, `9007199254740993`,
		`99999999999999999999999`, `1_0`, `0x1`, `+1`, ` 1`, `true`, `false`, `null`, `[1,"a"]`, `{"a":1}`, ``, `tru`,
	} {
		var want any
		wantErr := json.Unmarshal([]byte(text), &want)
		got, err := trust.DecodeClaims(map[string]verify.RawClaim{"c": verify.RawClaim(text)})
		if (err == nil) != (wantErr == nil) {
			t.Errorf("%q: %v, want %v", text, err, wantErr)
			continue
		}
		if err == nil && !reflect.DeepEqual(got["c"], want) {
			t.Errorf("%q: %#v, want %#v", text, got["c"], want)
		}
	}
}
