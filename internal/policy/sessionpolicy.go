package policy

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// The bounds of a session policy.
const (
	// MaxSessionPolicy is AWS's bound of its text, in characters.
	MaxSessionPolicy = 2048

	maxPolicyStatements = 32
	maxPolicyValues     = 64 // of one list
)

// SessionPolicy is what a caller of the STS narrows a session to: IAM JSON, as far as it
// can be enforced in full (RULES D7). nil and the zero value allow nothing.
type SessionPolicy struct {
	statements []sessionStatement
}

// sessionStatement is Allow or Deny: all of what it says, any value of each list.
type sessionStatement struct {
	deny    bool
	actions actionBits
	// resources are globs of BUCKET or BUCKET/KEY.
	resources []string
	// equals and like are what s3:prefix may be: literal texts, and globs. nil = it does
	// not matter. Both must hold where both are there.
	equals, like []string
}

// ParseSessionPolicy reads the Policy parameter of the STS. It takes Version (2012-10-17 or
// 2008-10-17), Id and statements with Sid, Effect, Action, Resource and, where every action
// is ListBucket or ListBucketVersions, a Condition of StringEquals and StringLike on
// s3:prefix. Actions are s3 actions of [S3Actions], Resources are * and arn:aws:s3:::…; *
// and ? are wildcards in both. Anything else is refused, because it would not be enforced:
// other elements, operators and keys, an action that is none, a resource of another service,
// a policy variable, a key that comes twice.
//
// Errors: countersign.BadPolicy with ReasonSessionPolicy, TooLarge with
// ReasonParameterInvalid.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func ParseSessionPolicy(text string) (*SessionPolicy, error) {
	if utf8.RuneCountInString(text) > MaxSessionPolicy {
		return nil, countersign.NewError(countersign.TooLarge, countersign.ReasonParameterInvalid, "a session policy has at most 2048 characters")
	}
	root, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	r := policyReader{}
	s := r.policy(root)
	if r.problem != "" {
		return nil, badPolicy(r.problem)
	}
	return s, nil
}

func badPolicy(message string) error {
	return countersign.NewError(countersign.BadPolicy, countersign.ReasonSessionPolicy, message)
}

