package resource

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/countersign/countersign/egress"
)

// checkURL says what is wrong with a URL that the server shall fetch, and whether its
// text alone names something that RULES A8 reserves: plain http or a private address.
// What a host name resolves to is checked when it is dialled (RULES C2).
func checkURL(text string, mayBeHTTP bool) (problem string, reserved bool) {
	u, err := url.Parse(text)
	const maxURLBytes = 2048
	switch {
	case err != nil || u.String() != text || len(text) > maxURLBytes:
		return "must be an absolute URL in its plain spelling", false
	case u.Scheme != "https" && (!mayBeHTTP || u.Scheme != "http"):
		return "must be an https URL", false
	case u.Opaque != "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.HasSuffix(text, "#") || strings.Contains(u.Hostname(), "%"):
		return "must be an absolute URL without user information and fragment", false
	case u.Hostname() != strings.ToLower(u.Hostname()):
		return "must have its host in small letters", false
	}
	reserved = u.Scheme == "http" || egress.IsLoopbackHost(u.Hostname()) || strings.HasSuffix(u.Hostname(), ".localhost")
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return "", reserved
	}
	addr = addr.Unmap()
	if addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() || addr.Zone() != "" ||
		addr == netip.MustParseAddr("fd00:ec2::254") {
		return "names an address that is never dialled", reserved
	}
	return "", reserved || addr.IsPrivate() || addr.IsLoopback()
}

// NamesPrivateAddress reports whether the text of an https URL names a private address or a
// loopback, which only a super-admin and the server's configuration may write (RULES A8).
func NamesPrivateAddress(text string) bool {
	problem, reserved := checkURL(text, false)
	return problem == "" && reserved
}
