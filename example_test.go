package countersign_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign"
)

// A handler asks who is calling. Without a verified caller every answer is empty;
// nothing panics.
func ExampleFromContext() {
	handler := func(ctx context.Context) {
		p := countersign.FromContext(ctx)
		fmt.Printf("service=%q user=%q\n", p.Service.Name, p.User.Subject)
	}

	handler(context.Background())
	handler(countersign.NewContext(context.Background(), &countersign.Principal{
		User:    countersign.User{Issuer: "https://id.example.com", Subject: "alice"},
		Service: countersign.Service{Name: "backend-actor"},
	}, countersign.Secret{}))
	// Output:
	// service="" user=""
	// service="backend-actor" user="alice"
}

// A secret can't be printed by accident; only Reveal gives it back.
func ExampleSecret() {
	secret := countersign.NewSecret("csk_example")
	fmt.Printf("%s %v %+v %q\n", secret, secret, struct{ S countersign.Secret }{secret}, secret)
	fmt.Println(secret.Reveal())
	// Output:
	// REDACTED REDACTED {S:REDACTED} REDACTED
	// csk_example
}

// Errors are asked for their code, wherever they come from.
func ExampleError() {
	err := fmt.Errorf("verify the caller: %w",
		countersign.NewError(countersign.BadToken, countersign.ReasonAudMismatch, "the token is not valid here"))
	fmt.Println(errors.Is(err, countersign.BadToken), countersign.ReasonOf(err), "-", countersign.MessageOf(err))
	// Output:
	// true aud_mismatch - the token is not valid here
}
