package transport

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// origin is the scheme and the host of a URL, the host in lower case and as it is
// written: with its port or, for the scheme's own port, also without.
type origin struct{ scheme, host string }

// hosts are the origins that tokens may go to, with the receiver's name.
type hosts map[origin]string

// newHosts compiles Transport.Audiences. https goes to every listed host, http only to
// those that are written as a loopback.
func newHosts(audiences map[string]string) (hosts, error) {
	h := make(hosts, 2*len(audiences))
	for key, audience := range audiences {
		name, port, err := parseHost(key)
		if err != nil {
			return nil, err
		}
		if audience == "" {
			return nil, invalid("Audiences: " + strconv.Quote(key) + " has no audience")
		}
		if err := h.add("https", "443", name, port, audience); err != nil {
			return nil, err
		}
		if !egress.IsLoopbackHost(strings.Trim(name, "[]")) {
			continue
		}
		if err := h.add("http", "80", name, port, audience); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// add lists a host; with the scheme's own port in both spellings.
func (h hosts) add(scheme, ownPort, name, port, audience string) error {
	spellings := []string{name + ":" + port}
	if port == "" || port == ownPort {
		spellings = []string{name, name + ":" + ownPort}
	}
	for _, host := range spellings {
		key := origin{scheme, host}
		if other, listed := h[key]; listed && other != audience {
			return invalid("Audiences: " + strconv.Quote(host) + " is listed twice with different audiences")
		}
		h[key] = audience
	}
	return nil
}

// parseHost takes a key of Audiences apart: the host in lower case, with brackets where
// it is an IPv6 address, and the port, "" = none.
func parseHost(key string) (name, port string, err error) {
	bad := invalid("Audiences: " + strconv.Quote(key) + " is not a host or host:port")
	u, parseErr := url.Parse("https://" + key)
	if parseErr != nil || u.Host != key || u.Hostname() == "" || strings.ContainsAny(key, "*%\\ ,;") {
		return "", "", bad
	}
	name, port = strings.ToLower(key), u.Port()
	if port != "" {
		number, numberErr := strconv.ParseUint(port, 10, 16)
		if numberErr != nil || number == 0 || strconv.FormatUint(number, 10) != port {
			return "", "", bad
		}
		name = strings.TrimSuffix(name, ":"+port)
	}
	// A colon that is left is an empty port, or an IPv6 address without brackets.
	if strings.HasPrefix(name, "[") {
		if !strings.HasSuffix(name, "]") || net.ParseIP(name[1:len(name)-1]) == nil {
			return "", "", bad
		}
	} else if strings.Contains(name, ":") {
		return "", "", bad
	}
	return name, port, nil
}

// audience returns who is behind a host.
func (h hosts) audience(scheme, host string) (string, error) {
	if audience, listed := h[origin{scheme, strings.ToLower(host)}]; listed {
		return audience, nil
	}
	if scheme == "http" {
		if _, listed := h[origin{"https", strings.ToLower(host)}]; listed {
			return "", countersign.NewError(countersign.Denied, countersign.ReasonHostNotServed,
				"transport: tokens go over plain http to a loopback only")
		}
	}
	return "", countersign.NewError(countersign.Denied, countersign.ReasonHostNotServed,
		"transport: "+strconv.Quote(host)+" is not listed in Audiences")
}

// same reports whether two spellings name one host: they differ in case or in the
// scheme's own port at most.
func (h hosts) same(scheme, a, b string) bool {
	if a == b {
		return true
	}
	own := ":443"
	if scheme == "http" {
		own = ":80"
	}
	return strings.EqualFold(strings.TrimSuffix(a, own), strings.TrimSuffix(b, own))
}
