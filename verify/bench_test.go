package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"github.com/countersign/countersign/verify"
)

// benchToken is a usual service token; with the peers' clock it is valid now.
func benchToken(b *testing.B) string {
	b.Helper()
	claims := serviceClaims().with(object{"iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600})
	return mint(header(), claims)
}

func benchVerifier(b *testing.B, maxCached int) *verify.Verifier {
	b.Helper()
	return newVerifier(b, verify.Config{
		Audience: audience, MaxCached: maxCached,
		Issuers: []verify.Issuer{{URL: issuerURL, Keys: keys()}},
	})
}

// The goals of DESIGN §11: at most 1 µs and no allocation for a token that was seen
// before; at most 1.15 × BenchmarkRawES256Verify at first sight.

func BenchmarkVerifySeenBefore(b *testing.B) {
	v, token := benchVerifier(b, 0), benchToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifySeenBeforeRemoteKeys is the same with keys that were fetched.
func BenchmarkVerifySeenBeforeRemoteKeys(b *testing.B) {
	idp := newIDP(b)
	idp.publish(jwk("k1", &ecKey.PublicKey))
	v := newVerifier(b, verify.Config{Audience: audience, Issuers: []verify.Issuer{{URL: idp.URL}}})
	claims := serviceClaims().with(object{"iss": idp.URL, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600})
	token, ctx := mint(header(), claims), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

// benchFeed returns a verifier that follows a feed with 100,000 live revocations, none of
// them about the token.
func benchFeed(b *testing.B, maxCached int) (*verify.Verifier, string) {
	b.Helper()
	idp := newIDP(b)
	f := &feed{idp: idp, clock: &clock{now: time.Now()}, t: b}
	f.publish(jwk("k1", &ecKey.PublicKey))
	f.discover(f.document(f.metadata()))
	f.handle("GET /feed-keys", f.document(object{"keys": []any{jwk("feed-1", feedKey.Public())}}))
	const pages, size = 20, 5000
	answers := make(map[string]http.HandlerFunc)
	for p := range int64(pages) {
		entries := make([]object, size)
		for i := range entries {
			seq := p*size + int64(i) + 1
			entries[i] = object{"seq": seq, "jti": fmt.Sprintf("0190a5f2-0000-7000-9000-%012d", seq), "exp": time.Now().Unix() + 3600}
			if i%10 == 0 {
				entries[i] = object{"seq": seq, "service": fmt.Sprintf("service-%d", seq), "service_uid": "u-1", "before": time.Now().UnixMilli()}
			}
		}
		answers[fmt.Sprint(p*size)] = f.answerWith(f.page(p*size, (p+1)*size, entries...).with(object{"more": p < pages-1}))
	}
	f.handle("GET /feed", func(w http.ResponseWriter, r *http.Request) {
		if answer := answers[r.URL.Query().Get("since")]; answer != nil {
			answer(w, r)
			return
		}
		<-r.Context().Done()
	})
	v := newVerifier(b, verify.Config{Audience: audience, MaxCached: maxCached, Issuers: []verify.Issuer{{URL: idp.URL}}})
	v.SetFeedHooks(verify.FeedHooks{Patience: time.Minute, Longing: time.Minute})
	claims := serviceClaims().with(object{"iss": idp.URL, "iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600})
	token := mint(header(), claims)
	if _, err := v.Verify(b.Context(), token); err != nil {
		b.Fatal(err)
	}
	if got := v.FeedEntries(); got < pages*size {
		b.Fatalf("%d revocations", got)
	}
	return v, token
}

// BenchmarkVerifySeenBeforeRevocations is a token seen before with a feed that has
// 100,000 live revocations.
func BenchmarkVerifySeenBeforeRevocations(b *testing.B) {
	v, token := benchFeed(b, 0)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyFirstSightRevocations is the same without the cache.
func BenchmarkVerifyFirstSightRevocations(b *testing.B) {
	v, token := benchFeed(b, -1)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(ctx, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySeenBeforeParallel(b *testing.B) {
	v, token := benchVerifier(b, 0), benchToken(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerifyFirstSight(b *testing.B) {
	v, token := benchVerifier(b, -1), benchToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyFirstSightDistinct has a new token each time and the cache on.
func BenchmarkVerifyFirstSightDistinct(b *testing.B) {
	v := benchVerifier(b, 0)
	tokens := make([]string, 20_000)
	for i := range tokens {
		tokens[i] = mint(header(), serviceClaims().with(object{
			"iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600, "jti": fmt.Sprint("id-", i),
		}))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkRawES256Verify is the floor: the digest and the signature check alone.
func BenchmarkRawES256Verify(b *testing.B) {
	token := benchToken(b)
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		b.Fatal(err)
	}
	input := []byte(token[:dot])
	b.ReportAllocs()
	for b.Loop() {
		digest := sha256.Sum256(input)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if !ecdsa.Verify(&ecKey.PublicKey, digest[:], r, s) {
			b.Fatal("signature")
		}
	}
}

func BenchmarkPeerGolangJWT(b *testing.B) {
	token := benchToken(b)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience(audience), jwt.WithIssuer(issuerURL), jwt.WithExpirationRequired())
	b.ReportAllocs()
	for b.Loop() {
		var claims jwt.MapClaims
		if _, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return &ecKey.PublicKey, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeerGoJose(b *testing.B) {
	token := benchToken(b)
	b.ReportAllocs()
	for b.Loop() {
		parsed, err := josejwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			b.Fatal(err)
		}
		var registered josejwt.Claims
		var all map[string]json.RawMessage
		if err := parsed.Claims(&ecKey.PublicKey, &registered, &all); err != nil {
			b.Fatal(err)
		}
		if err := registered.Validate(josejwt.Expected{Issuer: issuerURL, AnyAudience: josejwt.Audience{audience}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeerGoOIDC(b *testing.B) {
	token := benchToken(b)
	set := &oidc.StaticKeySet{PublicKeys: publicKeys(&ecKey.PublicKey)}
	verifier := oidc.NewVerifier(issuerURL, set, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{"ES256"}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
