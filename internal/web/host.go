package web

import (
	"net/netip"
	"strings"
)

// hostCheck decides which Host values are served (RULES G7). It keeps a page of another
// site, whose name was rebound to our address, from talking to us.
type hostCheck struct {
	names map[string]bool // nil = every host
}

func newHostCheck(hosts []string) hostCheck {
	if hosts == nil {
		return hostCheck{}
	}
	names := make(map[string]bool, len(hosts))
	for _, host := range hosts {
		names[strings.ToLower(host)] = true
	}
	return hostCheck{names: names}
}

func (c hostCheck) allows(host string) bool {
	if c.names == nil {
		return true
	}
	name, ok := hostName(host)
	if !ok {
		return false
	}
	return isLoopback(name) || c.names[name]
}

// hostName returns the name or address of a Host value in lower case: without its port,
// an IPv6 address without brackets. It is false for anything that is not one host.
func hostName(host string) (string, bool) {
	name := host
	if inner, ok := strings.CutPrefix(host, "["); ok {
		var rest string
		if name, rest, ok = strings.Cut(inner, "]"); !ok || !strings.Contains(name, ":") {
			return "", false
		}
		if port, given := strings.CutPrefix(rest, ":"); rest != "" && (!given || !isPort(port)) {
			return "", false
		}
	} else if before, port, ok := strings.Cut(host, ":"); ok {
		if !isPort(port) {
			return "", false
		}
		name = before
	}
	return strings.ToLower(name), name != ""
}

func isPort(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) >= 1 && len(text) <= 5
}

// isLoopback reports whether name is localhost or an address of 127.0.0.0/8 or ::1.
// An IPv4 address written as IPv6 and one with a zone are not: nobody needs them.
func isLoopback(name string) bool {
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Zone() == "" && !addr.Is4In6() && addr.IsLoopback()
}
