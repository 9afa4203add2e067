package web

import (
	"net/http"
	"net/netip"
	"strings"
)

const forwardedForHeader = "X-Forwarded-For"

// clientAddr returns the right-most hop that is not a trusted proxy (RULES G8). Only
// what a trusted proxy has written counts: hops are believed from the right, and the
// first one that can't be read ends the walk at the proxy that passed it on.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr, ok := parseHop(r.RemoteAddr)
	if !ok || !contains(trusted, addr) {
		return addr
	}
	lines := r.Header[forwardedForHeader]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var hop string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, hop = rest[:at], rest[at+1:]
			} else {
				hop, more = rest, false
			}
			next, ok := parseHop(strings.Trim(hop, " \t"))
			if !ok {
				return addr
			}
			if addr = next; !contains(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

// parseHop reads an address with or without a port. Zones are dropped and IPv4 inside
// IPv6 is unmapped, so that one client has one form.
func parseHop(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.WithZone("").Unmap(), true
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// LimiterKey returns what a limiter counts a client address by: an IPv4 address as it
// is, an IPv6 address by its /64, because whoever has one address there has them all
// (RULES G8). An invalid address (a Unix socket) gives the zero Prefix.
func LimiterKey(addr netip.Addr) netip.Prefix {
	addr = addr.WithZone("").Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
