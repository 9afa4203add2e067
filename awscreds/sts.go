package awscreds

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

const (
	// stsTimeout bounds one request to the STS, which may have to ask AWS first.
	stsTimeout = 10 * time.Second
	// maxAnswerBytes bounds an answer of the STS.
	maxAnswerBytes = 64 << 10
	// maxPolicyBytes is the STS's own limit of a session policy, in characters.
	maxPolicyBytes = 2048
	minDuration    = 15 * time.Minute
	maxDuration    = 12 * time.Hour
	stsVersion     = "2011-06-15"
)

// sts is a checked STS endpoint with what both kinds of login have in common.
type sts struct {
	url      string
	roleARN  string
	session  string
	duration time.Duration
	policy   string
	client   *http.Client
	owned    bool
	now      func() time.Time
}

// sessionName is what RoleSessionName may be.
//
// Source: RULES D6; AWS STS API reference, AssumeRoleWithWebIdentity.
var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (s *sts) check(configured *http.Client) error {
	if err := egress.CheckURL(s.url); err != nil {
		return invalid("STS: " + countersign.MessageOf(err))
	}
	if at, err := url.Parse(s.url); err != nil || at.RawQuery != "" || at.ForceQuery {
		return invalid("STS must have no query")
	}
	switch {
	case !plainText(s.roleARN, 20, 2048): // what the AWS SDKs check, and AWS
		return invalid("RoleARN must be arn:aws:iam::ACCOUNT:role/NAME")
	case s.session != "" && !sessionName.MatchString(s.session):
		return invalid("RoleSessionName must be 2 to 64 of letters, digits and _+=,.@-")
	case s.duration != 0 && (s.duration < minDuration || s.duration > maxDuration || s.duration%time.Second != 0):
		return invalid("Duration must be 15 minutes to 12 hours, in seconds")
	case len(s.policy) > maxPolicyBytes:
		return invalid("Policy is longer than 2048 bytes")
	}
	s.client, s.owned = egress.ClientOr(configured, egress.Config{
		AllowPrivateAddresses: true, Timeout: stsTimeout, MaxBodyBytes: maxAnswerBytes,
	})
	return nil
}

// close frees the connections of a client of our own.
func (s *sts) close() {
	if s.owned {
		s.client.CloseIdleConnections()
	}
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "awscreds: "+msg)
}

// plainText reports whether text has that many bytes, all of them printable ASCII.
func plainText(text string, atLeast, atMost int) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return atLeast <= len(text) && len(text) <= atMost
}

// form returns the parameters of an action that both kinds of login have.
func (s *sts) form(action, session string) url.Values {
	form := url.Values{"Action": {action}, "Version": {stsVersion}, "RoleArn": {s.roleARN}}
	if session != "" {
		form.Set("RoleSessionName", session)
	}
	if s.duration != 0 {
		form.Set("DurationSeconds", strconv.Itoa(int(s.duration/time.Second)))
	}
	if s.policy != "" {
		form.Set("Policy", s.policy)
	}
	return form
}

// assume sends the request and reads the credentials. sent is what of it no error may
// repeat. Parameters travel in the body: a URL ends up in logs.
func (s *sts) assume(ctx context.Context, form url.Values, headers http.Header, sent []countersign.Secret) (aws.Credentials, error) {
	asked := s.now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(form.Encode()))
	if err != nil {
		return aws.Credentials{}, countersign.WrapError(countersign.Internal, "", "build the sts request", egress.WithoutURL(err))
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("Accept", "text/xml")
	resp, err := s.client.Do(r)
	if err != nil {
		return aws.Credentials{}, countersign.WrapError(countersign.Upstream, "", "the sts can't be reached", egress.WithoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return aws.Credentials{}, countersign.WrapError(countersign.Upstream, "", "the sts's answer can't be read", egress.WithoutURL(err))
	}
	if len(body) > maxAnswerBytes {
		return aws.Credentials{}, countersign.NewError(countersign.Upstream, countersign.ReasonBodyTooLarge, "the sts's answer is too large")
	}
	if resp.StatusCode != http.StatusOK {
		return aws.Credentials{}, parseRefusal(resp, body, s.now(), sent)
	}
	credentials, err := parseCredentials(body)
	if err != nil {
		return aws.Credentials{}, err
	}
	if asked = asked.Add(s.duration); s.duration != 0 && asked.Before(credentials.Expires) {
		credentials.Expires = asked // the STS's clock is ahead of ours
	}
	return credentials, nil
}
