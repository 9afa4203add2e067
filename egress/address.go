package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// class says who may dial an address. The order matters: of two verdicts the
// greater one holds.
type class int

const (
	public   class = iota // everybody
	private               // with Config.AllowPrivateAddresses
	loopback              // the same, and URLs written as a loopback
	never                 // nobody
)

// special are the ranges that are not simply public; the first match decides.
var special = []struct {
	prefix netip.Prefix
	class  class
}{
	// IPv4, RFC 6890 and the metadata services of clouds that lie in other ranges.
	{netip.MustParsePrefix("0.0.0.0/8"), never},
	{netip.MustParsePrefix("127.0.0.0/8"), loopback},
	{netip.MustParsePrefix("169.254.0.0/16"), never},
	{netip.MustParsePrefix("100.100.100.200/32"), never}, // metadata of Alibaba Cloud, in CGNAT
	{netip.MustParsePrefix("168.63.129.16/32"), never},   // platform service of Azure
	{netip.MustParsePrefix("10.0.0.0/8"), private},
	{netip.MustParsePrefix("172.16.0.0/12"), private},
	{netip.MustParsePrefix("192.168.0.0/16"), private},
	{netip.MustParsePrefix("100.64.0.0/10"), private},
	{netip.MustParsePrefix("198.18.0.0/15"), private},
	{netip.MustParsePrefix("192.0.0.0/24"), never},
	{netip.MustParsePrefix("192.0.2.0/24"), never},
	{netip.MustParsePrefix("192.88.99.0/24"), never},
	{netip.MustParsePrefix("198.51.100.0/24"), never},
	{netip.MustParsePrefix("203.0.113.0/24"), never},
	{netip.MustParsePrefix("224.0.0.0/3"), never}, // multicast, reserved, broadcast

	// IPv6: what is outside 2000::/3 and not named here is refused by judge.
	{netip.MustParsePrefix("::1/128"), loopback},
	{netip.MustParsePrefix("fd00:ec2::/32"), never},   // metadata of AWS
	{netip.MustParsePrefix("fd20:ce::/32"), never},    // metadata of Google Cloud
	{netip.MustParsePrefix("fd00:c1::/32"), never},    // metadata of Oracle Cloud
	{netip.MustParsePrefix("fd00:42::42/128"), never}, // metadata of Scaleway
	{netip.MustParsePrefix("fc00::/7"), private},
	{netip.MustParsePrefix("2001:db8::/32"), never},
	{netip.MustParsePrefix("3fff::/20"), never},
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	sixToFour     = netip.MustParsePrefix("2002::/16")
	teredo        = netip.MustParsePrefix("2001::/32")
	protocol      = netip.MustParsePrefix("2001::/23")
)

// judge classes an address. Forms that carry an IPv4 address inside are unwrapped,
// and the stricter verdict of the two holds.
func judge(addr netip.Addr) class {
	if !addr.IsValid() || addr.Zone() != "" {
		return never // a zone is for link-local addresses only
	}
	addr = addr.Unmap()
	for _, s := range special {
		if s.prefix.Contains(addr) {
			return s.class
		}
	}
	if addr.Is4() {
		return public
	}
	b := addr.As16()
	switch {
	case !globalUnicast.Contains(addr):
		return never // with 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), fe80::/10, ff00::/8, ::
	case sixToFour.Contains(addr):
		return judge(netip.AddrFrom4([4]byte(b[2:6])))
	case teredo.Contains(addr):
		client := [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}
		return max(judge(netip.AddrFrom4([4]byte(b[4:8]))), judge(netip.AddrFrom4(client)))
	case protocol.Contains(addr):
		return never
	case b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe: // ISATAP, RFC 5214 §6.1
		return judge(netip.AddrFrom4([4]byte(b[12:16])))
	}
	return public
}

// IsLoopbackHost reports whether the host of a URL, without port and brackets, is
// written as a loopback: an IPv4 address in 127.0.0.0/8, ::1 or localhost. Other
// spellings and names that resolve to a loopback are not.
func IsLoopbackHost(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && !addr.Is4In6() && addr.Zone() == ""
}

// dialRule says which addresses may be dialled.
type dialRule struct {
	// allowPrivate lets private and loopback addresses be dialled.
	allowPrivate bool
	// refusePublic is for plain http: what may cross the Internet goes by TLS.
	refusePublic bool
}

// control returns the hook that the dialler asks with each resolved address before
// it connects. host is the host as it was written.
func control(host string, rule dialRule) func(network, address string, _ syscall.RawConn) error {
	written := IsLoopbackHost(host)
	return func(network, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil || network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("%w: not an address and port", ErrAddress)
		}
		verdict := judge(target.Addr())
		switch {
		case written && verdict == loopback:
			return nil
		case written:
			// localhost is what lets plain http through, so it must be this machine.
			return fmt.Errorf("%w: %s is not a loopback", ErrAddress, target.Addr())
		case verdict == public && !rule.refusePublic, rule.allowPrivate && (verdict == private || verdict == loopback):
			return nil
		}
		return fmt.Errorf("%w: %s", ErrAddress, target.Addr())
	}
}
