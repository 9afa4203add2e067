package main

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// newProxy passes every request on to origin as it is, which is what a gateway can't do
// without: by net/http alone where bare is set, else by the reverse proxy of the standard
// library. Neither reads a signature, makes one, decides or records.
func newProxy(origin string, bare bool) (http.Handler, error) {
	to, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	if !bare {
		return &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		}}, nil
	}
	buffers := sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &http.Request{
			Method: r.Method, URL: &url.URL{Scheme: to.Scheme, Host: to.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
			Host: r.Host, Header: r.Header, Body: r.Body, ContentLength: r.ContentLength,
		}
		response, err := transport.RoundTrip(out.WithContext(r.Context()))
		if err != nil {
			http.Error(w, "origin", http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		header := w.Header()
		for name, values := range response.Header {
			header[name] = values
		}
		w.WriteHeader(response.StatusCode)
		room, _ := buffers.Get().(*[]byte)
		_, _ = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{response.Body}, *room)
		buffers.Put(room)
	}), nil
}
