package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

func TestServiceTokenIsAccepted(t *testing.T) {
	t.Parallel()
	token, err := newVerifier(t, config()).Verify(t.Context(), mint(header(), serviceClaims()))
	if err != nil {
		t.Fatal(err)
	}
	if s := token.Principal.Service; s.Name != "document-service" || s.UID != "u-1" || s.Proof.Audience != audience {
		t.Errorf("service = %+v", s)
	}
}

// TestVulnerability12And13RefusedClaims: one change to a good service token, and why it is refused.
func TestVulnerability12And13RefusedClaims(t *testing.T) {
	t.Parallel()
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	const (
		missing  = countersign.ReasonClaimMissing
		bad      = countersign.ReasonClaimInvalid
		notYet   = countersign.ReasonTokenNotYetValid
		expired  = countersign.ReasonTokenExpired
		audience = countersign.ReasonAudMismatch
	)
	tests := []struct {
		name   string
		change object
		want   countersign.Reason
	}{
		{"no iss", object{"iss": nil}, missing},
		{"iss number", object{"iss": 1}, bad},
		{"iss array", object{"iss": []string{issuerURL}}, bad},
		{"iss empty", object{"iss": ""}, bad},
		{"unknown issuer", object{"iss": "https://evil.example.com"}, countersign.ReasonIssuerUnknown},
		{"issuer with a slash more", object{"iss": issuerURL + "/"}, countersign.ReasonIssuerUnknown},
		{"issuer in capitals", object{"iss": strings.ToUpper(issuerURL)}, countersign.ReasonIssuerUnknown},
		{"issuer with a port", object{"iss": issuerURL + ":443"}, countersign.ReasonIssuerUnknown},
		{"issuer as a prefix", object{"iss": issuerURL + "@evil.example.com"}, countersign.ReasonIssuerUnknown},
		{"issuer of the other profile", object{"iss": foreignURL, "aud": "somebody"}, countersign.ReasonAudMismatch},

		{"no aud", object{"aud": nil}, missing},
		{"aud null", object{"aud": raw("null")}, bad},
		{"aud empty string", object{"aud": ""}, bad},
		{"aud empty array", object{"aud": []string{}}, audience},
		{"aud with an empty element", object{"aud": []string{"parse-service", ""}}, bad},
		{"aud with a number", object{"aud": []any{"parse-service", 1}}, bad},
		{"aud object", object{"aud": object{"parse-service": 1}}, bad},
		{"aud nested array", object{"aud": []any{[]string{"parse-service"}}}, bad},
		{"aud of another", object{"aud": "document-service"}, audience},
		{"aud in capitals", object{"aud": "Parse-Service"}, audience},
		{"aud as a list in a string", object{"aud": "parse-service other"}, audience},
		{"aud as a prefix", object{"aud": "parse-service-2"}, audience},

		{"no exp", object{"exp": nil}, missing},
		{"exp null", object{"exp": raw("null")}, bad},
		{"exp string", object{"exp": fmt.Sprint(now.Unix() + 900)}, bad},
		{"exp negative", object{"exp": -1}, bad},
		{"exp minus zero", object{"exp": raw("-0")}, bad},
		{"exp zero", object{"exp": 0}, expired},
		{"exp exponent", object{"exp": raw("1.8e9")}, bad},
		{"exp fraction with exponent", object{"exp": raw("1.8e1")}, bad},
		{"exp year 10000", object{"exp": 253402300800}, bad},
		{"exp overflow", object{"exp": raw("9223372036854775808")}, bad},
		{"exp huge", object{"exp": raw(strings.Repeat("9", 400))}, bad},
		{"exp array", object{"exp": []int64{now.Unix() + 900}}, bad},
		{"exp true", object{"exp": true}, bad},
		{"expired", object{"exp": now.Unix() - 3600}, expired},
		{"expired by the skew", object{"exp": now.Unix() - 60}, expired},
		{"expired by the skew, fraction", object{"exp": raw(fmt.Sprint(now.Unix()-60) + ".9")}, expired},
		{"no iat", object{"iat": nil}, missing},
		{"iat string", object{"iat": "now"}, bad},
		{"iat huge", object{"iat": raw("1e300")}, bad},
		{"iat in the future", object{"iat": now.Unix() + 61}, notYet},
		{"nbf in the future", object{"nbf": now.Unix() + 61}, notYet},
		{"nbf string", object{"nbf": "0"}, bad},
		{"nbf negative", object{"nbf": -5}, bad},

		{"no sub", object{"sub": nil}, missing},
		{"sub empty", object{"sub": ""}, bad},
		{"sub blank", object{"sub": "  "}, bad},
		{"sub control character", object{"sub": "a\nb"}, bad},
		{"sub number", object{"sub": 7}, bad},
		{"sub too long", object{"sub": strings.Repeat("a", 513)}, bad},
		{"no jti", object{"jti": nil}, missing},
		{"no client_id", object{"client_id": nil}, missing},
		{"service_id differs from sub", object{"service_id": "backend-actor"}, bad},
		{"service_id differs from client_id", object{"client_id": "backend-actor"}, bad},
		{"service_id number", object{"service_id": 1}, bad},
		{"service_id null", object{"service_id": raw("null")}, bad},
		{"neither service nor user", object{"service_id": nil}, countersign.ReasonPrincipalUnsupported},
		{"service and act", object{"act": object{"sub": "x"}, "sub_iss": "y"}, countersign.ReasonPrincipalUnsupported},
		{"scope array", object{"scope": []string{"s2s:internal"}}, bad},
		{"tenant number", object{"tenant": 1}, bad},
		{"cnf", object{"cnf": object{"jkt": "x"}}, countersign.ReasonProofRequired},
		{"cnf null", object{"cnf": raw("null")}, countersign.ReasonProofRequired},
	}
	v := newVerifier(t, config())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(test.change)))
			wantReason(t, err, test.want)
		})
	}
}

