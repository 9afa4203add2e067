package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
)

// A stop lets the request that is under way end, takes no new one, and stores what was
// queued.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "parse-service")
	r.token(t, "document-service", "wrong", "parse-service") // is queued, not stored

	// A request whose body is not there yet when the stop begins.
	conn, err := net.Dial("tcp", r.Addresses().API)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := "grant_type=client_credentials&audience=parse-service&client_id=document-service&client_secret=" + secret
	// "100 Continue" says that the handler is reading the body: the request is under way.
	_, err = fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", len(body))
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = answers.ReadString('\n')

	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	eventually(t, "no new connection is taken", func() bool {
		conn, err := net.Dial("tcp", r.Addresses().API)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("the stop did not wait for the request: %v", err)
	default:
	}
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || !strings.Contains(string(text), "access_token") {
		t.Errorf("the request that was under way: %d %s, %v", response.StatusCode, text, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}

	again := startIn(t, r.data)
	again.wantWhole(t)
	for _, q := range []iamclient.AuditQuery{
		{Reason: "secret_wrong"},
		{Action: "token", Decision: "issued", ID: response.Header.Get("X-Request-Id")},
		{Action: "server.stop"},
	} {
		page, err := again.admin.AuditEvents(t.Context(), q)
		if err != nil || len(page.Events) != 1 {
			t.Errorf("%+v: %d events, %v; want 1", q, len(page.Events), err)
		}
	}
}

// A query that waits (audit query --follow) does not hold up a stop: it answers at once.
func TestGracefulStopEndsLongPolls(t *testing.T) { //nolint:paralleltest // it looks for its polls among all goroutines
	r := start(t)
	page, err := r.admin.AuditEvents(t.Context(), iamclient.AuditQuery{Newest: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		page iamclient.AuditPage
		err  error
	}
	const pollers = 3
	polled := make(chan result, pollers)
	for range pollers {
		go func() {
			page, err := r.admin.AuditEvents(context.Background(), iamclient.AuditQuery{After: page.After, Wait: 25 * time.Second})
			polled <- result{page, err}
		}()
	}
	eventually(t, "they wait", func() bool {
		stacks := make([]byte, 4<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*API).queryAudit(") >= pollers
	})
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	for range pollers {
		got := <-polled
		if got.err != nil || got.page.After == "" {
			t.Errorf("poll: %+v", got)
		}
	}
	if took := time.Since(began); took >= server.DrainTimeout {
		t.Errorf("the stop took %v: it waited for the poll to time out", took)
	}
}

// A server that never ran gives everything back by Close.
func TestCloseWithoutRun(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	s, err := server.New(t.Context(), server.Options{Config: load(t, data)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	startIn(t, data).wantWhole(t)
}

// A start that was called off leaves nothing behind.
func TestStartThatIsCalledOff(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := server.New(ctx, server.Options{Config: load(t, data)}); err == nil {
		_ = s.Close(t.Context())
		t.Fatal("the server started")
	}
	startIn(t, data).wantWhole(t)
}
