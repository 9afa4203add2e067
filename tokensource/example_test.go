package tokensource_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func ExampleClientCredentials() {
	// Stands for Countersign, or any other token endpoint.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"token-for-%s","token_type":"Bearer","expires_in":900}`, r.PostFormValue("audience"))
	}))
	defer server.Close()

	source := &tokensource.ClientCredentials{
		TokenURL:     server.URL + "/oauth2/token",
		ClientID:     "document-service",
		ClientSecret: countersign.NewSecret("the-secret"), // better: ClientSecretFile
	}
	defer source.Close()

	token, err := source.Token(context.Background(), "parse-service")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Value.Reveal()) // what a header would carry
	fmt.Println(token.Value)          // what a log would show
	// Output:
	// token-for-parse-service
	// REDACTED
}

func ExampleFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte("the-token\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	source := &tokensource.File{Path: path, Audience: "parse-service"}
	token, err := source.Token(context.Background(), "parse-service")
	fmt.Println(token.Value.Reveal(), err)
	_, err = source.Token(context.Background(), "another-service")
	fmt.Println(countersign.CodeOf(err))
	// Output:
	// the-token <nil>
	// bad_target
}

func ExampleCognito() {
	// Stands for Amazon Cognito: without Endpoint it is that of Region.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"AuthenticationResult":{"IdToken":"id-token","AccessToken":"access-token","RefreshToken":"r","ExpiresIn":3600}}`)
	}))
	defer server.Close()

	source := &tokensource.Cognito{
		Region: "us-east-1", Endpoint: server.URL,
		ClientID: "7abcdefghijkl", Username: "service-document-service",
		Password: countersign.NewSecret("the-password"), // better: PasswordFile
	}
	defer source.Close()

	token, err := source.Token(context.Background(), "sts")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Value.Reveal())
	// Output:
	// id-token
}
