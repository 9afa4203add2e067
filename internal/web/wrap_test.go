package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/web"
)

const canary = "canary-9c1e"

// writeError is a front door's errors.go in small.
func writeError(w http.ResponseWriter, _ *http.Request, err error) {
	status := map[countersign.Code]int{
		countersign.Invalid: 400, countersign.Throttled: 429, countersign.TooLarge: 413, countersign.Internal: 500, countersign.Unavailable: 503,
	}[countersign.CodeOf(err)]
	_ = web.WriteJSON(w, status, map[string]string{"error": countersign.MessageOf(err)})
}

func do(h http.Handler, edit func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost/x?token="+canary, nil)
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWrapGivesEachRequestAnID(t *testing.T) {
	t.Parallel()
	var seen string
	h := web.Wrap(web.Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = web.RequestID(r.Context()) }))
	first := do(h, func(r *http.Request) { r.Header.Set("X-Request-Id", "chosen-by-the-client") })
	if len(seen) != 36 || first.Header().Get("X-Request-Id") != seen {
		t.Errorf("id %q in the context, %q in the answer", seen, first.Header().Get("X-Request-Id"))
	}
	if second := do(h, nil); second.Header().Get("X-Request-Id") == first.Header().Get("X-Request-Id") {
		t.Error("two requests have one id")
	}
	if got := web.RequestID(t.Context()); got != "" {
		t.Errorf("outside of a request the id is %q", got)
	}
	if got := web.ClientAddr(t.Context()); got.IsValid() {
		t.Errorf("outside of a request the address is %s", got)
	}
}

func TestWrapKeepsTheContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	h := web.Wrap(web.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), key{}, 2), time.Hour)
		defer cancel()
		if ctx.Value(key{}) != 2 || r.Context().Value(key{}) != 1 || web.RequestID(ctx) == "" {
			t.Error("a context value is lost")
		}
		if got := web.ClientAddr(ctx); got != netip.MustParseAddr("203.0.113.5") {
			t.Errorf("client %s", got)
		}
	}))
	do(h, func(r *http.Request) {
		r.Header.Set("X-Forwarded-For", "203.0.113.5") // httptest's remote is 192.0.2.1
		*r = *r.WithContext(context.WithValue(r.Context(), key{}, 1))
	})
}

