package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// The bounds of permissions.
const (
	MaxPermissions = 50
	MaxPrefixes    = 64
	maxKeyBytes    = 1024 // of S3
	maxBucketBytes = 63
)

// Permission lets a role do the actions with the keys of a bucket that the prefixes
// cover. All three name something: nothing empty means everything (RULES D2).
type Permission struct {
	// Bucket is one bucket's name.
	Bucket string
	// Prefixes are literal: one that ends in / covers the keys that start with it, "" the
	// whole bucket, any other that key alone.
	Prefixes []string
	// Actions are names of [S3Actions].
	Actions []string
}

// Permissions are those of a role. Nothing is allowed that none of them allows.
type Permissions []Permission

// PermissionProblem is one thing that is wrong with permissions.
type PermissionProblem struct {
	// Path is the place, such as [0].prefixes[1].
	Path, Message string
	// Value is what was said instead of one of Names; "" where nothing is near.
	Value string
	Names []string
}

// PermissionError says why permissions are refused. It wraps a countersign.Error with
// BadPolicy.
type PermissionError struct {
	// Problems are all of them, in order.
	Problems []PermissionProblem
}

// Error returns one line for each problem.
func (e *PermissionError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, "permissions"+p.Path+": "+p.Message)
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error for the caller.
func (e *PermissionError) Unwrap() error {
	return countersign.NewError(countersign.BadPolicy, countersign.ReasonResourceInvalid, e.Error())
}

// CompilePermissions checks the permissions of a role; its templates may be open. What it
// returns shares nothing with list.
//
// Errors: [*PermissionError]: countersign.BadPolicy with ReasonResourceInvalid.
func CompilePermissions(list []Permission) (Permissions, error) {
	var problems []PermissionProblem
	wrong := func(path, message string) {
		problems = append(problems, PermissionProblem{Path: path, Message: message})
	}
	if len(list) > MaxPermissions {
		wrong("", fmt.Sprintf("has more than %d entries", MaxPermissions))
		list = nil
	}
	made := make(Permissions, 0, len(list))
	for i, p := range list {
		at := fmt.Sprintf("[%d]", i)
		if problem := checkBucket(p.Bucket, true); problem != "" {
			wrong(at+".bucket", problem)
		}
		switch {
		case len(p.Prefixes) == 0:
			wrong(at+".prefixes", `must name at least one prefix; "" is the whole bucket`)
		case len(p.Prefixes) > MaxPrefixes:
			wrong(at+".prefixes", fmt.Sprintf("has more than %d entries", MaxPrefixes))
		}
		for k, prefix := range p.Prefixes {
			if problem := checkPrefix(prefix, true); problem != "" {
				wrong(fmt.Sprintf("%s.prefixes[%d]", at, k), problem)
			}
		}
		problems = append(problems, checkActions(at+".actions", p.Actions)...)
		made = append(made, Permission{p.Bucket, slices.Clone(p.Prefixes), slices.Clone(p.Actions)})
	}
	if problems != nil {
		return nil, &PermissionError{Problems: problems}
	}
	return made, nil
}

func checkActions(path string, actions []string) (problems []PermissionProblem) {
	if len(actions) == 0 {
		return []PermissionProblem{{Path: path, Message: "must name at least one action"}}
	}
	var names []string
	for i, action := range actions {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case bitOf[action] == 0:
			if names == nil {
				for _, a := range s3Actions {
					names = append(names, a.Name)
				}
			}
			problems = append(problems, PermissionProblem{Path: at, Message: "is not an action; there are no wildcards", Value: action, Names: names})
		case slices.Contains(actions[:i], action):
			problems = append(problems, PermissionProblem{Path: at, Message: "is given twice"})
		}
	}
	return problems
}

// checkBucket checks a bucket's name, in which templates may be open. It takes S3's form, of
// which no bucket here uses the dots: session policies are written by AWS's rules too, and a
// permission for a bucket that is not there gives nothing.
func checkBucket(text string, open bool) (problem string) {
	plain, problem := closed(text, open)
	switch {
	case problem != "":
		return problem
	case text == "":
		return "must name a bucket"
	case strings.Contains(text, "*"):
		return "must name one bucket: there are no wildcards"
	case len(plain) > maxBucketBytes || strings.Contains(plain, ".."):
		return bucketForm
	}
	for i := range len(plain) {
		c := plain[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return bucketForm
		}
	}
	if plain[0] == '-' || plain[0] == '.' {
		return bucketForm
	}
	return ""
}

const bucketForm = "must be the name of a bucket: a-z, 0-9, - and ., at most 63 of them"

// checkPrefix checks a prefix, in which templates may be open (RULES D2).
func checkPrefix(text string, open bool) (problem string) {
	plain, problem := closed(text, open)
	switch {
	case problem != "":
		return problem
	case strings.Contains(plain, "*"):
		return "is literal, without wildcards: one that ends in / covers what starts with it"
	case !utf8.ValidString(plain) || strings.ContainsFunc(plain, isControl):
		return "has characters that are not printable"
	case strings.Contains(plain, `\`):
		return "must not have a backslash"
	case text != "" && !plainKey(plain):
		return `must not start with / and have no empty, "." and ".." segments`
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// plainKey reports whether each segment of a key names something; it may end in /.
func plainKey(key string) bool {
	for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// Allow reports whether the resolved permissions let somebody do an action with a key of
// a bucket. For a list the key is the prefix that is asked for, for another action on a
// bucket it is ignored. An action that is none is never allowed.
func (p Permissions) Allow(action, bucket, key string) bool {
	bit := bitOf[action]
	if bit == 0 || bucket == "" {
		return false
	}
	about := actionOf(bit)
	for i := range p {
		if p[i].Bucket == bucket && p[i].grants(about) && p[i].covers(about, key) {
			return true
		}
	}
	return false
}

// BucketsWithin returns the names of the buckets in which the resolved permissions let
// somebody do anything within a session policy, as far as that can be told without a key;
// sorted, each once. nil = the session has none.
func (p Permissions) BucketsWithin(session *SessionPolicy) []string {
	names := make([]string, 0, len(p))
	for i := range p {
		if !isOpen(p[i].Bucket) && (session == nil || session.leaves(p[i].Bucket, p[i].bits())) {
			names = append(names, p[i].Bucket)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// AllowWithin is Allow within a session policy: both must allow (RULES D7). nil = the
// session has none.
func (p Permissions) AllowWithin(session *SessionPolicy, action, bucket, key string) bool {
	return p.Allow(action, bucket, key) && (session == nil || session.Allow(action, bucket, key))
}

// bits are the actions that it grants.
func (p *Permission) bits() (granted actionBits) {
	for i := range s3Actions {
		if p.grants(&s3Actions[i]) {
			granted |= 1 << i
		}
	}
	return granted
}

func (p *Permission) grants(about *S3Action) bool {
	return slices.Contains(p.Actions, about.Name) || about.ImpliedBy != "" && slices.Contains(p.Actions, about.ImpliedBy)
}

func (p *Permission) covers(about *S3Action, key string) bool {
	if about.Bucket && !about.List {
		return true
	}
	for _, prefix := range p.Prefixes {
		switch {
		case prefix == "":
			return about.List || key != ""
		case isOpen(prefix):
			continue // was never resolved
		case strings.HasSuffix(prefix, "/"):
			// A list of a/ may not be asked for by a prefix that is shorter.
			if strings.HasPrefix(key, prefix) {
				return true
			}
		case !about.List && key == prefix:
			return true
		}
	}
	return false
}
