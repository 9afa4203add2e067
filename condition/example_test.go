package condition_test

import (
	"context"
	"fmt"
	"log"

	"github.com/countersign/countersign/condition"
)

func Example() {
	schema, err := condition.NewSchema(
		condition.Variable{Name: "principal.tenant", Type: condition.String},
		condition.Variable{Name: "request.path_params", Type: condition.StringMap})
	if err != nil {
		log.Fatal(err)
	}
	sameTenant, err := condition.Compile(`principal.tenant == request.path_params.tenant`, schema)
	if err != nil {
		log.Fatal(err)
	}
	for _, tenant := range []string{"acme", "other"} {
		ok, err := sameTenant.Match(context.Background(), condition.Input{
			"principal.tenant": "acme", "request.path_params": map[string]string{"tenant": tenant},
		})
		fmt.Println(tenant, ok, err)
	}
	_, err = condition.Compile(`principal.name == "x"`, schema)
	fmt.Println(err != nil)
	// Output:
	// acme true <nil>
	// other false <nil>
	// true
}
