package frontdoor

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign/internal/keys"
)

// claims are those of a good service token; a nil value in changes removes one.
func claims(w *world, changes map[string]any) map[string]any {
	now := w.Now().Unix()
	all := map[string]any{
		"iss": w.server.Issuer(), "sub": "document-service", "aud": "parse-service", "client_id": "document-service",
		"service_id": "document-service", "service_uid": "0123456789abcdef", "jti": "forged-1", "scope": "s2s:internal",
		"iat": now, "exp": now + 900,
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// segment encodes what a JWS carries.
func segment(t *testing.T, v any) string {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		encoded, err := json.Marshal(v)
		must(t, err)
		text = string(encoded)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// signed signs with the server's own key: only the content is wrong then. head and
// body are maps, or JSON text.
func (w *world) signed(t *testing.T, head, body any) string {
	t.Helper()
	signer, err := w.ring.Signer(keys.Token)
	must(t, err)
	if changes, ok := head.(map[string]any); ok || head == nil {
		all := map[string]any{"alg": signer.Algorithm, "typ": "at+jwt", "kid": signer.KID}
		maps.Copy(all, changes)
		maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
		head = all
	}
	input := segment(t, head) + "." + segment(t, body)
	signature, err := signer.Sign([]byte(input))
	must(t, err)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// forged signs with a key of ours under any header.
func forged(t *testing.T, key *ecdsa.PrivateKey, head, body any) string {
	t.Helper()
	input := segment(t, head) + "." + segment(t, body)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	must(t, err)
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// published returns the key that the server publishes, and its kid.
func (w *world) published(t *testing.T) (crypto.PublicKey, string) {
	t.Helper()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal([]byte(w.get(t, w.url+"/.well-known/jwks.json").text), &set))
	if len(set.Keys) == 0 || !set.Keys[0].IsPublic() {
		t.Fatalf("keys %v", set)
	}
	return set.Keys[0].Key, set.Keys[0].KeyID
}

// hmacSigned signs with a secret that everybody can read: the server's public key in the
// forms that other libraries use (CVE-2015-9235).
func (w *world) hmacSigned(t *testing.T) map[string]string {
	t.Helper()
	public, kid := w.published(t)
	der, err := x509.MarshalPKIXPublicKey(public)
	must(t, err)
	document, err := json.Marshal(jose.JSONWebKey{Key: public, KeyID: kid})
	must(t, err)
	point, err := public.(*ecdsa.PublicKey).Bytes()
	must(t, err)
	tokens := make(map[string]string)
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": document,
		"JWKS": []byte(w.get(t, w.url+"/.well-known/jwks.json").text), "point": point, "kid": []byte(kid), "empty": {},
	} {
		for _, alg := range []string{"HS256", "ES256"} { // the second lies about what it is
			input := segment(t, map[string]any{"alg": alg, "typ": "at+jwt", "kid": kid}) + "." + segment(t, claims(w, nil))
			mac := hmac.New(sha256.New, secret)
			_, _ = mac.Write([]byte(input))
			tokens[alg+" by "+name] = input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}
	}
	return tokens
}

// mutations are all single steps away from a good token: cut, flipped, grown.
func mutations(token string) map[string]string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	bad := map[string]string{
		"cut by one": token[:len(token)-1], "cut by two": token[:len(token)-2], "no signature": token[:strings.LastIndexByte(token, '.')+1],
		"two parts": token[:strings.LastIndexByte(token, '.')], "first part": token[:strings.IndexByte(token, '.')],
		"without its start": token[1:], "one more": token + "A", "padded": token + "=", "four parts": token + ".AA", "dot behind": token + ".",
		"dot before": "." + token, "dots": "..", "five parts": token + ".AA.AA", "doubled": token + token,
	}
	for i := 0; i < len(token); i += 3 {
		if token[i] == '.' {
			continue
		}
		at := strings.IndexByte(alphabet, token[i])
		for _, bit := range []int{1, 32} {
			flipped := []byte(token)
			flipped[i] = alphabet[at^bit]
			bad["flipped "+string(rune('0'+bit%10))+" at "+strings.Repeat("x", i)] = string(flipped)
		}
	}
	for i := 0; i < len(token); i += 11 {
		bad["prefix "+strings.Repeat("x", i)] = token[:i]
	}
	delete(bad, "prefix ")
	return bad
}
