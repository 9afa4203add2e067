package awscreds_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/tokensource"
)

func ExampleNewWebIdentity() {
	// Stands for Countersign's STS, or that of AWS.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
    <SessionToken>%s</SessionToken><Expiration>%s</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`, "session-of-"+r.PostFormValue("RoleSessionName"), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer server.Close()

	// Better: *tokensource.ClientCredentials, Cognito or File.
	source := tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
		return tokensource.Token{Value: countersign.NewSecret("a-token")}, nil
	})
	provider := awscreds.NewWebIdentity(awscreds.WebIdentityConfig{
		STS:     server.URL + "/sts",
		RoleARN: "arn:aws:iam::000000000000:role/document-writer",
		Source:  source,
	})
	defer provider.Close()

	// What an SDK client does, when it is given the provider as cfg.Credentials.
	credentials, err := provider.Retrieve(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credentials.AccessKeyID, credentials.SessionToken)
	// Output:
	// ASIAEXAMPLEEXAMPLE00 session-of-countersign
}
