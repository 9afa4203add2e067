package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/countersign/countersign/egress"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[]}`)
	}))
	defer server.Close()

	client := egress.New(egress.Config{}) // keep it: it pools connections
	defer client.CloseIdleConnections()

	// The test server's URL is written as a loopback, so it may be fetched.
	body, _, err := egress.Get(context.Background(), client, server.URL, "application/json")
	fmt.Println(string(body), err)

	// The metadata service of a cloud may not, however it is spelled.
	_, _, err = egress.Get(context.Background(), client, "https://[::ffff:169.254.169.254]/latest", "")
	fmt.Println(errors.Is(err, egress.ErrAddress))
	// Output:
	// {"keys":[]} <nil>
	// true
}
