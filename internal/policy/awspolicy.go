package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// maxAWSPolicy is AWS's bound of a session policy, in characters; ours are ASCII or escaped.
const maxAWSPolicy = 2048

// awsStatement is a statement of IAM.
type awsStatement struct {
	Effect      string
	Action      []string
	Resource    []string                       `json:",omitempty"`
	NotResource []string                       `json:",omitempty"`
	Condition   map[string]map[string][]string `json:",omitempty"`
}

// AWSPolicy says the resolved permissions, within a session policy (nil = none), as a session
// policy of AWS for S3 of that partition: what both allow and nothing else (RULES D9).
//
// IAM has no "and" between two policies in one text. So the permissions are allowed, and what
// the session policy does not allow is denied: by NotResource, which is "all but these".
//
// Errors: countersign.BadPolicy with ReasonSessionPolicy when that can't be said to AWS;
// countersign.TooLarge when AWS would not take it.
// Source: IAM User Guide, "Policies and permissions", session policies; "IAM JSON policy
// elements: NotResource".
func (p Permissions) AWSPolicy(partition string, session *SessionPolicy) (string, error) {
	w := awsWriter{arn: "arn:" + partition + ":s3:::"}
	for i := range p {
		w.permission(&p[i])
	}
	if session != nil {
		w.within(session, p)
	}
	if w.problem != "" {
		return "", badPolicy(w.problem)
	}
	if !slices.ContainsFunc(w.statements, func(s awsStatement) bool { return s.Effect == "Allow" }) {
		// AWS wants a statement; this one gives nothing.
		w.statements = []awsStatement{{Effect: "Deny", Action: []string{"*"}, Resource: []string{"*"}}}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		Version   string
		Statement []awsStatement
	}{"2012-10-17", w.statements})
	text := strings.TrimSuffix(out.String(), "\n")
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "", err)
	}
	if len(text) > maxAWSPolicy {
		return "", countersign.NewError(countersign.TooLarge, countersign.ReasonSessionPolicy,
			"the permissions and the policy together are larger than AWS's 2048 characters")
	}
	return text, nil
}

// awsWriter collects statements and keeps the first problem.
type awsWriter struct {
	arn        string
	statements []awsStatement
	problem    string
}

func (w *awsWriter) wrong(message string) {
	if w.problem == "" {
		w.problem = message
	}
}

// permission allows what one permission grants.
func (w *awsWriter) permission(p *Permission) {
	var objects, lists, buckets []string
	for i := range s3Actions {
		a := &s3Actions[i]
		switch {
		case !slices.Contains(p.Actions, a.Name):
			continue
		case a.ImpliedBy != "" && !slices.Contains(p.Actions, a.ImpliedBy):
			// IAM knows only the larger right.
			w.wrong(a.Name + " without " + a.ImpliedBy + " can't be said to AWS")
		case a.List:
			lists = append(lists, "s3:"+a.IAM)
		case a.Bucket:
			buckets = append(buckets, "s3:"+a.IAM)
		default:
			objects = append(objects, "s3:"+a.IAM)
		}
	}
	bucket := escapeIAM(p.Bucket)
	if len(objects) > 0 {
		w.allow(objects, w.keys(bucket, p.Prefixes), nil)
	}
	if len(buckets) > 0 {
		w.allow(buckets, []string{w.arn + bucket}, nil)
	}
	if len(lists) > 0 {
		w.list(lists, bucket, p.Prefixes)
	}
}

func (w *awsWriter) allow(actions, resources []string, like []string) {
	slices.Sort(actions)
	s := awsStatement{Effect: "Allow", Action: slices.Compact(actions), Resource: resources}
	if like != nil {
		s.Condition = map[string]map[string][]string{"StringLike": {"s3:prefix": like}}
	}
	w.statements = append(w.statements, s)
}

// keys are the keys that prefixes cover (RULES D2).
func (w *awsWriter) keys(bucket string, prefixes []string) []string {
	var list []string
	for _, prefix := range prefixes {
		text := w.arn + bucket + "/" + escapeIAM(prefix)
		if prefix == "" || strings.HasSuffix(prefix, "/") {
			text += "*"
		}
		list = append(list, text)
	}
	return list
}

