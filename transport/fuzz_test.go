package transport

import (
	"net/url"
	"testing"
)

// FuzzHosts: a host that is not the listed one never gets its tokens.
func FuzzHosts(f *testing.F) {
	f.Add("parse.internal", "https://parse.internal/x")
	f.Add("parse.internal:8443", "https://parse.internal:8443@evil.com/")
	f.Add("[::1]:80", "http://[::1]")
	f.Add("127.0.0.1", "http://127.0.0.1:443/")
	f.Fuzz(func(t *testing.T, key, target string) {
		h, err := newHosts(map[string]string{key: "a"})
		if err != nil {
			return
		}
		u, err := url.Parse(target)
		if err != nil {
			return
		}
		if _, err := h.audience(u.Scheme, u.Host); err != nil {
			return
		}
		listed, err := url.Parse(u.Scheme + "://" + key)
		if err != nil {
			t.Fatalf("%q is listed and no host: %v", key, err)
		}
		port := func(u *url.URL) string {
			switch {
			case u.Port() != "":
				return u.Port()
			case u.Scheme == "https":
				return "443"
			default:
				return "80"
			}
		}
		if !h.same(u.Scheme, listed.Hostname(), u.Hostname()) || port(listed) != port(u) {
			t.Errorf("%q lets %q through", key, target)
		}
	})
}
