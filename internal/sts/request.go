package sts

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/web"
)

const (
	// maxBodyBytes bounds a form body, and a query.
	maxBodyBytes = 64 << 10
	// version is the only one of the API.
	version = "2011-06-15"
	// maxTokenBytes is the longest token that is looked at: that of package verify.
	maxTokenBytes = 16 << 10
	// maxPolicyBytes is AWS's bound of a session policy.
	maxPolicyBytes = 2048
)

// query is one request of the Query protocol: parsed, nothing of it trusted.
type query struct {
	action string
	form   web.Form
	// bodyHash is the SHA-256 of the body in hex, which signed requests are checked with.
	bodyHash string
}

// parse reads the parameters from the body or, without one, from the query.
//
// Errors: countersign.Invalid, TooLarge; Unsupported for an action or a version that is not
// served.
// Source: AWS Query protocol.
func parse(r *http.Request) (query, error) {
	sum := sha256.New()
	form, err := readParameters(r, sum)
	if err != nil {
		return query{}, err
	}
	q := query{action: form.Value("Action"), form: form, bodyHash: hex.EncodeToString(sum.Sum(nil))}
	if q.action == "" {
		return query{}, missing("Action")
	}
	if form.Has("Version") && form.Value("Version") != version {
		return query{}, countersign.NewError(countersign.Unsupported, countersign.ReasonActionUnsupported,
			"the version of this API is "+version)
	}
	known, ok := actions[q.action]
	if !ok {
		return query{}, countersign.NewError(countersign.Unsupported, countersign.ReasonActionUnsupported,
			"this action is not served")
	}
	for _, p := range form.Params() {
		if !known.takes(p.Name) {
			return query{}, invalid("a parameter that this action does not take")
		}
	}
	return q, nil
}

// readParameters never merges two places: a filter before us that looks at one would be
// deceived by the other.
func readParameters(r *http.Request, sum hash.Hash) (web.Form, error) {
	if len(r.URL.RawQuery) > maxBodyBytes {
		return web.Form{}, countersign.NewError(countersign.TooLarge, countersign.ReasonBodyTooLarge, "the query is too long")
	}
	inQuery, err := web.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return web.Form{}, err
	}
	hasBody := r.ContentLength != 0
	if hasBody && r.Method != http.MethodPost {
		return web.Form{}, invalid("a GET request has no body")
	}
	if !hasBody {
		return inQuery, nil
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, sum), r.Body}
	inBody, err := web.ReadForm(r, maxBodyBytes)
	if err != nil {
		return web.Form{}, err
	}
	switch {
	case len(inBody.Params()) == 0:
		return inQuery, nil
	case len(inQuery.Params()) > 0:
		return web.Form{}, invalid("the parameters are in the body or in the query, not in both")
	}
	return inBody, nil
}

// action is one row of the table of actions.
type action struct {
	serve func(h *Handler, r *http.Request, q query, d *decision) (any, error)
	// parameters that it takes, beside Action and Version; a final "." stands for a list.
	parameters []string
	// signed: the caller proves itself by the request's signature.
	signed bool
}

// actions is the table of actions.
var actions map[string]action

func init() { // the handlers ask the table too
	actions = map[string]action{
		"AssumeRoleWithWebIdentity": {serve: (*Handler).assumeRoleWithWebIdentity, parameters: []string{
			"RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds", "Policy"}},
		"AssumeRoleWithAWSIdentity": {serve: (*Handler).assumeRoleWithAWSIdentity, parameters: []string{
			"RoleArn", "RoleSessionName", "IamRequestUrl", "IamRequestBody", "IamRequestHeaders", "DurationSeconds", "Policy", "Tags.member."}},
		"GetCallerIdentity": {serve: (*Handler).getCallerIdentity, signed: true},
		"GetAccessKeyInfo":  {serve: (*Handler).getAccessKeyInfo, signed: true, parameters: []string{"AccessKeyId"}},
	}
}

func (a action) takes(name string) bool {
	if name == "Action" || name == "Version" {
		return true
	}
	if a.signed && strings.HasPrefix(name, "X-Amz-") {
		return true // a presigned URL: package sigv4 looks at each of them
	}
	return slices.ContainsFunc(a.parameters, func(p string) bool {
		return p == name || strings.HasSuffix(p, ".") && strings.HasPrefix(name, p)
	})
}

