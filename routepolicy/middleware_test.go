package routepolicy_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/routepolicy"
)

var (
	_ middleware.RouteDecider = (*routepolicy.Policy)(nil)
	_ middleware.RouteDecider = (*routepolicy.Follower)(nil)
)

// The path that is decided is the one that the mux routes on, also below StripPrefix.
func TestMiddlewareDecidesWhatIsRouted(t *testing.T) {
	t.Parallel()
	guard := middleware.RoutePolicy(mustCompile(t, fromInterface))
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/parse/{rest...}", func(http.ResponseWriter, *http.Request) {})
	routes.HandleFunc("/v1/secret", func(http.ResponseWriter, *http.Request) { t.Error("the secret is out") })
	plain := middleware.Chain(routes, guard)
	stripped := http.StripPrefix("/api", plain)
	for name, test := range map[string]struct {
		handler http.Handler
		path    string
		caller  *countersign.Principal
		status  int
	}{
		"allowed":               {plain, "/v1/parse/a%20b?x=/../y", service("document-service"), 200},
		"allowed, stripped":     {stripped, "/api/v1/parse/7", service("document-service"), 200},
		"nobody":                {plain, "/v1/parse/7", &countersign.Principal{}, 401},
		"another":               {plain, "/v1/parse/7", service("other"), 403},
		"no rule":               {plain, "/v1/secret", service("document-service"), 403},
		"no rule, stripped":     {stripped, "/api/v1/secret", service("document-service"), 403},
		"encoded slash":         {plain, "/v1/parse/..%2fsecret", service("document-service"), 403},
		"encoded dots":          {plain, "/v1/parse/%2e%2e/secret", service("document-service"), 403},
		"dots":                  {plain, "/v1/parse/../secret", service("document-service"), 403},
		"dots, stripped":        {stripped, "/api/v1/parse/../secret", service("document-service"), 403},
		"two slashes":           {plain, "//v1/parse/7", service("document-service"), 403},
		"stripped to two":       {stripped, "/api//v1/parse/7", service("document-service"), 403},
		"stripped to a half":    {stripped, "/apiv1/parse/7", service("document-service"), 403},
		"encoded twice":         {plain, "/v1/parse/%252e%252e/secret", service("document-service"), 403},
		"parameter of a server": {plain, "/v1/parse/..;/secret", service("document-service"), 403},
	} {
		r := httptest.NewRequestWithContext(countersign.NewContext(t.Context(), test.caller, countersign.Secret{}), http.MethodPost, test.path, nil)
		w := httptest.NewRecorder()
		test.handler.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
