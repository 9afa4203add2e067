package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// A receiver that knows services by a Countersign and users by an identity provider.
// Both are asked for their keys when the first token comes.
func ExampleNew() {
	verifier, err := verify.New(verify.Config{
		Audience: "parse-service",
		Issuers: []verify.Issuer{
			{URL: "https://auth.example.com"},
			{
				URL:       "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf",
				Profile:   verify.Cognito,
				Subject:   verify.User,
				TokenUse:  "access",
				Audiences: []string{"7abcdefghijkl"},
				Roles:     map[string]string{"admins": "admin"},
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = verifier.Close() }()
	fmt.Println(verifier.Audience())
	// Output: parse-service
}

func ExampleVerifier_Verify() {
	// Keys from a file instead of the network.
	source, err := verify.StaticKeys(map[string]any{"k1": &ecKey.PublicKey})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := verify.New(verify.Config{
		Audience: "parse-service",
		Issuers:  []verify.Issuer{{URL: "https://auth.example.com", Keys: source}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = verifier.Close() }()

	claims, err := json.Marshal(map[string]any{
		"iss": "https://auth.example.com", "aud": "parse-service", "sub": "document-service",
		"client_id": "document-service", "service_id": "document-service", "jti": "1",
		"iat": time.Now().Unix(), "exp": time.Now().Add(15 * time.Minute).Unix(),
	})
	if err != nil {
		log.Fatal(err)
	}
	text := mintRaw(header(), claims, ecKey)

	token, err := verifier.Verify(context.Background(), text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Principal.Service.Name)

	_, err = verifier.Verify(context.Background(), text[:len(text)-4])
	fmt.Println(errors.Is(err, countersign.BadToken))
	// Output:
	// document-service
	// true
}