func TestRuleC3SixtySecondsOfSkew(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	for _, change := range []object{
		{"exp": now.Unix() - 59}, {"iat": now.Unix() + 60}, {"nbf": now.Unix() + 60},
		{"exp": json.RawMessage(fmt.Sprint(now.Unix()+5) + ".5")},
	} {
		if _, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(change))); err != nil {
			t.Errorf("%v: %v", change, err)
		}
	}
}

func TestRuleB10TokenThatNeedsAProof(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	for _, cnf := range []any{object{"jkt": "abc"}, object{"x5t#S256": "abc"}, "", json.RawMessage("null")} {
		_, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"cnf": cnf})))
		wantReason(t, err, countersign.ReasonProofRequired)
		_, err = v.Verify(t.Context(), mint(object{"alg": "ES256", "kid": "k1"}, userClaims().with(object{"cnf": cnf})))
		wantReason(t, err, countersign.ReasonProofRequired)
	}
}

func TestRefusedHeaders(t *testing.T) {
	t.Parallel()
	const (
		forbidden = countersign.ReasonHeaderNotAllowed
		alg       = countersign.ReasonAlgNotAllowed
		typ       = countersign.ReasonTypMismatch
		malformed = countersign.ReasonTokenMalformed
	)
	embedded := must(json.Marshal(jwk("k1", &ecKey.PublicKey)))
	tests := []struct {
		name   string
		change object
		want   countersign.Reason
	}{
		{"crit", object{"crit": []string{"exp"}, "exp": 1}, forbidden},
		{"crit empty", object{"crit": []string{}}, forbidden},
		{"embedded jwk", object{"jwk": json.RawMessage(embedded)}, forbidden},
		{"jku", object{"jku": "https://evil.example.com/jwks"}, forbidden},
		{"x5u", object{"x5u": "https://evil.example.com/chain"}, forbidden},
		{"x5c", object{"x5c": []string{"MII"}}, forbidden},
		{"zip", object{"zip": "DEF"}, forbidden},
		{"b64", object{"b64": false}, forbidden},
		{"enc", object{"enc": "A256GCM"}, forbidden},
		{"no alg", object{"alg": nil}, alg},
		{"alg none", object{"alg": "none"}, alg},
		{"alg None", object{"alg": "None"}, alg},
		{"alg HS256", object{"alg": "HS256"}, alg},
		{"alg in small letters", object{"alg": "es256"}, alg},
		{"alg ES384", object{"alg": "ES384"}, alg},
		{"alg PS256", object{"alg": "PS256"}, alg},
		{"alg number", object{"alg": 5}, malformed},
		{"kid number", object{"kid": 5}, malformed},
		{"typ number", object{"typ": 5}, malformed},
		{"no typ", object{"typ": nil}, typ},
		{"typ empty", object{"typ": ""}, typ},
		{"an ID token", object{"typ": "JWT"}, typ},
		{"a logout token", object{"typ": "logout+jwt"}, typ},
		{"an assertion", object{"typ": "countersign-assertion+jwt"}, typ},
		{"typ with a suffix", object{"typ": "at+jwt2"}, typ},
		{"foreign kid", object{"kid": "k9"}, countersign.ReasonKeyUnknown},
		{"kid as a path", object{"kid": "../../k1"}, countersign.ReasonKeyUnknown},
		{"kid of a key for another algorithm", object{"alg": "RS256"}, countersign.ReasonKeyUnknown},
	}
	v := newVerifier(t, config())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(t.Context(), mint(header().with(test.change), serviceClaims()))
			wantReason(t, err, test.want)
		})
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"} {
		if _, err := v.Verify(t.Context(), mint(header().with(object{"typ": typ}), serviceClaims())); err != nil {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
	// Unknown parameters are ignored (RFC 7515 §4), and a token of a single key needs no kid.
	for _, change := range []object{{"x5t": "abc"}, {"kid": nil}, {"kid": ""}} {
		if _, err := v.Verify(t.Context(), mint(header().with(change), serviceClaims())); err != nil {
			t.Errorf("%v: %v", change, err)
		}
	}
}

