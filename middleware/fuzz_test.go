package middleware

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzParseCredentials: what comes out is one token without anything that another
// parser could take for a second one.
func FuzzParseCredentials(f *testing.F) {
	f.Add("Bearer a.b.c", "Bearer d.e.f")
	f.Add("bearer a, Bearer b", "")
	f.Add("Basic eDp5", "Bearer\tx")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := http.Header{userHeader: {first}}
		if second != "" {
			h[serviceHeader] = []string{second}
		}
		got, err := parseCredentials(h)
		if err != nil {
			if got != (credentials{}) {
				t.Errorf("tokens beside an error: %q", got)
			}
			return
		}
		if got.first == "" || (second != "") != (got.second != "") {
			t.Errorf("%q", got)
		}
		for _, token := range []string{got.first, got.second} {
			if strings.ContainsAny(token, " \t,") {
				t.Errorf("a token with a separator: %q", token)
			}
		}
		if !strings.EqualFold(first, "Bearer "+got.first) {
			t.Errorf("%q was read from %q", got.first, first)
		}
	})
}

func FuzzQuoted(f *testing.F) {
	f.Add("parse-service")
	f.Add("a\"b\\c\r\nX: y\x00ü")
	f.Fuzz(func(t *testing.T, text string) {
		got := quoted(text)
		inner := strings.ReplaceAll(strings.ReplaceAll(got[1:len(got)-1], `\\`, ""), `\"`, "")
		if strings.ContainsAny(inner, "\"\\\r\n\x00") {
			t.Errorf("%q becomes %s", text, got)
		}
	})
}
