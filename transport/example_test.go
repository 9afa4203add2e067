package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
)

func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Authorization: %q\n", r.Header.Get("Authorization"))
		fmt.Fprintf(w, "Service-Authorization: %q\n", r.Header.Get("Service-Authorization"))
	}))
	defer receiver.Close()

	// Usually a *tokensource.ClientCredentials.
	source := tokensource.SourceFunc(func(_ context.Context, audience string) (tokensource.Token, error) {
		return tokensource.Token{Value: countersign.NewSecret("SERVICE-TOKEN-FOR-" + audience)}, nil
	})
	client := &http.Client{Transport: &transport.Transport{
		Source:    source,
		Mode:      transport.UserAndService,
		Audiences: map[string]string{strings.TrimPrefix(receiver.URL, "http://"): "parse-service"},
	}}

	call := func(ctx context.Context, url string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			log.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println("refused:", countersign.CodeOf(err))
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(string(body))
	}
	call(countersign.WithUserToken(context.Background(), "USER-TOKEN"), receiver.URL)
	call(context.Background(), receiver.URL)
	call(context.Background(), "https://somewhere.else/")
	// Output:
	// Authorization: "Bearer USER-TOKEN"
	// Service-Authorization: "Bearer SERVICE-TOKEN-FOR-parse-service"
	// Authorization: "Bearer SERVICE-TOKEN-FOR-parse-service"
	// Service-Authorization: ""
	// refused: denied
}