func TestRuleG7WrapRefusesForeignHosts(t *testing.T) {
	t.Parallel()
	h := web.Wrap(web.Config{Hosts: []string{"auth.example.com"}}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if w := do(h, func(r *http.Request) { r.Host = "auth.example.com:8440" }); w.Code != http.StatusOK {
		t.Errorf("own host: %d", w.Code)
	}
	w := do(h, func(r *http.Request) { r.Host = "rebound.example" })
	var body struct {
		Error     string `json:"error"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusMisdirectedRequest || body.Error != "host_not_served" || body.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("foreign host: %d %s", w.Code, w.Body)
	}
}

func TestWrapBoundsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	started, release := make(chan struct{}), make(chan struct{})
	h := web.Wrap(web.Config{Logger: log.Logger(slog.LevelInfo), MaxConcurrent: 2}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		started <- struct{}{}
		<-release
	}))
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() { do(h, nil) })
		<-started
	}
	for range 3 {
		w := do(h, nil)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("third request: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if n := strings.Count(log.String(), "too many under way"); n != 1 {
		t.Errorf("%d lines about it: %s", n, &log)
	}
	close(release)
	done.Wait()
	go func() { <-started }()
	if w := do(h, nil); w.Code != http.StatusOK {
		t.Errorf("after they ended: %d", w.Code)
	}
}

func TestAccessLogIsOneLineWithoutSecrets(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	mux := http.NewServeMux()
	mux.HandleFunc("POST /things/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "hello")
	})
	var observed []string
	h := web.Wrap(web.Config{Logger: log.Logger(slog.LevelDebug), Observe: func(route string, status int, _ time.Duration) {
		observed = append(observed, route, http.StatusText(status))
	}}, mux)
	w := do(h, func(r *http.Request) {
		r.Method, r.URL.Path, r.Body = http.MethodPost, "/things/"+canary, io.NopCloser(strings.NewReader(canary))
		for _, name := range []string{"Authorization", "Cookie", "X-Request-Id", "User-Agent", "Referer", "X-Forwarded-For"} {
			r.Header.Set(name, canary)
		}
	})
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log holds what the client sent: %s", &log)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil { // fails on two lines
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "DEBUG", "msg": "request", "method": "POST", "route": "POST /things/{id}", "status": 201.0, "bytes": 5.0,
		"request_id": w.Header().Get("X-Request-Id"), "client": "192.0.2.1", "aborted": false,
	} {
		if line[name] != want {
			t.Errorf("%s = %v, want %v", name, line[name], want)
		}
	}
	if len(observed) != 2 || observed[0] != "POST /things/{id}" || observed[1] != "Created" {
		t.Errorf("observed %v", observed)
	}
}

func TestAccessLogBoundsTheMethod(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	do(web.Wrap(web.Config{Logger: log.Logger(slog.LevelDebug)}, http.NewServeMux()), func(r *http.Request) { r.Method = canary })
	if strings.Contains(log.String(), canary) || !strings.Contains(log.String(), `"method":"other"`) {
		t.Error(log.String())
	}
}

func TestHandleRendersErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		body   string // of the answer
		logged string // "" = nothing is logged
	}{
		{"none", nil, 200, "", ""},
		{"caller's fault", countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing, "x is missing"), 400, "x is missing", ""},
		{"ours", errors.New("disk " + canary), 500, "internal", canary},
		{"ours with a message", countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "try later", errors.New("locked "+canary)), 503, "try later", canary},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log fixture.Log
			h := web.Wrap(web.Config{}, web.Handle(log.Logger(slog.LevelDebug), writeError, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Etag", `"1"`)
				w.Header().Set("Cache-Control", "public, max-age=900")
				w.Header().Set("Content-Length", "5")
				return test.err
			}))
			w := do(h, nil)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) || strings.Contains(w.Body.String(), canary) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if test.err != nil && (w.Header().Get("Etag") != "" || w.Header().Get("Cache-Control") != "no-store") {
				t.Errorf("the error has the headers of the answer: %v", w.Header())
			}
			if n := strings.Count(log.String(), "request failed"); (test.logged != "") != (n == 1) || !strings.Contains(log.String(), test.logged) {
				t.Errorf("log: %s", &log)
			}
		})
	}
}

func TestHandleSetsRetryAfter(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "", -time.Second: "", time.Nanosecond: "1", time.Second: "1", 1500 * time.Millisecond: "2"} {
		h := web.Handle(nil, writeError, func(http.ResponseWriter, *http.Request) error {
			return &countersign.Error{Code: countersign.Throttled, RetryAfter: d}
		})
		if w := do(h, nil); w.Code != 429 || w.Header().Get("Retry-After") != want {
			t.Errorf("%s: %d, Retry-After %q", d, w.Code, w.Header().Get("Retry-After"))
		}
	}
}

func TestHandleTurnsPanicsIntoErrors(t *testing.T) {
	t.Parallel()
	var none map[string]int
	for name, test := range map[string]struct {
		panics func()
		logged string
	}{
		"text with a secret":  {func() { panic("token " + canary) }, "panic with a value of type string"},
		"error with a secret": {func() { panic(errors.New(canary)) }, "panic with a value of type"},
		"runtime error":       {func() { none["x"] = 1 }, "nil map"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log fixture.Log
			front := web.Handle(log.Logger(slog.LevelDebug), writeError, func(http.ResponseWriter, *http.Request) error {
				test.panics()
				return nil
			})
			bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { test.panics() })
			for _, h := range []http.Handler{front, bare} {
				w := do(web.Wrap(web.Config{Logger: log.Logger(slog.LevelInfo)}, h), nil)
				if w.Code != 500 || !json.Valid(w.Body.Bytes()) || strings.Contains(w.Body.String(), canary) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
			if strings.Contains(log.String(), canary) || strings.Count(log.String(), test.logged) != 2 || !strings.Contains(log.String(), "wrap_test.go") {
				t.Errorf("log: %s", &log)
			}
		})
	}
}

// After the first byte nothing can be said any more: the connection is cut.
func TestErrorsAfterTheFirstByteAbort(t *testing.T) {
	t.Parallel()
	begin := map[string]func(w http.ResponseWriter){
		"write":       func(w http.ResponseWriter) { _, _ = w.Write([]byte("half")) },
		"writestring": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "half") },
		"copy":        func(w http.ResponseWriter) { _, _ = io.Copy(w, bytes.NewBufferString("half")) },
		"header":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"flush":       func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"flusher":     func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
	}
	for name, write := range begin {
		for kind, end := range map[string]func() error{"error": func() error { return errors.New("late") }, "panic": func() error { panic("late") }} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				var aborted int
				h := web.Wrap(web.Config{Observe: func(string, int, time.Duration) { aborted++ }},
					web.Handle(nil, writeError, func(w http.ResponseWriter, _ *http.Request) error {
						write(w)
						return end()
					}))
				w := httptest.NewRecorder()
				func() {
					defer func() {
						if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
							t.Errorf("recovered %v", err)
						}
					}()
					h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				}()
				if strings.Contains(w.Body.String(), "error") || aborted != 1 {
					t.Errorf("body %q, observed %d times", w.Body, aborted)
				}
			})
		}
	}
}

func TestInformationalStatusIsNotTheAnswer(t *testing.T) {
	t.Parallel()
	h := web.Handle(nil, writeError, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusEarlyHints)
		return countersign.NewError(countersign.Invalid, "", "no")
	})
	server := httptest.NewServer(web.Wrap(web.Config{}, h))
	defer server.Close()
	res, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", res.Status)
	}
}

func TestClientThatWentAwayIsNoFault(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	h := web.Handle(log.Logger(slog.LevelInfo), writeError, func(_ http.ResponseWriter, r *http.Request) error { return r.Context().Err() })
	do(h, func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	if log.String() != "" {
		t.Errorf("log: %s", &log)
	}
}

// brokenPipe is a connection that its client has closed, or a handler's own mistake.
type brokenPipe struct {
	http.ResponseWriter
	err error
}

func (w brokenPipe) Write([]byte) (int, error) { return 0, w.err }

func TestClientThatTakesNoAnswerIsNoFault(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	for name, test := range map[string]struct {
		err    error
		reason countersign.Reason
		level  string
	}{
		"reset":                {reset, countersign.ReasonClientGone, "DEBUG"},
		"stands still":         {&net.OpError{Op: "write", Net: "tcp", Err: os.ErrDeadlineExceeded}, countersign.ReasonClientGone, "DEBUG"},
		"more than was said":   {http.ErrContentLength, countersign.ReasonInternal, "ERROR"},
		"a body where is none": {http.ErrBodyNotAllowed, countersign.ReasonInternal, "ERROR"},
	} {
		for kind, write := range map[string]func(w http.ResponseWriter) error{
			"write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
			"writestring": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				var log fixture.Log
				h := web.Wrap(web.Config{}, web.Handle(log.Logger(slog.LevelDebug), writeError, func(w http.ResponseWriter, _ *http.Request) error {
					return fmt.Errorf("write the answer: %w", write(w))
				}))
				func() {
					defer func() { _ = recover() }() // it cuts the connection
					h.ServeHTTP(brokenPipe{httptest.NewRecorder(), test.err}, httptest.NewRequest(http.MethodGet, "/", nil))
				}()
				if line := log.String(); strings.Count(line, "request failed") != 1 || !strings.Contains(line, test.level) || !strings.Contains(line, string(test.reason)) {
					t.Errorf("log: %s", line)
				}
			})
		}
	}
}

// A listener of one front door refuses in that one's words.
func TestWrapRefusesInTheWordsOfItsFrontDoor(t *testing.T) {
	t.Parallel()
	handler := web.Wrap(web.Config{
		Hosts: []string{},
		Refuse: func(w http.ResponseWriter, r *http.Request, status int, word string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<"+word+"> "+web.RequestID(r.Context()))
		},
	}, http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "http://evil.example.com/", nil)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if body := w.Body.String(); w.Code != http.StatusMisdirectedRequest || body != "<host_not_served> "+w.Header().Get("X-Request-Id") {
		t.Errorf("%d %s", w.Code, body)
	}
}
