package web

import "testing"

func TestRuleG7HostsOutsideIssuerAliasesAndLoopback(t *testing.T) {
	t.Parallel()
	check := newHostCheck([]string{"auth.example.com", "Alias.Example", "2001:db8::1"})
	for _, host := range []string{
		"auth.example.com", "auth.example.com:443", "AUTH.example.com", "alias.example:8440", "[2001:db8::1]", "[2001:DB8::1]:1",
		"localhost", "localhost:8440", "LOCALHOST", "127.0.0.1", "127.0.0.1:8440", "127.255.0.9:1", "[::1]", "[::1]:8440",
	} {
		if !check.allows(host) {
			t.Errorf("%q is refused", host)
		}
	}
	for _, host := range []string{
		"", ":8440", "evil.example", "auth.example.com.evil.example", "evil.auth.example.com", "auth.example.com.", "localhost.", "localhost.evil.example",
		"xlocalhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "0.0.0.0", "[::]", "10.0.0.1",
		"192.168.0.1:8440", "[::ffff:127.0.0.1]", "[::1%25eth0]", "::1", "[::1", "[::1]x", "[::1]:", "[127.0.0.1]", "localhost:", "localhost:x",
		"localhost:123456", "localhost:80:80", "auth.example.com:443@evil.example", "evil.example@localhost", "localhost ", " localhost", "localhost/x", "local\x00host",
	} {
		if check.allows(host) {
			t.Errorf("%q is served", host)
		}
	}
}

func TestRuleG7NoHostsMeansLoopbackOnly(t *testing.T) {
	t.Parallel()
	if check := newHostCheck([]string{}); check.allows("auth.example.com") || !check.allows("127.0.0.1:1") {
		t.Error("an empty list is not loopback only")
	}
	if check := newHostCheck(nil); !check.allows("anything") {
		t.Error("nil refuses")
	}
}

func FuzzHostName(f *testing.F) {
	for _, seed := range []string{"localhost:1", "[::1]:1", "a.example", "[x]", ":"} {
		f.Add(seed)
	}
	check := newHostCheck([]string{"a.example"})
	f.Fuzz(func(t *testing.T, host string) {
		if !check.allows(host) {
			return
		}
		name, ok := hostName(host)
		if !ok || name != "a.example" && !isLoopback(name) {
			t.Errorf("%q is served as %q", host, name)
		}
	})
}
