package middleware_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/verify"
)

func Example() {
	const issuer = "https://auth.example.com"
	// Stands for Countersign. A receiver needs only {URL: issuer}: the keys are fetched.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := verify.StaticKeys(map[string]any{"k1": &key.PublicKey})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := verify.New(verify.Config{Audience: "parse-service", Issuers: []verify.Issuer{{URL: issuer, Keys: keys}}})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", countersign.FromContext(r.Context()).Service.Name)
	})
	mux := http.NewServeMux()
	mux.Handle("POST /v1/parse/", middleware.Chain(handler,
		middleware.Authenticate(verifier), middleware.AllowedServices("document-service")))

	for _, caller := range []string{"document-service", "backend-actor"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/parse/7", nil)
		r.Header.Set("Authorization", "Bearer "+tokenOf(key, issuer, caller))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body.String()[:min(w.Body.Len(), 30)])
	}
	// Output:
	// 200 hello document-service
	// 403 {"error":"service_not_allowed"
}

// tokenOf mints what Countersign would.
func tokenOf(key *ecdsa.PrivateKey, issuer, service string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k1"))
	if err != nil {
		log.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": issuer, "sub": service, "client_id": service, "service_id": service, "aud": "parse-service",
		"jti": "1", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}).Serialize()
	if err != nil {
		log.Fatal(err)
	}
	return token
}
