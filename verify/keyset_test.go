package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

func TestOtherKeysOfASetAreLeftOut(t *testing.T) {
	t.Parallel()
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	encryption, signature := jwk("enc", &ecKey2.PublicKey), jwk("k1", &ecKey.PublicKey)
	encryption.Use, signature.Use = "enc", ""
	document := must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		encryption, signature, jwk("p384", &p384.PublicKey), jwk("rsa", &rsaKey().PublicKey), jwk("ed", edKey.Public()),
	}}))
	more := `{"kty":"future","kid":"f"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"off"},{"kty":"EC","kid":"nothing"},` +
		`{"kty":"EC","crv":"P-256","kid":"ops","key_ops":["deriveKey"]},`
	document = bytes.Replace(document, []byte(`[`), []byte(`[`+more), 1)
	source, err := verify.ParseJWKS(document)
	if err != nil {
		t.Fatal(err)
	}
	for kid, algorithm := range map[string]string{"k1": "ES256", "rsa": "RS256", "ed": "EdDSA"} {
		if _, err := source.Key(t.Context(), kid, algorithm); err != nil {
			t.Errorf("%s: %v", kid, err)
		}
		if _, err := source.Key(t.Context(), "", algorithm); err != nil {
			t.Errorf("the only key for %s: %v", algorithm, err)
		}
	}
	for _, kid := range []string{"enc", "p384", "f", "off", "nothing", "ops"} {
		_, err := source.Key(t.Context(), kid, "ES256")
		wantReason(t, err, countersign.ReasonKeyUnknown)
	}
	if _, err := verify.ParseJWKS([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`)); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("symmetric: %v", err)
	}
}

// TestTokenWithoutKeyID: good only if there is no choice.
func TestTokenWithoutKeyID(t *testing.T) {
	t.Parallel()
	anonymous := jwk("", &ecKey.PublicKey)
	for name, test := range map[string]struct {
		keys []jose.JSONWebKey
		ok   bool
	}{
		"one with an id":     {[]jose.JSONWebKey{jwk("k1", &ecKey.PublicKey)}, true},
		"one without":        {[]jose.JSONWebKey{anonymous}, true},
		"others don't fit":   {[]jose.JSONWebKey{anonymous, jwk("ed", edKey.Public())}, true},
		"two":                {[]jose.JSONWebKey{jwk("k1", &ecKey.PublicKey), jwk("k2", &ecKey2.PublicKey)}, false},
		"two, one anonymous": {[]jose.JSONWebKey{anonymous, jwk("k2", &ecKey2.PublicKey)}, false},
		"none":               {[]jose.JSONWebKey{}, false},
	} {
		cfg := config()
		cfg.Issuers[0].Keys = must(verify.ParseJWKS(must(json.Marshal(jose.JSONWebKeySet{Keys: test.keys}))))
		_, err := newVerifier(t, cfg).Verify(t.Context(), mint(header().with(object{"kid": nil}), serviceClaims()))
		if test.ok && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !test.ok {
			wantReason(t, err, countersign.ReasonKeyUnknown)
		}
	}
}
