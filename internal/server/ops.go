package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"
)

// check is one thing that readiness depends on.
type check struct {
	name string
	run  func(ctx context.Context) (state, error)
}

// state is how well a check that passes does so.
type state string

const (
	healthy state = "ok"
	// degraded: it is served, with what is known here.
	degraded state = "degraded"
)

// opsHandler serves /livez, /readyz, /metrics and, where it is switched on, pprof.
// It shows no names, tokens or reasons: it may be reachable by anybody (RULES G8).
func opsHandler(metrics http.Handler, checks []check, withPprof bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, checks) })
	mux.Handle("GET /metrics", metrics)
	if withPprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// ready answers 200 when every check passes, if only degraded, and 503 with the names of those that
// do not; why they failed stands in the log.
func ready(w http.ResponseWriter, r *http.Request, checks []check) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	status, answer := http.StatusOK, map[string]string{"status": string(healthy)}
	for _, c := range checks {
		now, err := c.run(ctx)
		answer[c.name] = string(now)
		switch {
		case err != nil:
			status, answer["status"], answer[c.name] = http.StatusServiceUnavailable, "not ready", "failed"
		case now != healthy && status == http.StatusOK:
			answer["status"] = string(now)
		}
	}
	writeHealth(w, status, answer)
}

func writeHealth(w http.ResponseWriter, status int, answer map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}
