package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestRuleG8ForwardedForCountsOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	inside := prefixes("10.0.0.0/8", "2001:db8::/32")
	tests := []struct {
		name    string
		remote  string
		headers []string
		trusted []netip.Prefix
		want    string // "" = no address
	}{
		{"no proxies trusted", "192.0.2.1:1234", []string{"203.0.113.9"}, nil, "192.0.2.1"},
		{"stranger sends the header", "192.0.2.1:1234", []string{"203.0.113.9"}, inside, "192.0.2.1"},
		{"proxy without the header", "10.0.0.1:1234", nil, inside, "10.0.0.1"},
		{"one hop", "10.0.0.1:1234", []string{"203.0.113.9"}, inside, "203.0.113.9"},
		{"client's own hops are not believed", "10.0.0.1:1234", []string{"127.0.0.1, 10.9.9.9, 203.0.113.9"}, inside, "203.0.113.9"},
		{"two proxies", "10.0.0.1:1234", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, inside, "203.0.113.9"},
		{"two lines are one list", "10.0.0.1:1234", []string{"1.1.1.1", "203.0.113.9, 10.0.0.2", "10.0.0.3"}, inside, "203.0.113.9"},
		{"all trusted", "10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, inside, "10.0.0.3"},
		{"garbage at the right", "10.0.0.1:1234", []string{"203.0.113.9, unknown"}, inside, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:1234", []string{"203.0.113.9, _hidden, 10.0.0.2"}, inside, "10.0.0.2"},
		{"empty header", "10.0.0.1:1234", []string{""}, inside, "10.0.0.1"},
		{"empty hop", "10.0.0.1:1234", []string{"203.0.113.9,"}, inside, "10.0.0.1"},
		{"hop with port", "10.0.0.1:1234", []string{"203.0.113.9:5678"}, inside, "203.0.113.9"},
		{"IPv6 hop", "[2001:db8::1]:1", []string{"[2001:470::9]:5"}, inside, "2001:470::9"},
		{"bare IPv6 hop", "[2001:db8::1]:1", []string{"2001:470::9"}, inside, "2001:470::9"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, inside, "203.0.113.9"},
		{"zone", "[fe80::1%eth0]:1", nil, inside, "fe80::1"},
		{"Unix socket", "@", []string{"203.0.113.9"}, inside, ""},
		{"nothing", "", nil, inside, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.remote
			r.Header["X-Forwarded-For"] = test.headers
			got := clientAddr(r, test.trusted)
			if want, _ := netip.ParseAddr(test.want); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestRuleG8LimiterKeyTakesIPv6By64(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::ffff": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "::1": "::/64",
	} {
		if got := LimiterKey(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("LimiterKey(%s) = %s, want %s", text, got, want)
		}
	}
	if got := LimiterKey(netip.Addr{}); got.IsValid() {
		t.Errorf("no address has the key %s", got)
	}
}

func FuzzClientAddr(f *testing.F) {
	f.Add("10.0.0.1:1", "203.0.113.9, 10.0.0.2")
	f.Add("[::ffff:10.0.0.1]:1", "[::1]:80,,x")
	trusted := prefixes("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, remote, header string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {header}}}
		got := clientAddr(r, trusted)
		if direct, ok := parseHop(remote); ok && !contains(trusted, direct) && got != direct {
			t.Errorf("a stranger at %s chose the address %s", remote, got)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("%s has two forms", got)
		}
	})
}
