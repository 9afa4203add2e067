package s3gw

import (
	"net"
	"net/netip"
	"strings"
)

// bucketOfHost returns the bucket of BUCKET.DOMAIN, the virtual-host style. Any other host
// is path style.
//
// Source: Amazon S3 User Guide, "Virtual hosting of buckets".
func bucketOfHost(host, domain string) (string, bool) {
	if domain == "" {
		return "", false
	}
	name, ok := strings.CutSuffix(hostName(host), "."+domain)
	return name, ok
}

// hostName returns the host in lower case without its port; "" for what is none.
func hostName(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if !isNumber(port, 65535) {
			return ""
		}
		host = name
	} else if strings.HasPrefix(host, "[") {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	} else if strings.Contains(host, ":") {
		return ""
	}
	return strings.ToLower(host)
}

// servesHost reports whether a Host is one of ours: the configured ones, below the domain,
// or loopback. A page of another site whose name was rebound to us must not read what is
// open to anybody on this network (RULES G7).
func (g *Gateway) servesHost(host string) bool {
	name := hostName(host)
	if name == "" {
		return false
	}
	if g.hosts == nil || g.hosts[name] {
		return true
	}
	if _, ok := bucketOfHost(name, g.cfg.Domain); ok {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.Zone() == "" && !addr.Is4In6() && addr.IsLoopback()
}
