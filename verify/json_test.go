package verify_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign"
)

// TestRefusedJSON: texts that two parsers may read differently.
func TestRefusedJSON(t *testing.T) {
	t.Parallel()
	good := strings.TrimSuffix(string(must(json.Marshal(serviceClaims()))), "}")
	v := newVerifier(t, config())
	for name, payload := range map[string]string{
		"duplicate":                 good + `,"sub":"document-service"}`,
		"duplicate by escape":       good + `,"\u0073ub":"backend-actor"}`,
		"duplicate of no interest":  good + `,"x":1,"x":2}`,
		"duplicate inside":          good + `,"x":{"y":{"a":1,"a":2}}}`,
		"duplicate inside an array": good + `,"x":[{"a":1,"\u0061":2}]}`,
		"invalid UTF-8":             good + ",\"x\":\"\xff\"}",
		"invalid UTF-8 in a name":   good + ",\"\xc3\":1}",
		"half a surrogate pair":     good + `,"x":"\ud800"}`,
		"swapped surrogates":        good + `,"x":"\udc00\ud800"}`,
		"bad escape":                good + `,"x":"\q"}`,
		"control character":         good + ",\"x\":\"\n\"}",
		"trailing comma":            good + `,}`,
		"trailing text":             good + `}x`,
		"two objects":               good + `}{}`,
		"NUL after it":              good + "}\x00",
		"byte order mark":           "\ufeff" + good + "}",
		"not closed":                good,
		"comment":                   good + `/**/}`,
		"NaN":                       good + `,"x":NaN}`,
		"leading zero":              good + `,"x":01}`,
		"plus":                      good + `,"x":+1}`,
		"single quotes":             good + `,'x':1}`,
		"no value":                  good + `,"x":}`,
		"depth":                     good + `,"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
		"depth of objects":          good + `,"x":` + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20) + `}`,
		"too many members":          good + manyMembers(300) + `}`,
		"array":                     `[` + good + `}]`,
		"string":                    `"x"`, "null": `null`, "empty": ``,
	} {
		_, err := v.Verify(t.Context(), mintRaw(header(), []byte(payload), ecKey))
		if countersign.ReasonOf(err) != countersign.ReasonTokenMalformed {
			t.Errorf("%s: %v, want token_malformed", name, err)
		}
	}
	for name, text := range map[string]string{
		"duplicate alg":    `{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"k1"}`,
		"escape in a name": `{"\u0061lg":"ES256","typ":"at+jwt","kid":"k1"}`,
		"hidden crit":      `{"alg":"ES256","typ":"at+jwt","kid":"k1","cr\u0069t":["x"]}`,
		"array":            `["ES256"]`,
		"trailing text":    `{"alg":"ES256","typ":"at+jwt","kid":"k1"}}`,
	} {
		_, err := v.Verify(t.Context(), sign([]byte(text), must(json.Marshal(serviceClaims())), ecKey))
		if countersign.ReasonOf(err) != countersign.ReasonTokenMalformed {
			t.Errorf("header, %s: %v, want token_malformed", name, err)
		}
	}
	// Names are case-sensitive: Sub and AUD are other claims.
	_, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"aud": nil, "AUD": audience})))
	wantReason(t, err, countersign.ReasonClaimMissing)
	if _, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"Sub": "evil"}))); err != nil {
		t.Errorf("Sub beside sub: %v", err)
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return b.String()
}
