package auditclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
	"github.com/countersign/countersign/tokensource"
)

func Example() {
	// Stands for Countersign.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch struct {
			Events []struct {
				Decision, Reason, Service, Route string
				Count                            int
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			log.Print(err)
		}
		for _, e := range batch.Events {
			fmt.Println(e.Decision, e.Reason, e.Service, e.Route, e.Count)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()

	// Usually a *tokensource.ClientCredentials with the scope audit:write.
	source := tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
		return tokensource.Token{Value: countersign.NewSecret("THE-TOKEN")}, nil
	})
	recorder, err := auditclient.New(auditclient.Config{URL: server.URL, Source: source})
	if err != nil {
		log.Fatal(err)
	}

	// Package middleware does this.
	ctx := context.Background()
	call := func(service string, allowed bool, reason countersign.Reason) {
		recorder.Record(ctx, countersign.Decision{
			Allowed: allowed, Reason: reason, Caller: &countersign.Principal{Service: countersign.Service{Name: service}},
			Target: "parse-service", Method: "POST", Route: "POST /v1/parse/", Rule: "AllowedServices(document-service)",
		})
	}
	call("backend-actor", false, countersign.ReasonServiceNotAllowed)
	call("document-service", true, countersign.ReasonOK)
	call("document-service", true, countersign.ReasonOK)

	if err := recorder.Close(ctx); err != nil { // sends what is left
		log.Fatal(err)
	}
	// Output:
	// denied service_not_allowed backend-actor POST /v1/parse/ 1
	// allowed ok document-service POST /v1/parse/ 2
}