func (w *awsWriter) list(actions []string, bucket string, prefixes []string) {
	var like []string
	for _, prefix := range prefixes {
		switch {
		case prefix == "":
			w.allow(actions, []string{w.arn + bucket}, nil)
			return
		case strings.HasSuffix(prefix, "/"):
			like = append(like, escapeIAM(prefix)+"*")
		}
	}
	if like == nil {
		return // a single key is no prefix of a list
	}
	if slices.Contains(actions, "s3:ListBucketMultipartUploads") {
		w.wrong("AWS can't bound list_bucket_multipart_uploads by prefixes")
		return
	}
	w.allow(actions, []string{w.arn + bucket}, like)
}

// within denies what the session policy does not allow.
func (w *awsWriter) within(session *SessionPolicy, p Permissions) {
	for i := range s3Actions {
		about := &s3Actions[i]
		if !slices.ContainsFunc(p, func(one Permission) bool { return slices.Contains(one.Actions, about.Name) }) {
			continue
		}
		w.allBut(session, about, actionBits(1)<<i)
	}
	for i := range session.statements {
		if s := &session.statements[i]; s.deny {
			w.deny(s)
		}
	}
}

// allBut denies one action everywhere but where the session policy allows it.
func (w *awsWriter) allBut(session *SessionPolicy, about *S3Action, bit actionBits) {
	var resources []string
	var conditioned *sessionStatement
	allowing := 0
	for i := range session.statements {
		s := &session.statements[i]
		if s.deny || s.actions&bit == 0 {
			continue
		}
		allowing++
		resources = append(resources, w.globs(s.resources)...)
		if s.equals != nil || s.like != nil {
			conditioned = s
		}
	}
	if conditioned != nil && allowing > 1 {
		w.wrong("several statements about " + about.IAM + " of which one has a Condition can't be said to AWS within the role's permissions")
		return
	}
	action := []string{"s3:" + about.IAM}
	switch {
	case allowing == 0:
		w.add(awsStatement{Effect: "Deny", Action: action, Resource: []string{"*"}})
	case !slices.Contains(resources, "*"):
		w.add(awsStatement{Effect: "Deny", Action: action, NotResource: resources})
	}
	if conditioned == nil {
		return
	}
	for operator, values := range map[string][]string{"StringNotEquals": conditioned.equals, "StringNotLike": conditioned.like} {
		if values != nil {
			w.add(awsStatement{Effect: "Deny", Action: action, Resource: []string{"*"},
				Condition: map[string]map[string][]string{operator: {"s3:prefix": values}}})
		}
	}
}

// deny says a Deny of the session policy as it is.
func (w *awsWriter) deny(s *sessionStatement) {
	var actions []string
	for i := range s3Actions {
		if s.actions&(actionBits(1)<<i) != 0 {
			actions = append(actions, "s3:"+s3Actions[i].IAM)
		}
	}
	slices.Sort(actions)
	made := awsStatement{Effect: "Deny", Action: slices.Compact(actions), Resource: w.globs(s.resources)}
	if s.equals != nil || s.like != nil {
		made.Condition = make(map[string]map[string][]string)
		for operator, values := range map[string][]string{"StringEquals": s.equals, "StringLike": s.like} {
			if values != nil {
				made.Condition[operator] = map[string][]string{"s3:prefix": values}
			}
		}
	}
	w.add(made)
}

// add joins statements that differ in their actions only.
func (w *awsWriter) add(s awsStatement) {
	for i := range w.statements {
		other := &w.statements[i]
		if other.Effect == s.Effect && s.Condition == nil && other.Condition == nil &&
			slices.Equal(other.Resource, s.Resource) && slices.Equal(other.NotResource, s.NotResource) {
			other.Action = append(other.Action, s.Action...)
			slices.Sort(other.Action)
			other.Action = slices.Compact(other.Action)
			return
		}
	}
	w.statements = append(w.statements, s)
}

// globs are those of a session policy, which IAM reads as we do.
func (w *awsWriter) globs(resources []string) []string {
	list := make([]string, 0, len(resources))
	for _, glob := range resources {
		if glob != "*" {
			glob = w.arn + glob
		}
		list = append(list, glob)
	}
	return list
}

// escapeIAM makes a text mean itself.
//
// Source: IAM User Guide, "Policy variables", special characters.
var escapeIAM = strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace
