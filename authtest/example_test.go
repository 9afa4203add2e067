package authtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/awscreds"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/transport"
)

// example stands for the *testing.T of a test.
type example struct{ cleanups []func() }

func (e *example) Helper()                   {}
func (e *example) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (e *example) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }

func (e *example) TempDir() string {
	folder, err := os.MkdirTemp("", "authtest")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func (e *example) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}

// A test of a receiving service: the real server decides who may come in.
func Example() {
	t := new(example) // in a test: t *testing.T
	defer t.end()

	srv := authtest.New(t)
	users := authtest.NewUserIssuer(t, "web-app")
	documents := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"parse-service"}})
	actor := srv.CreateService(t, "backend-actor", authtest.Service{Audiences: []string{"parse-service"}})

	// The service under test.
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := countersign.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "%s for %q", p.Service.Name, p.User.Subject)
	})
	parse := httptest.NewServer(middleware.Chain(handler,
		middleware.Authenticate(srv.Verifier(t, "parse-service", users.Trust())),
		middleware.AllowedServices("document-service")))
	defer parse.Close()

	call := func(as *authtest.Identity, user string) {
		client := &http.Client{Transport: &transport.Transport{
			Source: as.Source, Audiences: map[string]string{parse.Listener.Addr().String(): "parse-service"},
		}}
		ctx := countersign.WithUserToken(context.Background(), user)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, parse.URL, nil)
		if err != nil {
			t.Fatalf("%v", err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatalf("%v", err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			fmt.Println(response.StatusCode)
			return
		}
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatalf("%v", err)
		}
		fmt.Println(response.StatusCode, string(text))
	}
	alice := users.Token(t, "alice", nil)
	call(documents, "")
	call(documents, alice)
	call(actor, alice)
	srv.Clock.Advance(2 * time.Hour) // tokens end; the source gets another by itself
	call(documents, "")
	srv.VerifyAudit(t)
	// Output:
	// 200 document-service for ""
	// 200 document-service for "alice"
	// 403
	// 200 document-service for ""
}

// What the server decided is in the audit log.
func ExampleServer_Events() {
	t := new(example)
	defer t.end()

	srv := authtest.New(t)
	documents := srv.CreateService(t, "document-service", authtest.Service{Audiences: []string{"parse-service"}})
	documents.Token(t, "parse-service")
	srv.DisableService(t, "document-service")
	for _, e := range srv.Events(t) {
		if e.Service == "document-service" || e.Target == "document-service" {
			fmt.Println(e.Action, e.Decision, e.Reason)
		}
	}
	// Output:
	// service.create changed ok
	// token issued ok
	// service.disable changed ok
}

// An AWS principal logs in by a signed GetCallerIdentity, which the double of AWS verifies.
func ExampleAWSSTS() {
	t := new(example)
	defer t.end()

	amazon := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	srv := authtest.New(t, "COUNTERSIGN_STS_SERVER_ID=test", "COUNTERSIGN_STS_AWS_ENDPOINTS="+amazon.URL)
	srv.Apply(t, `
kind: Role
name: document-writer
trust: [{aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/lambda/*"]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`)
	login := func(role string) {
		principal := amazon.AssumeRole(t, amazon.AddRole(t, authtest.AWSRole{Name: role}), "i-0123", time.Hour)
		provider := awscreds.NewAWSIdentity(awscreds.AWSIdentityConfig{
			STS: srv.URL + "/sts", ServerID: "test", RoleARN: "arn:aws:iam::000000000000:role/document-writer", AWSSTS: amazon.URL,
			Credentials: credentials.NewStaticCredentialsProvider(principal.AccessKeyID, principal.SecretAccessKey.Reveal(), principal.SessionToken.Reveal()),
		})
		defer func() { _ = provider.Close() }()
		got, err := provider.Retrieve(context.Background())
		fmt.Println(strings.HasPrefix(got.AccessKeyID, "ASIA"), errors.Is(err, countersign.Denied))
	}
	login("lambda")
	login("other")
	fmt.Println("AWS was asked", len(amazon.Calls()), "times")
	// Output:
	// true false
	// false true
	// AWS was asked 2 times
}
