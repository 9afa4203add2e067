package config

import (
	"math"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

const day = 24 * time.Hour

// ParseDuration reads a Go duration that may begin with whole days: 15m, 90d, 1d12h.
// A number without a unit and a negative duration are refused; "0s" is zero.
//
// Errors: [countersign.Invalid].
func ParseDuration(s string) (time.Duration, error) {
	refused := invalid(countersign.ReasonParameterInvalid, "not a duration: write a number with a unit (30s, 15m, 12h, 90d)")
	var total time.Duration
	rest := s
	if number, after, ok := strings.Cut(s, "d"); ok {
		days, err := strconv.ParseUint(number, 10, 32)
		if err != nil || days > uint64(math.MaxInt64/day) {
			return 0, refused
		}
		if total, rest = time.Duration(days)*day, after; rest == "" {
			return total, nil
		}
	}
	// ParseDuration takes a bare "0", a sign and a fraction; of these only the last is ours.
	if rest == "" || rest[0] == '-' || rest[0] == '+' || rest[len(rest)-1] < 'a' {
		return 0, refused
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > math.MaxInt64-total {
		return 0, refused
	}
	return total + d, nil
}

func setLifetime(c *Config, v value) bool {
	d, err := ParseDuration(v.text)
	c.Tokens.Lifetime = d
	return err == nil && d >= time.Minute && d <= time.Hour && d%time.Second == 0
}

func setDuration(target *time.Duration, v value, least, most time.Duration) bool {
	d, err := ParseDuration(v.text)
	*target = d
	return err == nil && d >= least && d <= most && d%time.Second == 0
}

func setNumber(target *int64, v value, least, most int64) bool {
	n, err := strconv.ParseInt(v.text, 10, 64)
	*target = n
	return err == nil && n >= least && n <= most && strconv.FormatInt(n, 10) == v.text
}

// setStore keeps the whole text secret: it may hold a password.
func setStore(c *Config, v value) bool {
	c.Store = countersign.NewSecret(v.text)
	if v.text == "" {
		return true
	}
	u, err := url.Parse(v.text)
	return err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && u.Path != "" && u.Path != "/"
}

func setPaths(target *[]string, v value) bool {
	*target = nil
	for _, item := range v.items {
		var path string
		if !setPath(&path, value{text: item, base: v.base}) {
			return false
		}
		*target = append(*target, path)
	}
	return true
}

func setBool(target *bool, v value) bool {
	*target = v.text == "true"
	return v.text == "true" || v.text == "false"
}

func setPath(target *string, v value) bool {
	if v.text == "" {
		return false
	}
	*target = v.text
	if !filepath.IsAbs(v.text) {
		*target = filepath.Join(v.base, v.text)
	}
	*target = filepath.Clean(*target)
	return true
}

func setAddress(target *string, v value) bool {
	*target = v.text
	host, port, err := net.SplitHostPort(v.text)
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	_, err = netip.ParseAddr(host)
	return err == nil || host == "" || host == "localhost"
}

// isLoopbackAddress is for an address that setAddress took.
func isLoopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// isIssuer: an issuer is compared byte by byte, so it must have one spelling only.
func isIssuer(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.String() != text || u.Opaque != "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#") ||
		strings.HasSuffix(text, "/") || u.Host != strings.ToLower(u.Host) {
		return false
	}
	host := u.Hostname()
	// Only a path that is clean and needs no escaping has one spelling.
	if !isHost(host) || strings.HasSuffix(u.Host, ":") || u.Path != "" && u.EscapedPath() != path.Clean(u.Path) {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopbackHost(host)
}

// isEndpoint takes a base URL with one spelling: an origin and nothing else.
func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isIssuer(text) && u.Path == ""
}

// isDomain takes a host name with a dot, since names stand before it, and localhost.
func isDomain(text string) bool {
	_, err := netip.ParseAddr(text)
	return err != nil && len(text) <= 253 && isHost(text) && (strings.Contains(text, ".") || text == "localhost")
}

var userPool = regexp.MustCompile(`^[a-z]+(-[a-z]+)*(-[0-9]+)?_[A-Za-z0-9]{1,55}$`)

// isUserPool takes the id of a Cognito user pool, which begins with its region.
func isUserPool(text string) bool { return userPool.MatchString(text) }

// isServerID takes what can stand in a signed header.
func isServerID(text string) bool {
	if text == "" || len(text) > 255 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == ',' {
			return false
		}
	}
	return true
}

// isHost takes an IP address and a name of letters, digits, "-" and single dots.
func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	for i := range len(host) {
		c := host[i]
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return host != "" && host[0] != '.' && !strings.HasSuffix(host, ".") && !strings.Contains(host, "..")
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
