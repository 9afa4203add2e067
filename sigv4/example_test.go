package sigv4_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// A server finds the secret by what the request says of itself, and believes it then.
func ExampleParse() {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	credentials := sigv4.Credentials{
		AccessKeyID: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: countersign.NewSecret("the-secret-key"),
		SessionToken: countersign.NewSecret("the-session-token"),
	}

	// The client.
	r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/sts", strings.NewReader(body))
	err := sigv4.Sign(r, credentials, sigv4.SignOptions{
		Region: "eu-central-1", Service: "sts", Time: now, PayloadHash: sigv4.HashPayload([]byte(body)),
	})
	if err != nil {
		log.Fatal(err)
	}

	// The server.
	request, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		log.Fatal(err)
	}
	err = request.Verify(sigv4.VerifyOptions{
		Secret: countersign.NewSecret("the-secret-key"), // of request.AccessKeyID and request.SessionToken
		Now:    now.Add(time.Minute), Service: "sts", BodyHash: sigv4.HashPayload([]byte(body)),
	})
	fmt.Println(request, err)

	// The same signature with another body.
	err = request.Verify(sigv4.VerifyOptions{
		Secret: countersign.NewSecret("the-secret-key"),
		Now:    now.Add(time.Minute), Service: "sts", BodyHash: sigv4.HashPayload([]byte("Action=AssumeRole")),
	})
	fmt.Println(countersign.CodeOf(err))
	// Output:
	// ASIAEXAMPLEEXAMPLE00/20261126/eu-central-1/sts/aws4_request <nil>
	// bad_signature
}

func ExamplePresign() {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	r := httptest.NewRequest(http.MethodGet, "https://s3.example.com/bucket/a%20key", nil)
	u, err := sigv4.Presign(r,
		sigv4.Credentials{AccessKeyID: "AKIAEXAMPLEEXAMPLE00", SecretAccessKey: countersign.NewSecret("the-secret-key")},
		sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: now}, time.Hour)
	if err != nil {
		log.Fatal(err)
	}

	request, err := sigv4.Parse(httptest.NewRequest(http.MethodGet, u.String(), nil), sigv4.ParseOptions{})
	if err != nil {
		log.Fatal(err)
	}
	// The link says nothing of a body, and ends after an hour.
	for _, at := range []time.Time{now.Add(59 * time.Minute), now.Add(time.Hour)} {
		fmt.Println(countersign.CodeOf(request.Verify(sigv4.VerifyOptions{
			Secret: countersign.NewSecret("the-secret-key"), Now: at, Service: "s3", AllowUnsigned: true,
		})))
	}
	// Output:
	//
	// expired
}
