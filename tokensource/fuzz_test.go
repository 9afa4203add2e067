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

func FuzzParsePrivateKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Add("-----BEGIN EC PARAMETERS-----\nBgg=\n-----END EC PARAMETERS-----\n")
	f.Add(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := parsePrivateKey([]byte(text))
		if err != nil {
			return
		}
		if _, ok := algorithmOf(key.Key); ok && key.IsPublic() {
			t.Error("a public key can sign")
		}
	})
}

func FuzzParseAuthentication(f *testing.F) {
	f.Add(`{"AuthenticationResult":{"AccessToken":"a","IdToken":"e30.eyJleHAiOjIsImlhdCI6MX0.c2ln","RefreshToken":"r","ExpiresIn":3600,"TokenType":"Bearer"}}`)
	f.Add(`{"ChallengeName":"NEW_PASSWORD_REQUIRED","Session":"s"}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, use := range []string{UseID, UseAccess} {
			got, _, err := parseAuthentication([]byte(body), use)
			if err != nil {
				continue
			}
			if got.life <= 0 || got.life > maxLife || !isBearerToken(got.token.Reveal()) {
				t.Errorf("a token that can't be sent, or a life of %v", got.life)
			}
		}
	})
}
