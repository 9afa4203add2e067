package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
)

// A user calls one service, which calls the next: the user's token that the middleware
// let in goes along by itself, and only that.
func TestUserIsForwarded(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, 0)
	var last seen
	parse := httptest.NewServer(middleware.Chain(&last, middleware.Authenticate(v)))
	defer parse.Close()

	source := tokensource.SourceFunc(func(context.Context, string) (tokensource.Token, error) {
		return tokensource.Token{Value: countersign.NewSecret(mint(t, serviceClaims("document-service", "")))}, nil
	})
	client := &http.Client{Transport: &transport.Transport{
		Source: source, Audiences: map[string]string{strings.TrimPrefix(parse.URL, "http://"): audience},
	}}
	document := httptest.NewServer(middleware.Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		onward, err := http.NewRequestWithContext(r.Context(), http.MethodPost, parse.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := client.Do(onward)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}), middleware.Authenticate(v)))
	defer document.Close()

	user := mint(t, userClaims())
	tests := []struct {
		name, authorization, service  string
		wantUser, wantToken, wantName string
	}{
		{"user", user, "", "alice", user, "document-service"},
		{"user through a service", user, mint(t, serviceClaims("backend-actor", "")), "alice", user, "document-service"},
		{"service", mint(t, serviceClaims("backend-actor", "")), "", "", "", "document-service"},
	}
	for _, test := range tests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, document.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+test.authorization)
		if test.service != "" {
			req.Header.Set("Service-Authorization", "Bearer "+test.service)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || last.principal.User.Subject != test.wantUser ||
			last.principal.Service.Name != test.wantName || last.userToken != test.wantToken {
			t.Errorf("%s: %d, the last service saw %+v", test.name, resp.StatusCode, last.principal)
		}
	}
}
