package resource

import (
	"errors"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/policy"
)

// The bounds of a role. The session's are those of AWS.
const (
	MinSessionDuration     = 15 * time.Minute
	MaxSessionDuration     = 12 * time.Hour
	DefaultSessionDuration = time.Hour
)

// Role is what can be assumed: who may, and what it lets do.
type Role struct {
	// MaxSessionDuration is 0 for 1 hour.
	MaxSessionDuration Duration `json:"max_session_duration,omitzero"`
	// Trust: one statement must match, with all that it says.
	Trust       []TrustStatement `json:"trust"`
	Permissions []Permission     `json:"permissions,omitempty"`
	// Broker is nil where the role's own credentials are handed out.
	Broker *Broker `json:"broker,omitempty"`
	// SharedWith are other tenants whose buckets may name it in allowed_roles (RULES A6).
	SharedWith []string `json:"shared_with,omitempty"`
}

// Permission lets a session do the actions with the keys of a bucket that the prefixes
// cover; see [policy.Permission].
type Permission struct {
	Bucket   string   `json:"bucket"`
	Prefixes []string `json:"prefixes"`
	Actions  []string `json:"actions"`
}

// Broker names a real cloud whose credentials are handed out instead of ours.
type Broker struct {
	AWS *AWSBroker `json:"aws,omitempty"`
}

// AWSBroker is a role of AWS that trusts our issuer.
type AWSBroker struct {
	RoleARN string `json:"role_arn"`
	Region  string `json:"region"`
	// Endpoint is a base URL of an STS; "" = that of the region.
	Endpoint string `json:"endpoint,omitempty"`
}

func readRole(f *fields) *Role {
	r := &Role{MaxSessionDuration: f.duration("max_session_duration", MinSessionDuration, MaxSessionDuration)}
	f.required("trust")
	r.Trust = readTrust(f, true)
	r.Permissions, r.SharedWith = readPermissions(f), f.sharedWith()
	if f.has("broker") {
		r.Broker = readBroker(f.inner("broker"))
		if !f.has("permissions") {
			f.wrong("permissions", "is missing: a brokered session may do no more than they say")
		}
	}
	return r
}

// readPermissions reads the fields; what they mean is for package policy.
func readPermissions(f *fields) []Permission {
	var list []Permission
	var compiled []policy.Permission
	items := f.items("permissions", policy.MaxPermissions)
	clean := true
	for _, item := range items {
		p := Permission{Bucket: item.text("bucket"), Prefixes: item.prefixes("prefixes", maxItems), Actions: item.texts("actions", maxItems)}
		for _, key := range []string{"bucket", "prefixes", "actions"} {
			clean = item.required(key) && clean
		}
		clean = clean && len(item.failed) == 0
		item.done()
		list = append(list, p)
		compiled = append(compiled, policy.Permission(p))
	}
	if !clean || len(items) == 0 {
		return list // their problems are told; indexes and lists are not what they were
	}
	_, err := policy.CompilePermissions(compiled)
	var told *policy.PermissionError
	if errors.As(err, &told) {
		for _, p := range told.Problems {
			f.compiled("permissions"+p.Path, p.Message, p.Value, p.Names)
		}
	}
	for i := range list {
		list[i].Prefixes, list[i].Actions = sorted(list[i].Prefixes), sorted(list[i].Actions)
	}
	return list
}

// compiled tells of a problem that another package has found, at its place.
func (f *fields) compiled(path, message, said string, names []string) {
	p := f.r.document.Problem(join(f.path, path), message)
	p.Nearest = nearest(said, names)
	f.r.problems.Add(p)
}

func readBroker(f *fields) *Broker {
	if f == nil {
		return nil
	}
	b := &Broker{}
	f.required("aws")
	if aws := f.inner("aws"); aws != nil {
		b.AWS = &AWSBroker{RoleARN: aws.text("role_arn"), Region: aws.text("region"), Endpoint: aws.text("endpoint")}
		if aws.required("role_arn") && b.AWS.RoleARN != "" {
			if problem := checkRoleARN(b.AWS.RoleARN); problem != "" {
				aws.wrong("role_arn", problem)
			}
		}
		if aws.required("region") && b.AWS.Region != "" {
			if problem := checkRegion(b.AWS); problem != "" {
				aws.wrong("region", problem)
			}
		}
		if problem := checkSTSEndpoint(b.AWS.Endpoint); problem != "" {
			aws.wrong("endpoint", problem)
		}
		aws.done()
	}
	f.done()
	return b
}

// checkSTSEndpoint checks where another STS than AWS's is asked; "" is AWS's.
func checkSTSEndpoint(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	problem, _ := checkURL(endpoint, true)
	if problem == "" && strings.ContainsAny(endpoint, "?") {
		problem = "must have no query"
	}
	return problem
}

// HostFields returns the paths of what only a super-admin or a file of the configuration
// may say, because it reaches the host and its network (RULES A8): a broker signs with our
// own key for whoever it names.
func (r *Role) HostFields() []string {
	if r.Broker != nil {
		return []string{"broker"}
	}
	return nil
}