// Allow reports whether the policy lets a session do an action with a key of a bucket, or
// with the prefix of a list. What it denies it never allows.
func (s *SessionPolicy) Allow(action, bucket, key string) bool {
	bit := bitOf[action]
	if s == nil || bit == 0 || bucket == "" {
		return false
	}
	about := actionOf(bit)
	resource := bucket
	if !about.Bucket {
		resource += "/" + key
	}
	allowed := false
	for i := range s.statements {
		statement := &s.statements[i]
		if statement.actions&bit == 0 || !statement.matches(resource, key) {
			continue
		}
		if statement.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

// leaves reports whether the policy leaves a session one of the actions in a bucket: what it
// allows about the bucket or some key of it, and does not deny about the whole of it.
func (s *SessionPolicy) leaves(bucket string, granted actionBits) bool {
	var allowed actionBits
	for i := range s.statements {
		t := &s.statements[i]
		switch {
		case !t.deny:
			allowed |= t.about(bucket, false)
		case t.equals == nil && t.like == nil: // else it is about some prefixes
			granted &^= t.about(bucket, true)
		}
	}
	return allowed&granted != 0
}

// about returns those of its actions whose resources have to do with a bucket: with some key
// of it, or with every one.
func (s *sessionStatement) about(bucket string, every bool) (found actionBits) {
	for _, glob := range s.resources {
		head, _, inside := strings.Cut(glob, "/")
		keys := (inside || strings.HasSuffix(glob, "*")) && globMatch(head, bucket)
		if every {
			keys = strings.HasSuffix(glob, "*") && globMatch(glob, bucket+"/")
		}
		if keys {
			found |= s.actions &^ bucketActions
		}
		if globMatch(glob, bucket) {
			found |= s.actions & bucketActions
		}
	}
	return found
}

// bucketActions are those about a bucket and not about one key.
var bucketActions = func() (bits actionBits) {
	for i, a := range s3Actions {
		if a.Bucket {
			bits |= 1 << i
		}
	}
	return bits
}()

func (s *sessionStatement) matches(resource, prefix string) bool {
	glob := func(g string) bool { return globMatch(g, resource) }
	like := func(g string) bool { return globMatch(g, prefix) }
	return slices.ContainsFunc(s.resources, glob) &&
		(s.equals == nil || slices.Contains(s.equals, prefix)) &&
		(s.like == nil || slices.ContainsFunc(s.like, like))
}

// policyReader turns JSON into a policy and keeps the first problem.
type policyReader struct{ problem string }

func (r *policyReader) wrong(message string) {
	if r.problem == "" {
		r.problem = message
	}
}

func (r *policyReader) policy(root jsonValue) *SessionPolicy {
	s := &SessionPolicy{}
	r.members(root, "the policy", map[string]func(jsonValue){
		"Version": func(v jsonValue) {
			if v.text != "2012-10-17" && v.text != "2008-10-17" || v.kind != jsonText {
				r.wrong("the Version is none")
			}
		},
		"Id": r.label,
		"Statement": func(v jsonValue) {
			items := v.items
			if v.kind == jsonObject {
				items = []jsonValue{v}
			}
			if len(items) == 0 || len(items) > maxPolicyStatements {
				r.wrong("Statement must be one statement or a list of at most 32")
				return
			}
			for _, item := range items {
				s.statements = append(s.statements, r.statement(item))
			}
		},
	})
	if s.statements == nil {
		r.wrong("there is no Statement")
	}
	return s
}

// label is a text that means nothing.
func (r *policyReader) label(v jsonValue) {
	if v.kind != jsonText {
		r.wrong("an Id and a Sid are text")
	}
}

func (r *policyReader) statement(v jsonValue) sessionStatement {
	var s sessionStatement
	effect := ""
	r.members(v, "a statement", map[string]func(jsonValue){
		"Sid": r.label,
		"Effect": func(v jsonValue) {
			if effect = v.text; v.kind != jsonText || effect != "Allow" && effect != "Deny" {
				r.wrong("the Effect must be Allow or Deny")
			}
		},
		"Action": func(v jsonValue) {
			for _, text := range r.texts(v) {
				found := iamBits(text)
				if found == 0 {
					r.wrong("an Action is none of S3 that is served here")
				}
				s.actions |= found
			}
		},
		"Resource": func(v jsonValue) {
			for _, text := range r.texts(v) {
				s.resources = append(s.resources, r.resource(text))
			}
		},
		"Condition": func(v jsonValue) { r.condition(v, &s) },
	})
	s.deny = effect == "Deny"
	switch {
	case effect == "" || s.actions == 0 || s.resources == nil:
		r.wrong("a statement needs an Effect, an Action and a Resource")
	case (s.equals != nil || s.like != nil) && s.actions&^prefixConditioned() != 0:
		r.wrong("a Condition goes with s3:ListBucket and s3:ListBucketVersions only")
	}
	return s
}

// prefixConditioned are the actions that know the condition key s3:prefix.
func prefixConditioned() actionBits { return bitOf["list_bucket"] | bitOf["list_bucket_versions"] }

// resource returns the glob of a resource.
func (r *policyReader) resource(text string) string {
	if text == "*" {
		return text
	}
	glob, found := strings.CutPrefix(text, "arn:aws:s3:::")
	if !found || glob == "" || strings.HasPrefix(glob, "/") {
		r.wrong("a Resource must be * or arn:aws:s3:::BUCKET or arn:aws:s3:::BUCKET/KEY")
	}
	return glob
}

func (r *policyReader) condition(v jsonValue, s *sessionStatement) {
	operator := func(into *[]string) func(jsonValue) {
		return func(v jsonValue) {
			r.members(v, "a Condition", map[string]func(jsonValue){
				"s3:prefix": func(v jsonValue) { *into = r.texts(v) },
			})
			if *into == nil {
				r.wrong("an operator of a Condition needs s3:prefix")
			}
		}
	}
	r.members(v, "a Condition", map[string]func(jsonValue){"StringEquals": operator(&s.equals), "StringLike": operator(&s.like)})
	if s.equals == nil && s.like == nil {
		r.wrong("a Condition must say something")
	}
}

// members reads an object whose keys are all known.
func (r *policyReader) members(v jsonValue, what string, known map[string]func(jsonValue)) {
	if v.kind != jsonObject {
		r.wrong(what + " must be an object")
		return
	}
	for _, m := range v.members {
		read := known[m.key]
		if read == nil {
			r.wrong(what + " has an element that is not enforced here")
			return
		}
		read(m.value)
	}
}

// texts reads a text or a list of at least one.
func (r *policyReader) texts(v jsonValue) []string {
	items := v.items
	if v.kind == jsonText {
		items = []jsonValue{v}
	}
	if len(items) == 0 || len(items) > maxPolicyValues {
		r.wrong("a list must have 1 to 64 texts")
		return nil
	}
	var found []string
	for _, item := range items {
		switch {
		case item.kind != jsonText:
			r.wrong("a value must be text")
		case strings.Contains(item.text, "${"):
			r.wrong("policy variables are not enforced here")
		case strings.ContainsFunc(item.text, isControl):
			r.wrong("a value has characters that are not printable")
		}
		found = append(found, item.text)
	}
	return found
}
