package web_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/web"
)

func TestServeDrainsBeforeItEnds(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	s := serve(t, web.ServeConfig{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by the wish to stop")
		}
		_, _ = io.WriteString(w, "finished")
	})})
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + s.addr)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		answer <- string(body)
	}()
	<-started
	s.stop()
	deadline := time.Now().Add(10 * time.Second)
	for { // new connections are refused while the old one is served
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
	}
	select {
	case err := <-s.done:
		t.Fatalf("ended with a request under way: %v", err)
	default:
	}
	close(release)
	if got := <-answer; got != "finished" {
		t.Errorf("got %q", got)
	}
	if err := <-s.done; err != nil {
		t.Errorf("got %v", err)
	}
	s.done <- nil // for the clean-up
}

func TestServeCutsWhatOutlastsTheDrain(t *testing.T) {
	t.Parallel()
	var log fixture.Log
	started, cancelled := make(chan struct{}), make(chan struct{})
	s := serve(t, web.ServeConfig{Drain: 10 * time.Millisecond, Logger: log.Logger(slog.LevelInfo), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
		close(cancelled)
	})})
	failed := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + s.addr)
		if err == nil {
			_ = res.Body.Close()
		}
		failed <- err
	}()
	<-started
	s.stop()
	<-cancelled
	if err := <-failed; err == nil {
		t.Error("the client got an answer")
	}
	if err := <-s.done; err != nil || !strings.Contains(log.String(), "outlasted the drain") {
		t.Errorf("got %v, log %s", err, &log)
	}
	s.done <- nil
}
