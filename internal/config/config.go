package config

import (
	"net/netip"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// Config is the whole configuration after defaults, environment and checks. Paths
// are absolute.
type Config struct {
	// Issuer is our issuer URL; "" = the URL of the api address that was bound.
	Issuer string
	// Data is the data folder; default ./countersign-data.
	Data string
	// Listen are the addresses; port 0 picks one.
	Listen Listen
	// InsecureHTTP names the listeners ("api", "s3") that may speak plain HTTP off loopback.
	InsecureHTTP []string
	// TrustedProxies are those whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	TLS            TLS
	Keys           Keys
	Tokens         Tokens
	// AccountID is the account in the ARNs of roles and sessions: twelve digits.
	AccountID string
	STS       STS
	S3        S3
	// Store is the URL of a PostgreSQL database; none = SQLite in Data.
	Store      countersign.Secret
	Revocation Revocation
	Audit      Audit
	Limits     Limits
	// Resources are files and folders whose documents are applied at start.
	Resources []string
	// AllowedPaths are those below which the folders and files lie that resources name
	// (RULES A8); none = resources may name no path. Relative paths of resources start at
	// Folder: the folder of the config file, or the working directory without one.
	AllowedPaths []string
	Folder       string
	IAM          IAM
	Directories  Directories
	// ExposeReasons adds "reason" to what denied callers get.
	ExposeReasons bool
	Ops           Ops
	// Warnings are for the log: unknown COUNTERSIGN_ variables.
	Warnings []string
}

// IAM: Mode is forward (default), where users come by their own tokens, or s2s, where a
// service with the scope iam:admin comes with them.
type IAM struct{ Mode string }

// Directories are where people are looked up: Local keeps what users are called in the store,
// Cognito are ids of user pools, asked with the machine's AWS credentials, and
// CognitoEndpoint is a base URL instead of AWS's, for tests.
type Directories struct {
	Local           bool
	Cognito         []string
	CognitoEndpoint string
}

// Listen holds host:port addresses.
type Listen struct{ API, S3, Ops string }

// TLS serves the api and s3 listeners over TLS when CertFile is set; both files reload
// when they change.
type TLS struct{ CertFile, KeyFile string }

// Keys says where the master key is: MasterFile (default DATA/master.key, made when it
// is missing and not configured) or MasterEnv, the name of an environment variable,
// whose value was read into MasterText; MasterFile is "" then.
type Keys struct {
	MasterFile string
	// MasterFileConfigured: the file was named by the config, so it is never made.
	MasterFileConfigured bool
	MasterEnv            string
	MasterText           countersign.Secret
	// PreviousMasterFile opens what the master key did not seal yet; "" = none.
	PreviousMasterFile string
	// RotationPeriod is how long a signing key is used; default 30d.
	RotationPeriod time.Duration
}

// Revocation: how old what is known of revocations may get (default 10m) before a
// replica refuses, and whether it goes on serving then. SQLite is never stale.
type Revocation struct {
	MaxStaleness time.Duration
	ServeStale   bool
}

// Audit: what happens to events while PostgreSQL is away. They go to a spool in Data of
// SpoolBytes at most (default 256 MiB), or with RefuseInOutage nothing is decided.
type Audit struct {
	RefuseInOutage bool
	SpoolBytes     int64
}

// Limits of the listeners, each for one process.
type Limits struct {
	// Connections that are open at a time (default 16384); Concurrency are requests
	// under way (default 4096), of which one address has a quarter.
	Connections, Concurrency int64
	// RequestsPerAddress (default 2000; loopback has none) and RequestsPerIdentity
	// (default 2000) are requests a second; 0 = no limit.
	RequestsPerAddress, RequestsPerIdentity int64
	// HeaderBytes (default 32 KiB) and BodyBytes (default 16 MiB) bound a request; most
	// routes take less of a body than that.
	HeaderBytes, BodyBytes int64
	// HeaderTimeout (default 5s) and ReadTimeout (default 30s) are from the first byte to
	// the end of the header and of the body; WriteTimeout (default 60s) is from there to the
	// end of the answer; IdleTimeout (default 2m) is between two requests.
	HeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
}

// Tokens: Lifetime 1m to 1h (default 15m); SigningAlgorithm ES256 (default), RS256, EdDSA.
type Tokens struct {
	Lifetime         time.Duration
	SigningAlgorithm string
}

// STS: ServerID is what a signed GetCallerIdentity must name as its receiver; "" = the
// issuer's host or, where that is a loopback, no login by AWS identity (RULES D8).
// MaxSessionDuration is 15m to 12h (default). AWSEndpoints are base URLs of AWS STS
// endpoints beside the public ones.
type STS struct {
	ServerID           string
	MaxSessionDuration time.Duration
	AWSEndpoints       []string
}

// S3: URL is the gateway's base URL as clients reach it; "" = the URL of the s3 address
// that was bound. Domain is the host name below which each bucket is a host
// (BUCKET.DOMAIN); "" = buckets are in the path only. Neither host is the issuer's off
// loopback (RULES G10).
type S3 struct{ URL, Domain string }

// Ops: Pprof serves /debug/pprof on the ops listener, on loopback only.
type Ops struct{ Pprof bool }

// maxSession is the longest that a session may live, whatever is configured.
const maxSession = 12 * time.Hour

func defaults() Config {
	return Config{
		Data:   "countersign-data",
		Listen: Listen{API: "127.0.0.1:8440", S3: "127.0.0.1:8441", Ops: "127.0.0.1:8449"},
		Keys:   Keys{RotationPeriod: 30 * day},
		Tokens: Tokens{Lifetime: 15 * time.Minute, SigningAlgorithm: "ES256"},

		AccountID: "000000000000",
		STS:       STS{MaxSessionDuration: maxSession},

		Revocation: Revocation{MaxStaleness: 10 * time.Minute},
		IAM:        IAM{Mode: "forward"},
		Audit:      Audit{SpoolBytes: 256 << 20},
		Limits: Limits{
			Connections: 16384, Concurrency: 4096, RequestsPerAddress: 2000, RequestsPerIdentity: 2000,
			HeaderBytes: 32 << 10, BodyBytes: 16 << 20,
			HeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		},
	}
}

// Load reads the file (path "" = no file), applies the environment, fills in the
// defaults and checks everything. environ is the process's own, in the form of
// os.Environ; of a variable that comes twice the last one counts.
//
// Errors: [countersign.Invalid], with file, line, the key and the nearest known key;
// [countersign.Unsupported] for a key that this version does not serve.
func Load(path string, environ []string) (Config, error) {
	l := newLoader(path, environ)
	if path != "" {
		content, err := readFile(path)
		if err != nil {
			return Config{}, err
		}
		if err := l.parseFile(content); err != nil {
			return Config{}, err
		}
	}
	if err := l.applyEnvironment(); err != nil {
		return Config{}, err
	}
	if err := l.finish(); err != nil {
		return Config{}, err
	}
	return l.cfg, nil
}

// loader collects the configuration and where each key of it was set.
type loader struct {
	path string            // of the file, as it was given; "" = none
	env  map[string]string // the environment
	cfg  Config
	// origin of each key that was set: FILE:LINE:COLUMN or the variable's name.
	origin map[string]string
	// seen are the keys and sections of the file so far.
	seen map[string]bool
	// used are the environment variables that the configuration names.
	used map[string]bool
}

func newLoader(path string, environ []string) *loader {
	l := &loader{
		path: path, env: make(map[string]string, len(environ)), cfg: defaults(),
		origin: make(map[string]string), seen: make(map[string]bool), used: make(map[string]bool),
	}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			l.env[name] = value
		}
	}
	return l
}

// at says where a key was set, for an error about it.
func (l *loader) at(key string) string {
	if where, ok := l.origin[key]; ok {
		return where + ": " + key
	}
	return key + " (default)"
}

func invalid(reason countersign.Reason, msg string) error {
	return countersign.NewError(countersign.Invalid, reason, msg)
}
