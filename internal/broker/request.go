package broker

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
)

// Request asks for credentials. All of it decides the key of the cache.
type Request struct {
	// Bucket is the bucket of the gateway whose origin asks; then there is no role of ours and
	// no caller.
	Bucket string
	// Role and RoleUID are our role.
	Role, RoleUID string
	// RoleARN is AWS's role, Region where its STS is asked. Endpoint is "" for AWS itself;
	// else the base URL of another STS, http on a loopback only: it comes from a file of the
	// configuration or from a super-admin (RULES A8), and may be in a private network.
	RoleARN, Region, Endpoint string
	// Issuer and Subject are the proven pair of the caller.
	Issuer, Subject string
	SessionName     string
	// Policy is an AWS session policy in JSON: what our permissions and the caller's policy
	// leave. Required: without one AWS would give all that its role may.
	Policy string
	// Tags become session tags, by a claim of our token.
	Tags map[string]string
	// Duration is MinDuration to MaxDuration; parts of a second are cut.
	Duration time.Duration
}

// The bounds of AWS.
const (
	maxPolicyBytes = 2048
	maxTags        = 50
	maxSubject     = 1024
)

var (
	roleARN     = regexp.MustCompile(`\Aarn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[!-.0-~]+/)*([A-Za-z0-9_+=,.@-]{1,64})\z`)
	sessionName = regexp.MustCompile(`\A[A-Za-z0-9_+=,.@-]{2,64}\z`)
)

// target is where a request goes, and who its answer must be about.
type target struct {
	endpoint awssts.Endpoint
	own      bool // not AWS's own
	arn      string
}

// check holds a request against what AWS takes, and finds where it goes.
func (r *Request) check() (target, error) {
	parts := roleARN.FindStringSubmatch(r.RoleARN)
	switch {
	case r.Bucket == "" && (r.Role == "" || r.RoleUID == "" || r.Issuer == "" || r.Subject == ""):
		return target{}, invalid("a role and a proven caller are needed")
	case r.Bucket != "" && r.Role+r.RoleUID+r.Issuer+r.Subject != "":
		return target{}, invalid("an origin asks for itself, and not for a caller")
	case len(r.Issuer)+len(r.Subject)+len(r.Role) > maxSubject:
		return target{}, invalid("the caller's name is too long")
	case parts == nil:
		return target{}, invalid("the role to broker is no role of AWS")
	case !sessionName.MatchString(r.SessionName):
		return target{}, invalid("the session name has 2 to 64 characters of letters, digits and _+=,.@-")
	case r.Duration < MinDuration || r.Duration > MaxDuration:
		return target{}, invalid("brokered credentials live 15 minutes to 1 hour")
	case r.Policy == "":
		return target{}, invalid("a session policy is needed")
	case len(r.Policy) > maxPolicyBytes:
		return target{}, countersign.NewError(countersign.TooLarge, countersign.ReasonParameterInvalid, "the session policy is too large for AWS")
	case len(r.Tags) > maxTags:
		return target{}, invalid("more than 50 tags")
	}
	partition, account, name := parts[1], parts[2], parts[3]
	t := target{own: r.Endpoint != "", arn: "arn:" + partition + ":sts::" + account + ":assumed-role/" + name + "/" + r.SessionName}
	if t.own {
		var err error
		if t.endpoint, err = awssts.ParseEndpoint(r.Endpoint); err != nil {
			return target{}, err
		}
		return t, nil
	}
	var known bool
	if t.endpoint, known = awssts.OfRegion(r.Region); !known || t.endpoint.Partition != partition {
		return target{}, invalid("the region is none of the role's partition")
	}
	return t, nil
}

// key is a hash over all of the request: a length before each part, so that no two requests
// are hashed alike (RULES C6, D9).
func (r *Request) key() string {
	h := sha256.New()
	add := func(text string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		_, _ = h.Write(size[:])
		_, _ = h.Write([]byte(text))
	}
	for _, part := range []string{
		r.Bucket, r.Role, r.RoleUID, r.RoleARN, r.Region, r.Endpoint, r.Issuer, r.Subject, r.SessionName, r.Policy,
		r.seconds(), strconv.Itoa(len(r.Tags)),
	} {
		add(part)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tags)) {
		add(name)
		add(r.Tags[name])
	}
	return string(h.Sum(nil))
}

func (r *Request) seconds() string { return strconv.FormatInt(int64(r.Duration/time.Second), 10) }

// subject is what AWS's trust policies compare: our role, then who assumed it; or the bucket
// whose origin it is.
func (r *Request) subject() string {
	if r.Bucket != "" {
		return "bucket:" + r.Bucket
	}
	return strings.Join([]string{"role", r.Role, r.Issuer, r.Subject}, ":")
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}
