package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// kind is what the YAML value of a key must be.
type kind int

const (
	kindText kind = iota
	kindBool
	kindList
	kindNumber
)

// value is what one key was set to, from the file or from the environment.
type value struct {
	text  string
	items []string
	// base is the folder that a relative path starts from.
	base string
}

// key is one key of the configuration.
type key struct {
	path string
	kind kind
	// want completes "KEY must be …".
	want string
	// set checks the value and stores it; false means that it is not what want says.
	set func(c *Config, v value) bool
}

// keyTable holds every key that this version serves.
var keyTable = []key{
	{"issuer", kindText, "an https URL (http on loopback only) without query, fragment, user, upper-case host or final slash", func(c *Config, v value) bool {
		c.Issuer = v.text
		return v.text == "" || isIssuer(v.text)
	}},
	{"data", kindText, "the path of a folder", func(c *Config, v value) bool { return setPath(&c.Data, v) }},
	{"store", kindText, "postgres://USER@HOST/DATABASE, or nothing for SQLite in the data folder", setStore},
	{"listen.api", kindText, "an address HOST:PORT, HOST an IP address, localhost or nothing", func(c *Config, v value) bool { return setAddress(&c.Listen.API, v) }},
	{"listen.s3", kindText, "an address HOST:PORT, HOST an IP address, localhost or nothing", func(c *Config, v value) bool { return setAddress(&c.Listen.S3, v) }},
	{"listen.ops", kindText, "an address HOST:PORT, HOST an IP address, localhost or nothing", func(c *Config, v value) bool { return setAddress(&c.Listen.Ops, v) }},
	{"insecure_http", kindList, "a list of listeners; only api and s3 can be in it", func(c *Config, v value) bool {
		c.InsecureHTTP = v.items
		return !slices.ContainsFunc(v.items, func(name string) bool { return name != "api" && name != "s3" })
	}},
	{"trusted_proxies", kindList, "a list of addresses and networks (10.0.0.0/8), none of them the whole Internet", setProxies},
	{"tls.cert_file", kindText, "the path of a PEM file", func(c *Config, v value) bool { return setPath(&c.TLS.CertFile, v) }},
	{"tls.key_file", kindText, "the path of a PEM file", func(c *Config, v value) bool { return setPath(&c.TLS.KeyFile, v) }},
	{"keys.master.file", kindText, "the path of a file", func(c *Config, v value) bool {
		c.Keys.MasterFileConfigured = true
		return setPath(&c.Keys.MasterFile, v)
	}},
	{"keys.master.env", kindText, "the name of an environment variable", func(c *Config, v value) bool {
		c.Keys.MasterEnv = v.text
		return isVariable(v.text)
	}},
	{"keys.master.previous_file", kindText, "the path of a file", func(c *Config, v value) bool { return setPath(&c.Keys.PreviousMasterFile, v) }},
	{"keys.rotation_period", kindText, "a duration with a unit from 1h to 400d", func(c *Config, v value) bool {
		return setDuration(&c.Keys.RotationPeriod, v, time.Hour, 400*day)
	}},
	{"tokens.lifetime", kindText, "a duration with a unit from 1m to 1h, in whole seconds", setLifetime},
	{"tokens.signing_algorithm", kindText, "ES256, RS256 or EdDSA", func(c *Config, v value) bool {
		c.Tokens.SigningAlgorithm = v.text
		return slices.Contains([]string{"ES256", "RS256", "EdDSA"}, v.text)
	}},
	{"account_id", kindText, "twelve digits in quotes", func(c *Config, v value) bool {
		c.AccountID = v.text
		return len(v.text) == 12 && strings.Trim(v.text, "0123456789") == ""
	}},
	{"sts.server_id", kindText, "a host name or another text of at most 255 printable characters without spaces and commas", func(c *Config, v value) bool {
		c.STS.ServerID = v.text
		return isServerID(v.text)
	}},
	{"sts.max_session_duration", kindText, "a duration with a unit from 15m to 12h", func(c *Config, v value) bool {
		return setDuration(&c.STS.MaxSessionDuration, v, 15*time.Minute, maxSession)
	}},
	{"sts.aws_endpoints", kindList, "a list of base URLs: https, or http on loopback, without path, query and user", func(c *Config, v value) bool {
		c.STS.AWSEndpoints = v.items
		return !slices.ContainsFunc(v.items, func(url string) bool { return !isEndpoint(url) })
	}},
	{"s3.url", kindText, "a base URL: https, or http on loopback, without path, query and user", func(c *Config, v value) bool {
		c.S3.URL = v.text
		return isEndpoint(v.text)
	}},
	{"s3.domain", kindText, "a host name in lower case, no IP address", func(c *Config, v value) bool {
		c.S3.Domain = v.text
		return isDomain(v.text)
	}},
	{"revocation.max_staleness", kindText, "a duration with a unit from 5s to 1d", func(c *Config, v value) bool {
		return setDuration(&c.Revocation.MaxStaleness, v, 5*time.Second, day)
	}},
	{"revocation.when_stale", kindText, "refuse or serve", func(c *Config, v value) bool {
		c.Revocation.ServeStale = v.text == "serve"
		return v.text == "serve" || v.text == "refuse"
	}},
	{"audit.on_store_outage", kindText, "spool or refuse", func(c *Config, v value) bool {
		c.Audit.RefuseInOutage = v.text == "refuse"
		return v.text == "spool" || v.text == "refuse"
	}},
	{"audit.spool_bytes", kindNumber, "a number of bytes from 1048576 to 1099511627776", func(c *Config, v value) bool {
		return setNumber(&c.Audit.SpoolBytes, v, 1<<20, 1<<40)
	}},
	{"limits.connections", kindNumber, "a number from 16 to 1000000", func(c *Config, v value) bool {
		return setNumber(&c.Limits.Connections, v, 16, 1_000_000)
	}},
	{"limits.concurrency", kindNumber, "a number from 16 to 1000000", func(c *Config, v value) bool {
		return setNumber(&c.Limits.Concurrency, v, 16, 1_000_000)
	}},
	{"limits.requests_per_address", kindNumber, "a number of requests a second, 0 for no limit", func(c *Config, v value) bool {
		return setNumber(&c.Limits.RequestsPerAddress, v, 0, 1_000_000)
	}},
	{"limits.requests_per_identity", kindNumber, "a number of requests a second, 0 for no limit", func(c *Config, v value) bool {
		return setNumber(&c.Limits.RequestsPerIdentity, v, 0, 1_000_000)
	}},
	{"limits.header_bytes", kindNumber, "a number of bytes from 4096 to 1048576", func(c *Config, v value) bool {
		return setNumber(&c.Limits.HeaderBytes, v, 4<<10, 1<<20)
	}},
	{"limits.body_bytes", kindNumber, "a number of bytes from 65536 to 16777216", func(c *Config, v value) bool {
		return setNumber(&c.Limits.BodyBytes, v, 64<<10, 16<<20)
	}},
	{"limits.header_timeout", kindText, "a duration with a unit from 1s to 1m", func(c *Config, v value) bool {
		return setDuration(&c.Limits.HeaderTimeout, v, time.Second, time.Minute)
	}},
	{"limits.read_timeout", kindText, "a duration with a unit from 1s to 10m", func(c *Config, v value) bool {
		return setDuration(&c.Limits.ReadTimeout, v, time.Second, 10*time.Minute)
	}},
	{"limits.write_timeout", kindText, "a duration with a unit from 40s, for long polls, to 10m", func(c *Config, v value) bool {
		return setDuration(&c.Limits.WriteTimeout, v, 40*time.Second, 10*time.Minute)
	}},
	{"limits.idle_timeout", kindText, "a duration with a unit from 1s to 1h", func(c *Config, v value) bool {
		return setDuration(&c.Limits.IdleTimeout, v, time.Second, time.Hour)
	}},
	{"resources", kindList, "a list of files and folders", func(c *Config, v value) bool { return setPaths(&c.Resources, v) }},
	{"allowed_paths", kindList, "a list of folders, none of them the whole file system", func(c *Config, v value) bool {
		return setPaths(&c.AllowedPaths, v) && !slices.ContainsFunc(c.AllowedPaths, func(path string) bool { return filepath.Dir(path) == path })
	}},
	{"iam.mode", kindText, "forward or s2s", func(c *Config, v value) bool {
		c.IAM.Mode = v.text
		return v.text == "forward" || v.text == "s2s"
	}},
	{"directories.local", kindBool, "true or false", func(c *Config, v value) bool { return setBool(&c.Directories.Local, v) }},
	{"directories.cognito", kindList, "a list of ids of user pools, as us-east-1_AbCdEf", func(c *Config, v value) bool {
		c.Directories.Cognito = v.items
		return !slices.ContainsFunc(v.items, func(id string) bool { return !isUserPool(id) })
	}},
	{"directories.cognito_endpoint", kindText, "a base URL: https, or http on loopback, without path, query and user", func(c *Config, v value) bool {
		c.Directories.CognitoEndpoint = v.text
		return v.text == "" || isEndpoint(v.text)
	}},
	{"expose_reasons", kindBool, "true or false", func(c *Config, v value) bool { return setBool(&c.ExposeReasons, v) }},
	{"ops.pprof", kindBool, "true or false", func(c *Config, v value) bool { return setBool(&c.Ops.Pprof, v) }},
}