// assumeRequest is what both ways of assuming a role have in common.
type assumeRequest struct {
	role        string // name
	sessionName string // "" = not given
	duration    time.Duration
	policy      string
	tags        map[string]string
}

// parseAssume reads the parameters of a role's session. The duration is 0 where none is
// asked for.
//
// Errors: countersign.Invalid, TooLarge.
func (h *Handler) parseAssume(q query) (assumeRequest, error) {
	var a assumeRequest
	arn := q.form.Value("RoleArn")
	if arn == "" {
		return a, missing("RoleArn")
	}
	name, ok := strings.CutPrefix(arn, "arn:aws:iam::"+h.cfg.AccountID+":role/")
	if !ok {
		if !wellFormedARN(arn) {
			return a, invalid("RoleArn is not the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME")
		}
		name = "" // another account's: answered as a role that does not trust the caller
	}
	a.role = name
	a.sessionName = q.form.Value("RoleSessionName")
	if q.form.Has("RoleSessionName") && !validSessionName(a.sessionName) {
		return a, invalid("RoleSessionName has 2 to 64 characters: letters, digits and _+=,.@-")
	}
	if q.form.Has("DurationSeconds") {
		seconds, err := strconv.ParseUint(q.form.Value("DurationSeconds"), 10, 31)
		if err != nil || strconv.FormatUint(seconds, 10) != q.form.Value("DurationSeconds") {
			return a, invalid("DurationSeconds is a whole number of seconds")
		}
		a.duration = time.Duration(seconds) * time.Second
		if a.duration < minDuration || a.duration > maxDuration {
			return a, invalid("DurationSeconds is 900 to the role's maximum")
		}
	}
	if q.form.Has("Policy") {
		if a.policy = q.form.Value("Policy"); a.policy == "" || len(a.policy) > maxPolicyBytes {
			return a, invalid("Policy has 1 to 2048 characters")
		}
	}
	var err error
	a.tags, err = parseTags(q.form)
	return a, err
}

// wellFormedARN tells the ARN of a role of some account from everything else.
func wellFormedARN(arn string) bool {
	if len(arn) < 20 || len(arn) > 2048 {
		return false
	}
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[1] != "" && parts[2] == "iam" && parts[3] == "" &&
		len(parts[4]) == 12 && strings.Trim(parts[4], "0123456789") == "" &&
		strings.HasPrefix(parts[5], "role/") && len(parts[5]) > len("role/")
}

// validSessionName is RULES D6.
func validSessionName(name string) bool {
	if len(name) < 2 || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("_+=,.@-", c) < 0 {
			return false
		}
	}
	return true
}

// The bounds of tags.
//
// Source: AWS STS API reference, Tag.
const (
	maxTags       = 50
	maxTagKey     = 128
	maxTagValue   = 256
	tagParameters = "Tags.member."
)

// parseTags reads Tags.member.N.Key and .Value, N from 1 without a gap.
func parseTags(form web.Form) (map[string]string, error) {
	count := 0
	for _, p := range form.Params() {
		if strings.HasPrefix(p.Name, tagParameters) {
			count++
		}
	}
	if count == 0 {
		return nil, nil //nolint:nilnil // no tags
	}
	tags := make(map[string]string)
	for n := 1; count > 0; n++ {
		prefix := tagParameters + strconv.Itoa(n)
		key, value := form.Value(prefix+".Key"), form.Value(prefix+".Value")
		_, twice := tags[key]
		if !form.Has(prefix+".Key") || !form.Has(prefix+".Value") || twice || n > maxTags || !validTag(key, value) {
			return nil, invalid("Tags are at most 50 pairs of a key (1 to 128 characters) and a value (to 256), each key once")
		}
		tags[key] = value
		count -= 2
	}
	return tags, nil
}

func validTag(key, value string) bool {
	return key != "" && len(key) <= maxTagKey && len(value) <= maxTagValue && !strings.HasPrefix(strings.ToLower(key), "aws:") &&
		validTagText(key) && validTagText(value)
}

func validTagText(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

func missing(parameter string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterMissing, "the request must contain the parameter "+parameter)
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}
