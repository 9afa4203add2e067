package iam_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/iamclient"
)

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a stranger is read")
	return 0, io.EOF
}

// vulnerabilities 33: no JSON is parsed and nothing is changed before the caller is
// proven, on any route that there is or comes.
func TestVulnerability33StrangersAreNotListenedTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mux := http.NewServeMux()
	writes := 0
	for _, route := range r.api.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	for _, route := range r.api.Routes() {
		method, path, ok := strings.Cut(route.Pattern, " ")
		if !ok || method == http.MethodGet {
			continue
		}
		writes++
		for _, bearer := range []string{"", "Bearer x", "Bearer a.b.c"} {
			request := httptest.NewRequest(method, strings.ReplaceAll(path, "{name}", "a"), unread{t})
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("If-Match", "*")
			if bearer != "" {
				request.Header.Set("Authorization", bearer)
			}
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, request)
			if answer.Code != http.StatusUnauthorized {
				t.Errorf("%s with %q: %d", route.Pattern, bearer, answer.Code)
			}
		}
	}
	list, err := r.client.Services(t.Context(), iamclient.ServicePage{})
	if err != nil || len(list.Items) != 0 || writes < 7 {
		t.Errorf("%d services after %d writes, %v", len(list.Items), writes, err)
	}
}
