package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration after defaults, environment and checks. Paths
// are absolute.
type Config struct {
	// Issuer is our issuer URL; "" = "http://" + the api address that was bound.
	Issuer string
	// Data is the data folder; default ./countersign-data.
	Data string
	// Listen are the addresses; port 0 picks one.
	Listen Listen
	// InsecureHTTP names the listeners ("api") that may speak plain HTTP off loopback.
	InsecureHTTP []string
	// TrustedProxies are those whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	TLS            TLS
	Keys           Keys
	Tokens         Tokens
	Audit          Audit
	// ExposeReasons adds "reason" to what denied callers get.
	ExposeReasons bool
	Ops           Ops
	// Warnings are for the log: unknown COUNTERSIGN_ variables.
	Warnings []string
}

// Listen holds host:port addresses.
type Listen struct{ API, Ops string }

// TLS serves the api listener over TLS when CertFile is set; both files reload when
// they change.
type TLS struct{ CertFile, KeyFile string }

// Keys says where the master key is: File (default DATA/master.key, made when it is
// missing and not configured) or Env, the name of an environment variable, whose
// value was read into MasterText.
type Keys struct {
	MasterFile string
	// MasterFileConfigured: the file was named by the config, so it is never made.
	MasterFileConfigured bool
	MasterEnv            string
	MasterText           string
}

// Tokens: Lifetime 1m to 1h (default 15m); SigningAlgorithm ES256 (default), RS256, EdDSA.
type Tokens struct {
	Lifetime         time.Duration
	SigningAlgorithm string
}

// Audit: Retention is kept for the release that prunes; 0 = for ever.
type Audit struct{ Retention time.Duration }

// Ops: Pprof serves /debug/pprof on the ops listener, on loopback only.
type Ops struct{ Pprof bool }

// Load reads the file (path "" = no file), applies the environment, fills in the
// defaults and checks everything. getenv and environ are the process's own.
//
// Errors: countersign.Invalid, with file, line, the key and the nearest known key.
func Load(path string, environ []string) (Config, error) { panic("contract") }
