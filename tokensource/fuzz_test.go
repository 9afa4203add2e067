package tokensource

import (
	"strings"
	"testing"
	"time"
)

func FuzzParseGrant(f *testing.F) {
	f.Add(`{"access_token":"t","token_type":"Bearer","expires_in":900}`)
	f.Add(`{"access_token":"t\n","token_type":"Bearer","expires_in":-1}`)
	f.Add(`{"access_token":"t","token_type":"Bearer","expires_in":1e9}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseGrant([]byte(body))
		if err != nil {
			return
		}
		if got.life <= 0 || got.life > maxLife {
			t.Errorf("a life of %v", got.life)
		}
		if text := got.token.Reveal(); text == "" || strings.ContainsAny(text, " ,\r\n\t\x00") {
			t.Errorf("a token that can't be sent: %q", text)
		}
	})
}

func FuzzExpiryUnverified(f *testing.F) {
	f.Add("e30.eyJleHAiOjE4MDAwMDAwMDB9.c2ln")
	f.Add("e30.eyJleHAiOjFlMzAwfQ.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if got := expiryUnverified(token); !got.IsZero() && got.Before(time.Unix(1, 0)) {
			t.Errorf("expires at %v", got)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 31 Dec 1999 23:59:59 GMT")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, time.Unix(1_800_000_000, 0)); got < 0 || got > maxRetryAfter {
			t.Errorf("%q: %v", value, got)
		}
	})
}
