package auditclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/auditclient"
	"github.com/countersign/countersign/tokensource"
)

// report is an event as it is on the wire.
type report struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	Decision   string    `json:"decision"`
	Reason     string    `json:"reason"`
	Service    string    `json:"service"`
	ServiceUID string    `json:"service_uid"`
	UserIssuer string    `json:"user_issuer"`
	User       string    `json:"user"`
	Target     string    `json:"target"`
	Method     string    `json:"method"`
	Route      string    `json:"route"`
	Rule       string    `json:"rule"`
	Count      int64     `json:"count"`
}

type wireBatch struct {
	BatchID string   `json:"batch_id"`
	Events  []report `json:"events"`
}

// server stands for Countersign, without a network so that it works with the clock of
// testing/synctest. It takes a batch id once, as the real one does.
type server struct {
	mu      sync.Mutex
	status  int         // 0 = 202, -1 = connection refused
	header  http.Header // of answers that are not 202
	bodies  [][]byte    // every body that came, also the refused ones
	reports []report    // of batches that were taken
	seen    map[string]bool
	auth    []string
}

func (s *server) set(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, body)
	s.auth = append(s.auth, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type"))
	w := httptest.NewRecorder()
	switch s.status {
	case -1:
		return nil, errors.New("connection refused")
	case 0:
		w.WriteHeader(http.StatusAccepted)
		var b wireBatch
		if err := json.Unmarshal(body, &b); err != nil || b.BatchID == "" {
			return nil, fmt.Errorf("no batch: %w", err)
		}
		if s.seen == nil {
			s.seen = make(map[string]bool)
		}
		if !s.seen[b.BatchID] {
			s.reports = append(s.reports, b.Events...)
		}
		s.seen[b.BatchID] = true
	default:
		for name, values := range s.header {
			w.Header()[name] = values
		}
		w.WriteHeader(s.status)
	}
	return w.Result(), nil
}

func (s *server) all() []report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]report(nil), s.reports...)
}

func (s *server) posts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

// tokens is a source that counts what it is told.
type tokens struct {
	invalidated atomic.Int64
	err         error
}

func (s *tokens) Token(_ context.Context, audience string) (tokensource.Token, error) {
	return tokensource.Token{Value: countersign.NewSecret("token-for-" + audience)}, s.err
}

func (s *tokens) Invalidate(string, tokensource.Token) { s.invalidated.Add(1) }

func newClient(t *testing.T, s *server, change func(*auditclient.Config)) *auditclient.Client {
	t.Helper()
	cfg := auditclient.Config{
		URL: "https://auth.example.com/base", Source: &tokens{}, HTTPClient: &http.Client{Transport: s},
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	c, err := auditclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

func inDir(dir string) func(*auditclient.Config) {
	return func(cfg *auditclient.Config) { cfg.SpoolDir = dir }
}

var caller = &countersign.Principal{
	Service: countersign.Service{Name: "backend-actor", UID: "uid-1"},
	User:    countersign.User{Issuer: "https://idp.example.com", Subject: "alice"},
}

func denial(i int) countersign.Decision {
	return countersign.Decision{
		ID: fmt.Sprintf("id-%d", i), Time: time.Now(), Reason: countersign.ReasonServiceNotAllowed, Caller: caller,
		Target: "parse-service", Method: "POST", Route: "POST /v1/parse/", Rule: "AllowedServices(document-service)",
	}
}

func allowed(method string) countersign.Decision {
	return countersign.Decision{
		Time: time.Now(), Allowed: true, Reason: countersign.ReasonOK, Caller: caller,
		Target: "parse-service", Method: method, Route: "POST /v1/parse/", Rule: "AllowedServices(backend-actor)",
	}
}

// ids returns the ids of the reports, in the order in which they came.
func ids(reports []report) []string {
	list := make([]string, len(reports))
	for i, r := range reports {
		list[i] = r.ID
	}
	return list
}
