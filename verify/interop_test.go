package verify_test

import (
	"context"
	"crypto"
	"encoding/json"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign/countersign/verify"
)

// signers are the private keys by algorithm; the kid is the algorithm.
func signers() map[string]crypto.Signer {
	return map[string]crypto.Signer{"ES256": ecKey, "RS256": rsaKey(), "EdDSA": edKey}
}

// interop is a verifier that knows all signers' keys.
func interop(t testing.TB) *verify.Verifier {
	set := make(map[string]any)
	for kid, key := range signers() {
		set[kid] = key.Public()
	}
	cfg := config()
	cfg.Issuers[0].Keys = must(verify.StaticKeys(set))
	return newVerifier(t, cfg)
}

func TestTokensOfGolangJWTAreAccepted(t *testing.T) {
	t.Parallel()
	v := interop(t)
	for algorithm, key := range signers() {
		token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims(serviceClaims()))
		token.Header["typ"], token.Header["kid"] = "at+jwt", algorithm
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Verify(t.Context(), text); err != nil || got.Principal.Service.Name != "document-service" {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

func TestTokensOfGoJoseAreAccepted(t *testing.T) {
	t.Parallel()
	v := interop(t)
	for algorithm, key := range signers() {
		options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", algorithm)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: key}, options)
		if err != nil {
			t.Fatal(err)
		}
		text, err := josejwt.Signed(signer).Claims(map[string]any(serviceClaims())).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Verify(t.Context(), text); err != nil || got.Principal.Service.Name != "document-service" {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// TestGoOIDCAgrees: what go-oidc refuses, we refuse; what we accept, it accepts.
func TestGoOIDCAgrees(t *testing.T) {
	t.Parallel()
	plain := object{"alg": "ES256", "typ": "JWT", "kid": "k1"}
	peer := oidc.NewVerifier(foreignURL, &oidc.StaticKeySet{PublicKeys: publicKeys(&ecKey.PublicKey)}, &oidc.Config{
		ClientID: audience, SupportedSigningAlgs: []string{"ES256"}, Now: func() time.Time { return now },
	})
	v := newVerifier(t, config())
	tests := map[string]struct {
		token string
		ok    bool
	}{
		"good":            {mint(plain, userClaims()), true},
		"aud array":       {mint(plain, userClaims().with(object{"aud": []string{"x", audience}})), true},
		"fraction in exp": {mint(plain, userClaims().with(object{"exp": json.RawMessage("1800000900.5")})), true},
		"escapes":         {mintRaw(plain, []byte(`{"\u0069ss":"https:\/\/idp.example.com\/pool","sub":"\u0061lice","aud":"parse-service","exp":1800000900}`), ecKey), true},
		"unicode":         {mint(plain, userClaims().with(object{"name": "Zoë 😀"})), true},
		"white space":     {mintRaw(plain, []byte(" {\n\t\"iss\" : \"https://idp.example.com/pool\", \"sub\":\"alice\",\"aud\":[ \"parse-service\" ] ,\"exp\":1800000900 } "), ecKey), true},
		"other issuer":    {mint(plain, userClaims().with(object{"iss": "https://evil.example.com"})), false},
		"other audience":  {mint(plain, userClaims().with(object{"aud": "x"})), false},
		"no audience":     {mint(plain, userClaims().with(object{"aud": nil})), false},
		"expired":         {mint(plain, userClaims().with(object{"exp": now.Unix() - 3600})), false},
		"nbf":             {mint(plain, userClaims().with(object{"nbf": now.Unix() + 3600})), false},
		"other key":       {mintRaw(plain, must(json.Marshal(userClaims())), ecKey2), false},
		"alg none":        {mintRaw(object{"alg": "none"}, must(json.Marshal(userClaims())), []byte{}), false},
		"HS256":           {mintRaw(plain.with(object{"alg": "HS256"}), must(json.Marshal(userClaims())), []byte("x")), false},
		"crit":            {mint(plain.with(object{"crit": []string{"x"}, "x": 1}), userClaims()), false},
		"duplicate claim": {mintRaw(plain, []byte(`{"iss":"https://idp.example.com/pool","sub":"alice","sub":"bob","aud":"parse-service","exp":1800000900}`), ecKey), false},
		"garbage":         {"a.b.c", false},
	}
	for name, test := range tests {
		theirs, theirErr := peer.Verify(context.Background(), test.token)
		ours, ourErr := v.Verify(t.Context(), test.token)
		if (ourErr == nil) != test.ok {
			t.Errorf("%s: we say %v", name, ourErr)
		}
		if ourErr == nil && theirErr != nil {
			t.Errorf("%s: go-oidc says %v", name, theirErr)
		}
		if !test.ok && theirErr == nil && name != "duplicate claim" { // encoding/json takes the last
			t.Errorf("%s: go-oidc takes it", name)
		}
		if ourErr == nil && theirErr == nil && (ours.Subject != theirs.Subject || ours.Issuer != theirs.Issuer || !ours.ExpiresAt.Equal(theirs.Expiry)) {
			t.Errorf("%s: %q %q %v, go-oidc %q %q %v", name, ours.Issuer, ours.Subject, ours.ExpiresAt, theirs.Issuer, theirs.Subject, theirs.Expiry)
		}
	}
}

func TestParseUnverified(t *testing.T) {
	t.Parallel()
	got, err := verify.ParseUnverified(mint(header(), serviceClaims()))
	if err != nil || got.Algorithm != "ES256" || got.Type != "at+jwt" || got.KeyID != "k1" || got.Issuer != issuerURL ||
		got.Subject != "document-service" || got.ID == "" || len(got.Audience) != 1 || got.ExpiresAt.Unix() != now.Unix()+900 {
		t.Errorf("ParseUnverified = %+v, %v", got, err)
	}
	if got, err = verify.ParseUnverified(mintRaw(object{"alg": "none"}, []byte("{}"), []byte{})); err != nil || got.Algorithm != "none" || !got.ExpiresAt.IsZero() {
		t.Errorf("unsigned: %+v, %v", got, err)
	}
	for _, payload := range []string{`{"iss":1}`, `{"aud":1}`, `{"exp":"x"}`, `{"exp":1,"exp":2}`, `[]`} {
		_, err := verify.ParseUnverified(mintRaw(header(), []byte(payload), []byte{}))
		if err == nil {
			t.Errorf("%s is accepted", payload)
		}
	}
}

// FuzzParse: no input makes the parser panic, and where go-jose reads a token too it
// reads the same.
func FuzzParse(f *testing.F) {
	f.Add(mint(header(), serviceClaims()))
	f.Add(mint(object{"alg": "ES256"}, userClaims().with(object{"aud": []string{"a", "b"}})))
	f.Add(mintRaw(header(), []byte(`{"\u0069ss":"a\u0000\ud83d\ude00","exp":1.5,"aud":[]}`), []byte{1}))
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	v := newVerifier(f, config())
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := v.Verify(t.Context(), text); (err == nil) == (token == nil) {
			t.Fatalf("Verify = %v, %v", token, err)
		}
		ours, err := verify.ParseUnverified(text)
		if err != nil {
			return
		}
		parsed, err := josejwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA, jose.HS256})
		if err != nil {
			return
		}
		var theirs josejwt.Claims
		if err := parsed.UnsafeClaimsWithoutVerification(&theirs); err != nil {
			return
		}
		header := parsed.Headers[0]
		if ours.Algorithm != header.Algorithm || ours.KeyID != header.KeyID || ours.Issuer != theirs.Issuer ||
			ours.Subject != theirs.Subject || ours.ID != theirs.ID || len(ours.Audience) != len(theirs.Audience) {
			t.Errorf("%q: %+v, go-jose %+v %+v", text, ours, header, theirs)
		}
		for i := range ours.Audience {
			if ours.Audience[i] != theirs.Audience[i] {
				t.Errorf("%q: aud %q, go-jose %q", text, ours.Audience, theirs.Audience)
			}
		}
		if !ours.ExpiresAt.IsZero() && !ours.ExpiresAt.Equal(theirs.Expiry.Time()) {
			t.Errorf("%q: exp %v, go-jose %v", text, ours.ExpiresAt, theirs.Expiry.Time())
		}
	})
}

// FuzzParseJWKS: hostile key sets neither panic nor yield keys of other kinds.
func FuzzParseJWKS(f *testing.F) {
	f.Add(must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk("k1", &ecKey.PublicKey), jwk("r", &rsaKey().PublicKey), jwk("", edKey.Public())}})))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","x5c":["AA"]}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		source, err := verify.ParseJWKS(document)
		if err != nil {
			return
		}
		for _, algorithm := range []string{"ES256", "RS256", "EdDSA", "HS256", "none", ""} {
			key, err := source.Key(t.Context(), "", algorithm)
			if err != nil {
				continue
			}
			if _, err := verify.StaticKeys(map[string]any{"k": key}); err != nil {
				t.Errorf("%s: %T: %v", algorithm, key, err)
			}
		}
	})
}