// TestVulnerability10And11And15AlgorithmConfusion: alg none, HS256 with the public
// key as secret, a key of another type, the zero signature.
func TestVulnerability10And11And15AlgorithmConfusion(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Issuers[0].Keys = must(verify.StaticKeys(map[string]any{
		"k1": &ecKey.PublicKey, "rsa": &rsaKey().PublicKey, "ed": edKey.Public(),
	}))
	v := newVerifier(t, cfg)
	payload := must(json.Marshal(serviceClaims()))

	unsigned := mintRaw(object{"alg": "none", "typ": "at+jwt"}, payload, []byte{})
	_, err := v.Verify(t.Context(), unsigned)
	wantReason(t, err, countersign.ReasonAlgNotAllowed)

	for _, key := range []any{&ecKey.PublicKey, &rsaKey().PublicKey} {
		der := must(x509.MarshalPKIXPublicKey(key))
		for _, kid := range []string{"k1", "rsa"} {
			input := encode(must(json.Marshal(object{"alg": "HS256", "typ": "at+jwt", "kid": kid}))) + "." + encode(payload)
			mac := hmac.New(sha256.New, der)
			mac.Write([]byte(input))
			_, err = v.Verify(t.Context(), input+"."+encode(mac.Sum(nil)))
			wantReason(t, err, countersign.ReasonAlgNotAllowed)
		}
	}
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		for kid, own := range map[string]string{"k1": "ES256", "rsa": "RS256", "ed": "EdDSA"} {
			key := map[string]any{"ES256": ecKey, "RS256": rsaKey(), "EdDSA": edKey}[alg]
			_, err := v.Verify(t.Context(), mintRaw(header().with(object{"alg": alg, "kid": kid}), payload, key))
			if alg == own && err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			if alg != own {
				wantReason(t, err, countersign.ReasonKeyUnknown)
			}
		}
	}
	for _, signature := range [][]byte{make([]byte, 64), {}, make([]byte, 63), make([]byte, 65), make([]byte, 132)} {
		_, err := v.Verify(t.Context(), mintRaw(header(), payload, signature))
		wantReason(t, err, countersign.ReasonSignatureInvalid)
	}
	// r = s = n, and an ASN.1 signature where r || s belongs.
	n := elliptic.P256().Params().N.Bytes()
	_, err = v.Verify(t.Context(), mintRaw(header(), payload, append(n, n...)))
	wantReason(t, err, countersign.ReasonSignatureInvalid)
	digest := sha256.Sum256([]byte(encode(must(json.Marshal(header()))) + "." + encode(payload)))
	_, err = v.Verify(t.Context(), mintRaw(header(), payload, must(ecdsa.SignASN1(rand.Reader, ecKey, digest[:]))))
	wantReason(t, err, countersign.ReasonSignatureInvalid)
	_, err = v.Verify(t.Context(), mintRaw(header(), payload, ecKey2))
	wantReason(t, err, countersign.ReasonSignatureInvalid)
}

