package iam

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	for _, code := range countersign.Codes() {
		if status := statusOf[code]; status < 400 || status > 599 || http.StatusText(status) == "" {
			t.Errorf("%s: status %d", code, status)
		}
	}
	if len(statusOf) != len(countersign.Codes()) {
		t.Errorf("the table has %d rows for %d codes", len(statusOf), len(countersign.Codes()))
	}
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		err       error
		status    int
		code      countersign.Code
		challenge string
	}{
		{"revision", countersign.NewError(countersign.Conflict, countersign.ReasonRevisionMismatch, ""), 412, countersign.Conflict, ""},
		{"name taken", countersign.NewError(countersign.Conflict, countersign.ReasonNameTaken, ""), 409, countersign.Conflict, ""},
		{"method", countersign.NewError(countersign.Unsupported, countersign.ReasonMethod, ""), 405, countersign.Unsupported, ""},
		{"media type", countersign.NewError(countersign.Invalid, countersign.ReasonMediaType, ""), 415, countersign.Invalid, ""},
		{"no token", countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing, ""), 401, countersign.Unauthenticated, `Bearer realm="countersign"`},
		{"bad token", countersign.NewError(countersign.BadToken, countersign.ReasonSignatureInvalid, ""), 401, countersign.BadToken, `Bearer realm="countersign", error="invalid_token"`},
		{"scope", lacks(scopeAuditWrite, countersign.ReasonScopeMissing, ""), 403, countersign.Denied, `Bearer realm="countersign", error="insufficient_scope", scope="audit:write"`},
		{"a cause without a code", errors.New("canary: dsn=secret"), 500, countersign.Internal, ""},
		{"an unknown code", countersign.NewError("made_up", "", "canary"), 500, countersign.Internal, ""},
	}
	for _, test := range tests {
		for _, expose := range []bool{false, true} {
			a := &API{exposeReasons: expose}
			w := httptest.NewRecorder()
			a.writeError(w, httptest.NewRequest("GET", "/", nil), test.err)
			var problem iamclient.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if w.Code != test.status || problem.Status != test.status || problem.Code != string(test.code) || problem.Type != "about:blank" {
				t.Errorf("%s: %d %+v", test.name, w.Code, problem)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("%s: challenge %q, want %q", test.name, got, test.challenge)
			}
			if (problem.Reason != "") != expose {
				t.Errorf("%s: reason %q with expose=%t", test.name, problem.Reason, expose)
			}
			if w.Header().Get("Content-Type") != iamclient.ProblemType || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: headers %v", test.name, w.Header())
			}
			if strings.Contains(w.Body.String(), "canary") {
				t.Errorf("%s: the cause is shown: %s", test.name, w.Body)
			}
		}
	}
}
