package keys_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/verify"
)

// RULES B7: who verifies access tokens by the set that discovery names tells a broker's token
// by its typ, though its key is in that set and its claims are those of an access token.
func TestRuleB7BrokerTokensAreNoAccessTokens(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	_, _ = ring.Signer(keys.Broker)
	maintain(t, cfg, ring)
	body, _ := ring.JWKS()
	set, err := verify.ParseJWKS(body)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://sts.example.com"
	v, err := verify.New(verify.Config{
		Audience: "parse-service", Now: c.Now,
		Issuers: []verify.Issuer{{URL: issuer, Keys: set, IgnoreRevocations: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token := func(p keys.Purpose, typ string) string {
		s := signer(t, ring, p)
		encode := func(v any) string {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return base64.RawURLEncoding.EncodeToString(text)
		}
		input := encode(map[string]string{"alg": s.Algorithm, "typ": typ, "kid": s.KID}) + "." + encode(map[string]any{
			"iss": issuer, "sub": "document-service", "client_id": "document-service", "service_id": "document-service",
			"service_uid": "u-1", "aud": "parse-service", "jti": "j-1",
			"iat": c.Now().Unix(), "exp": c.Now().Add(time.Minute).Unix(),
		})
		signature, err := s.Sign([]byte(input))
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	if _, err := v.Verify(t.Context(), token(keys.Token, "at+jwt")); err != nil {
		t.Fatalf("an access token: %v", err)
	}
	for _, p := range []keys.Purpose{keys.Token, keys.Broker} {
		if _, err := v.Verify(t.Context(), token(p, "JWT")); countersign.ReasonOf(err) != countersign.ReasonTypMismatch {
			t.Errorf("typ JWT of the %s key: %v", p, err)
		}
	}
}
