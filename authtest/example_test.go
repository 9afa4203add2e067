package authtest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/authtest"
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
