package routepolicy_test

import (
	"context"
	"fmt"
	"log"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

func Example() {
	documents, err := routepolicy.Parse([]byte(`
kind: RoutePolicy
name: parse-service-defaults
service: parse-service
rules:
  - name: documents-may-parse
    from: {services: [document-service]}
    to: {methods: [POST], paths: ["/v1/parse/**"]}
`))
	if err != nil {
		log.Fatal(err)
	}
	policy, err := routepolicy.Compile(documents)
	if err != nil {
		log.Fatal(err)
	}
	// middleware.RoutePolicy(policy) asks this for every call.
	for _, name := range []string{"document-service", "backend-actor"} {
		verdict := policy.Decide(context.Background(), routepolicy.Request{
			Method: "POST", Path: "/v1/parse/7", Principal: &countersign.Principal{Service: countersign.Service{Name: name}},
		})
		fmt.Println(name, verdict.Allowed, verdict.Rule, verdict.Reason)
	}
	// Output:
	// document-service true documents-may-parse ok
	// backend-actor false  route_not_allowed
}