// laterKeys are keys and sections that later versions serve. They are refused rather
// than ignored: whoever writes one relies on it. An empty one asks for nothing.
var laterKeys = []string{
	"listen.ext_authz", "audit.retention",
	"audit.checkpoint_sink", "tls.client_ca_file", "keys.master.aws_kms",
}

func findKey(path string) (key, bool) {
	for _, k := range keyTable {
		if k.path == path {
			return k, true
		}
	}
	return key{}, false
}

// isSection reports whether keys stand below path.
func isSection(path string) bool {
	return slices.ContainsFunc(keyTable, func(k key) bool { return strings.HasPrefix(k.path, path+".") })
}

// isLater reports whether path is a key of laterKeys or below one.
func isLater(path string) bool {
	return slices.ContainsFunc(laterKeys, func(later string) bool {
		return path == later || strings.HasPrefix(path, later+".")
	})
}

func setProxies(c *Config, v value) bool {
	c.TrustedProxies = nil
	for _, item := range v.items {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			addr, err := netip.ParseAddr(item)
			if err != nil || addr.Zone() != "" {
				return false
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		// Whoever trusts everybody lets each client choose its address.
		if prefix.Bits() == 0 || prefix.Addr().Is4In6() || prefix != prefix.Masked() {
			return false
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	return true
}
