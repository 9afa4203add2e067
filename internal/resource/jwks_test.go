package resource_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/verify"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// RULES B3: asymmetric public keys only, RSA from 2048 bits.
func TestRuleB3ClientKeys(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := b64(point[1:33]), b64(point[33:])
	big2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	modulus := b64(big2048.N.Bytes())
	small := new(big.Int).Rsh(big2048.N, 1)
	small.SetBit(small, 0, 1)
	ok := fmt.Sprintf(`{kty: EC, crv: P-256, kid: k, x: "%s", y: "%s"`, x, y)
	tests := map[string]struct {
		key  string
		path string // of the problem; "" = good
	}{
		"EC":                {key: ok + "}"},
		"EC, use and alg":   {key: ok + ", use: sig, alg: ES256}"},
		"RSA 2048":          {key: fmt.Sprintf(`{kty: RSA, n: "%s", e: AQAB}`, modulus)},
		"Ed25519":           {key: fmt.Sprintf(`{kty: OKP, crv: Ed25519, x: "%s"}`, b64(make([]byte, 32)))},
		"RSA 2047":          {key: fmt.Sprintf(`{kty: RSA, n: "%s", e: AQAB}`, b64(small.Bytes())), path: "jwks.keys[0].n"},
		"RSA e=1":           {key: fmt.Sprintf(`{kty: RSA, n: "%s", e: AQ}`, modulus), path: "jwks.keys[0].e"},
		"RSA private":       {key: fmt.Sprintf(`{kty: RSA, n: "%s", e: AQAB, d: AQAB}`, modulus), path: "jwks.keys[0].d"},
		"EC private":        {key: ok + fmt.Sprintf(`, d: "%s"}`, x), path: "jwks.keys[0].d"},
		"symmetric":         {key: `{kty: oct, k: AQAB}`, path: "jwks.keys[0].k"},
		"symmetric, no key": {key: `{kty: oct}`, path: "jwks.keys[0].kty"},
		"not on the curve":  {key: fmt.Sprintf(`{kty: EC, crv: P-256, x: "%s", y: "%s"}`, x, x), path: "jwks.keys[0].x"},
		"P-384":             {key: fmt.Sprintf(`{kty: EC, crv: P-384, x: "%s", y: "%s"}`, x, y), path: "jwks.keys[0].crv"},
		"encryption":        {key: ok + ", use: enc}", path: "jwks.keys[0].use"},
		"alg of another":    {key: ok + ", alg: RS256}", path: "jwks.keys[0].alg"},
		"padded":            {key: fmt.Sprintf(`{kty: EC, crv: P-256, x: "%s=", y: "%s"}`, x, y), path: "jwks.keys[0].x"},
		"kid twice":         {key: ok + "}, " + ok + "}", path: "jwks.keys[1].kid"},
		"unknown member":    {key: ok + ", x5u: a}", path: "jwks.keys[0].x5u"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents, err := parse(service + "jwks: {keys: [" + tt.key + "]}\n")
			if tt.path != "" {
				if got := places(err); len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), ": "+tt.path) {
					t.Errorf("got %v, want a problem at %s", err, tt.path)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify.ParseJWKS(documents[0].Service.JWKS); err != nil {
				t.Errorf("the verifier does not take it: %v", err)
			}
			text, err := documents[0].YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := parse(string(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(string(documents[0].Service.JWKS), string(again[0].Service.JWKS)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