func TestAlgorithmsAreAllowedPerIssuer(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Issuers[0].Algorithms = []string{"RS256"}
	_, err := newVerifier(t, cfg).Verify(t.Context(), mint(header(), serviceClaims()))
	wantReason(t, err, countersign.ReasonAlgNotAllowed)
}

// TestVulnerability25EveryTruncationAndBitFlip: no neighbour of a good token is good,
// neither with a cold cache nor right after the good one.
func TestVulnerability25EveryTruncationAndBitFlip(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	token := mint(header(), serviceClaims())
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for i := range len(token) {
		if _, err := v.Verify(t.Context(), token[:i]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", i, len(token))
		}
		if _, err := v.Verify(t.Context(), token[i+1:]); err == nil {
			t.Errorf("the token without its first %d bytes is accepted", i+1)
		}
		for bit := range 8 {
			flipped := []byte(token)
			flipped[i] ^= 1 << bit
			if _, err := v.Verify(t.Context(), string(flipped)); err == nil {
				t.Errorf("bit %d of byte %d flipped is accepted", bit, i)
			}
		}
	}
	for _, extra := range []string{"=", "==", ".", "\n", "\r\n", " ", "\x00", "A"} {
		for _, text := range []string{token + extra, extra + token, strings.Replace(token, ".", extra+".", 1), strings.Replace(token, ".", "."+extra, 1)} {
			if _, err := v.Verify(t.Context(), text); err == nil {
				t.Errorf("accepted with %q", extra)
			}
		}
	}
}

func TestVulnerability14And19SizeAndShape(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	for name, token := range map[string]string{
		"empty": "", "dots": "..", "many dots": strings.Repeat(".", 16<<10), "five parts": "a.b.c.d.e",
		"two parts": "e30.e30", "standard base64": "+/+/." + encode([]byte("{}")) + ".AA", "text": "Bearer x",
	} {
		_, err := v.Verify(t.Context(), token)
		if countersign.ReasonOf(err) != countersign.ReasonTokenMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
	fits := mint(header(), serviceClaims().with(object{"pad": strings.Repeat("x", 11<<10)}))
	if _, err := v.Verify(t.Context(), fits); err != nil {
		t.Errorf("%d bytes: %v", len(fits), err)
	}
	_, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"pad": strings.Repeat("x", 13<<10)})))
	wantReason(t, err, countersign.ReasonTokenTooLarge)
	_, err = verify.ParseUnverified(strings.Repeat("x", 16<<10+1))
	wantReason(t, err, countersign.ReasonTokenTooLarge)
}

func TestWeakKeysAreNotUsed(t *testing.T) {
	t.Parallel()
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	small := &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey().N, 1024), E: 65537}
	for name, key := range map[string]any{
		"P-384": &p384.PublicKey, "RSA 1024": small, "private": ecKey, "bytes": []byte("secret"), "nil": nil,
		"nil pointer": (*ecdsa.PublicKey)(nil), "short Ed25519": ed25519.PublicKey("short"),
	} {
		if _, err := verify.StaticKeys(map[string]any{"k": key}); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

// TestErrorsHoldNothingOfTheToken: no claim and no signature in a text for the log.
func TestErrorsHoldNothingOfTheToken(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, config())
	const canary = "canary-5d1f"
	for _, token := range []string{
		mint(header(), serviceClaims().with(object{"aud": canary})),
		mint(header(), serviceClaims().with(object{"iss": canary})),
		mint(header(), serviceClaims().with(object{"service_id": canary})),
		mint(header().with(object{"kid": canary}), serviceClaims()),
		mint(header().with(object{"alg": canary}), serviceClaims()),
		canary,
	} {
		_, err := v.Verify(t.Context(), token)
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(countersign.MessageOf(err), canary) {
			t.Errorf("error %v", err)
		}
	}
}
