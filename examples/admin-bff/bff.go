package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/countersign/countersign/middleware"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
)

//go:embed page.html
var page []byte

//go:embed page.js
var script []byte

// maxBody bounds what is read of a request and of an answer.
const maxBody = 1 << 20

// bff answers the page.
type bff struct {
	iam string // https://auth.example.com/api/iam/v1
	// asAdmin passes the administrator's token on beside our own; asMachine brings our own
	// alone, also when there is an administrator.
	asAdmin, asMachine *http.Client
}

func newBFF(server string, source tokensource.Source, verifier middleware.TokenVerifier) (http.Handler, error) {
	base, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	hosts := map[string]string{base.Host: "iam-service"}
	b := &bff{
		iam:       server + "/api/iam/v1",
		asAdmin:   &http.Client{Timeout: 30 * time.Second, Transport: &transport.Transport{Source: source, Mode: transport.UserAndService, Audiences: hosts}},
		asMachine: &http.Client{Timeout: 30 * time.Second, Transport: &transport.Transport{Source: source, Mode: transport.ServiceOnly, Audiences: hosts}},
	}
	users := http.NewServeMux()
	users.HandleFunc("GET /api/me", b.forward("/me"))
	users.HandleFunc("GET /api/tenants", b.forward("/tenants"))
	users.HandleFunc("GET /api/tenants/{id}", b.forward("/tenants/{id}"))
	users.HandleFunc("PUT /api/tenants/{id}", b.forward("/tenants/{id}"))
	users.HandleFunc("PATCH /api/users/{id}", b.forward("/admin/users/{id}"))
	users.HandleFunc("POST /api/lookup", b.lookup)
	mux := http.NewServeMux()
	mux.Handle("/api/", middleware.Chain(users, middleware.Authenticate(verifier), middleware.RequireUser()))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(script)
	})
	return mux, nil
}

// forward sends the administrator's request on. It decides nothing: the IAM API does, by
// the administrator's roles.
func (b *bff) forward(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		target := b.iam + path
		if id := r.PathValue("id"); id != "" {
			target = b.iam + path[:len(path)-len("{id}")] + url.PathEscape(id)
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, target, http.MaxBytesReader(w, r.Body, maxBody)) //nolint:gosec // G704: the host is ours, and the id is escaped
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		// These headers and no others: what a browser says of identities stays here.
		for _, name := range []string{"Content-Type", "If-Match", "If-None-Match", "X-Active-Tenant-Id"} {
			if values := r.Header.Values(name); len(values) > 0 {
				out.Header[name] = slices.Clone(values)
			}
		}
		b.answer(w, b.asAdmin, out)
	}
}

// lookup finds people by e-mail address with our own token. The directory has everybody in
// it, so we ask first whether the administrator may see users at all: else our rights would
// be everybody's.
func (b *bff) lookup(w http.ResponseWriter, r *http.Request) {
	tenant, err := b.mayLookUp(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	var asked struct {
		Emails []string `json:"emails"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&asked); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(map[string]any{"emails": asked.Emails, "tenant": tenant})
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, b.iam+"/system/users/query", bytes.NewReader(body))
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	out.Header.Set("Content-Type", "application/json")
	b.answer(w, b.asMachine, out)
}

// mayLookUp returns the tenant whose people the administrator may see.
func (b *bff) mayLookUp(r *http.Request) (tenant string, err error) {
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, b.iam+"/me", nil)
	if err != nil {
		return "", err
	}
	if hint := r.Header.Get("X-Active-Tenant-Id"); hint != "" {
		ask.Header.Set("X-Active-Tenant-Id", hint)
	}
	response, err := b.asAdmin.Do(ask)
	if err != nil {
		return "", errors.New("who you are can't be told now")
	}
	defer func() { _ = response.Body.Close() }()
	var me struct {
		Tenant      string
		Permissions []string
		SuperAdmin  bool `json:"super_admin"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(&me); err != nil || response.StatusCode != http.StatusOK {
		return "", errors.New("you are nobody here")
	}
	if !me.SuperAdmin && (me.Tenant == "" || !slices.Contains(me.Permissions, "users.read")) {
		return "", errors.New("you may not look people up")
	}
	return me.Tenant, nil
}

func (b *bff) answer(w http.ResponseWriter, client *http.Client, out *http.Request) {
	response, err := client.Do(out) //nolint:gosec // G704: the transport calls the hosts that it lists
	if err != nil {
		log.Print(err)
		http.Error(w, "Countersign does not answer", http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	for _, name := range []string{"Content-Type", "Etag", "Retry-After"} {
		if value := response.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(response.Body, maxBody))
}
