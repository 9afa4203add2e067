package egress

import (
	"errors"
	"net/netip"
	"testing"
)

func TestRuleC2AddressFilter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr string
		want class
	}{
		{"8.8.8.8", public},
		{"2606:4700::1111", public},
		{"2600:1f18::1", public},
		{"127.0.0.1", loopback},
		{"127.255.255.254", loopback},
		{"::1", loopback},
		{"10.0.0.1", private},
		{"172.16.0.1", private},
		{"172.31.255.255", private},
		{"172.32.0.1", public},
		{"192.168.1.1", private},
		{"100.64.0.1", private},
		{"100.127.255.255", private},
		{"fc00::1", private},
		{"fd12:3456::1", private},

		{"0.0.0.0", never},
		{"0.1.2.3", never},
		{"::", never},
		{"169.254.169.254", never},
		{"169.254.170.2", never},
		{"100.100.100.200", never},
		{"168.63.129.16", never},
		{"192.0.0.192", never},
		{"224.0.0.1", never},
		{"239.255.255.255", never},
		{"240.0.0.1", never},
		{"255.255.255.255", never},
		{"fd00:ec2::254", never},
		{"fd00:ec2::23", never},
		{"fd20:ce::254", never},
		{"fe80::1", never},
		{"fe80::1%eth0", never},
		{"fec0::1", never},
		{"ff02::1", never},
		{"100::1", never},
		{"2001:db8::1", never},
		{"2001:10::1", never},

		// NAT64 forms, also of public addresses.
		{"64:ff9b::8.8.8.8", never},
		{"64:ff9b::a9fe:a9fe", never},
		{"64:ff9b:1::a9fe:a9fe", never},
		{"64:ff9b:1:ffff::1", never},
		// IPv4-mapped, IPv4-translated, IPv4-compatible.
		{"::ffff:8.8.8.8", public},
		{"::ffff:127.0.0.1", loopback},
		{"::ffff:10.0.0.1", private},
		{"::ffff:169.254.169.254", never},
		{"::ffff:0:8.8.8.8", never},
		{"::8.8.8.8", never},
		// 6to4 of 8.8.8.8, 10.0.0.1, 127.0.0.1, 169.254.169.254.
		{"2002:808:808::1", public},
		{"2002:a00:1::1", private},
		{"2002:7f00:1::1", loopback},
		{"2002:a9fe:a9fe::1", never},
		// Teredo: server 8.8.8.8 and the client's address inverted.
		{"2001:0:808:808::f7f7:f7f7", public},
		{"2001:0:808:808::5601:5601", never},
		{"2001:0:a9fe:a9fe::f7f7:f7f7", never},
		{"2001:0:808:808::f5ff:fffe", private},
		// ISATAP of 169.254.169.254 and 10.0.0.1.
		{"2600:1f18::5efe:a9fe:a9fe", never},
		{"2600:1f18::200:5efe:a00:1", private},
	}
	for _, test := range tests {
		if got := judge(netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("judge(%s) = %d, want %d", test.addr, got, test.want)
		}
	}
	if got := judge(netip.Addr{}); got != never {
		t.Errorf("judge of no address = %d, want never", got)
	}
}

func TestRuleC2WhoMayDial(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, host, address string
		private, want       bool
	}{
		{"public", "idp.example.com", "8.8.8.8:443", false, true},
		{"name that resolves to loopback", "idp.example.com", "127.0.0.1:443", false, false},
		{"name that resolves to loopback, private allowed", "idp.example.com", "127.0.0.1:443", true, true},
		{"name that resolves to private", "idp.example.com", "10.1.2.3:443", false, false},
		{"name that resolves to private, allowed", "idp.example.com", "10.1.2.3:443", true, true},
		{"metadata even when private is allowed", "idp.example.com", "169.254.169.254:80", true, false},
		{"IPv6 metadata even when private is allowed", "idp.example.com", "[fd00:ec2::254]:80", true, false},
		{"mapped metadata", "idp.example.com", "[::ffff:169.254.169.254]:80", true, false},
		{"NAT64 even when private is allowed", "idp.example.com", "[64:ff9b::a00:1]:443", true, false},
		{"multicast", "idp.example.com", "224.0.0.1:443", true, false},
		{"unspecified", "idp.example.com", "0.0.0.0:443", true, false},
		{"loopback dials itself", "127.0.0.1", "127.0.0.1:8440", false, true},
		{"IPv6 loopback dials itself", "::1", "[::1]:8440", false, true},
		{"localhost dials itself", "localhost", "[::1]:8440", false, true},
		{"localhost that resolves elsewhere", "localhost", "8.8.8.8:80", false, false},
		{"localhost that resolves elsewhere, private allowed", "localhost", "10.0.0.1:80", true, false},
		{"mapped loopback is no loopback host", "::ffff:127.0.0.1", "127.0.0.1:80", false, false},
		{"subdomain of localhost", "a.localhost", "127.0.0.1:80", false, false},
		{"no address", "idp.example.com", "idp.example.com:443", true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			network := "tcp4"
			if test.address[0] == '[' {
				network = "tcp6"
			}
			err := control(test.host, dialRule{allowPrivate: test.private})(network, test.address, nil)
			if (err == nil) != test.want || err != nil && !errors.Is(err, ErrAddress) {
				t.Errorf("control(%s)(%s) = %v, want allowed %v", test.host, test.address, err, test.want)
			}
		})
	}
	if err := control("127.0.0.1", dialRule{allowPrivate: true})("udp4", "127.0.0.1:53", nil); !errors.Is(err, ErrAddress) {
		t.Errorf("udp: %v, want ErrAddress", err)
	}
}

func TestIsLoopbackHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "localhost": true, "LOCALHOST": true,
		"": false, "localhost.": false, "127.1": false, "0x7f.0.0.1": false, "2130706433": false,
		"::ffff:127.0.0.1": false, "127.0.0.1.example.com": false, "localhost.example.com": false,
		"0.0.0.0": false, "::": false, "10.0.0.1": false, "::1%lo": false,
	} {
		if got := IsLoopbackHost(host); got != want {
			t.Errorf("IsLoopbackHost(%q) = %v, want %v", host, got, want)
		}
	}
}

// FuzzJudge: whatever address comes, wrapping it never makes it more acceptable.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{"8.8.8.8", "169.254.169.254", "127.0.0.1", "64:ff9b::1", "2002:a00:1::"} {
		f.Add(netip.MustParseAddr(seed).AsSlice())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		got := judge(addr)
		if !addr.Is4() {
			return
		}
		b := addr.As4()
		mapped := netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]})
		sixToFour := netip.AddrFrom16([16]byte{0x20, 0x02, b[0], b[1], b[2], b[3], 15: 1})
		if judge(mapped) < got || judge(sixToFour) < got {
			t.Errorf("%v is %d, mapped %d, 6to4 %d", addr, got, judge(mapped), judge(sixToFour))
		}
	})
}
