package broker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
)

const (
	// tokenAudience is what AWS asks of the tokens of an OIDC provider by default.
	tokenAudience = "sts.amazonaws.com" //nolint:gosec // G101: an audience
	tokenLife     = 5 * time.Minute
	// tagsClaim holds session tags.
	//
	// Source: IAM User Guide, "Passing session tags using AssumeRoleWithWebIdentity".
	tagsClaim = "https://aws.amazon.com/tags"

	action = "AssumeRoleWithWebIdentity"
)

// What a caller is told.
const (
	msgReached = "the AWS STS can't be reached now"
	msgReply   = "the AWS STS did not give an answer that can be believed"
	msgRefused = "the AWS role can't be assumed"
	msgBusy    = "too many calls of AWS run now"
)

var (
	errShort  = errors.New("the credentials end at once")
	errReply  = errors.New("credentials are missing, twice or malformed")
	errOther  = errors.New("the credentials are of another role or session")
	errSigner = errors.New("broker tokens are signed with RS256")
)

var accessKeyID = regexp.MustCompile(`\A[A-Z0-9]{16,128}\z`)

// call gets fresh credentials.
func (a *AWS) call(ctx context.Context, r Request, t target) (Credentials, error) {
	token, err := a.token(&r)
	if err != nil {
		return Credentials{}, fmt.Errorf("sign a broker token: %w", err)
	}
	form := url.Values{
		"Action": {action}, "Version": {"2011-06-15"}, "RoleArn": {r.RoleARN}, "RoleSessionName": {r.SessionName},
		"WebIdentityToken": {token}, "DurationSeconds": {r.seconds()}, "Policy": {r.Policy},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.endpoint.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return Credentials{}, countersign.WrapError(countersign.Internal, "", "", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	request.Header.Set("Accept", "text/xml")
	request.Header.Set("User-Agent", "countersign")
	client := a.client
	if t.own {
		client = a.ownClient
	}
	result, err := awssts.Call(client, request, action)
	if err != nil {
		return Credentials{}, meaning(err)
	}
	return a.read(result, &r, t)
}

// meaning says what AWS's refusals mean for the caller: what is wrong with our token or our
// request is none of his faults.
func meaning(err error) error {
	switch countersign.CodeOf(err) {
	case countersign.Denied, countersign.Throttled, countersign.TooLarge, countersign.Upstream:
		return fmt.Errorf("assume the AWS role: %w", err)
	}
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, msgRefused, err)
}

// token is a JWT of ours for AWS.
//
// Source: RFC 7519 §4.1; IAM User Guide, "Create an OpenID Connect identity provider".
func (a *AWS) token(r *Request) (string, error) {
	signer, err := a.signer()
	if err != nil {
		return "", err
	}
	if signer.Algorithm != "RS256" {
		return "", countersign.WrapError(countersign.Unavailable, "", "", errSigner)
	}
	now := a.now()
	claims := map[string]any{
		"iss": a.issuer, "sub": r.subject(), "aud": tokenAudience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}
	if len(r.Tags) > 0 {
		tags := make(map[string][]string, len(r.Tags))
		for name, value := range r.Tags {
			tags[name] = []string{value}
		}
		claims[tagsClaim] = map[string]any{"principal_tags": tags}
	}
	header, err := json.Marshal(map[string]string{"alg": signer.Algorithm, "typ": "JWT", "kid": signer.KID})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := signer.Sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// resultParts are the elements that a result may have.
var resultParts = []string{
	"Credentials", "AssumedRoleUser", "SubjectFromWebIdentityToken", "Audience", "Provider", "PackedPolicySize", "SourceIdentity",
}

// read reads the result: it must be about the role and the session that were asked for.
func (a *AWS) read(result *awssts.Element, r *Request, t target) (Credentials, error) {
	keys, hasKeys := result.Child("Credentials")
	user, hasUser := result.Child("AssumedRoleUser")
	if !hasKeys || !hasUser || !result.Only(resultParts...) ||
		!keys.Only("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration") || !user.Only("AssumedRoleId", "Arn") {
		return Credentials{}, unbelieved(errReply)
	}
	var c Credentials
	var ok [6]bool
	var secret, token, ends string
	c.AccessKeyID, ok[0] = keys.One("AccessKeyId")
	secret, ok[1] = keys.One("SecretAccessKey")
	token, ok[2] = keys.One("SessionToken")
	ends, ok[3] = keys.One("Expiration")
	c.AssumedRoleARN, ok[4] = user.One("Arn")
	c.AssumedRoleID, ok[5] = user.One("AssumedRoleId")
	if ok != [6]bool{true, true, true, true, true, true} || !accessKeyID.MatchString(c.AccessKeyID) ||
		!plain(secret, 256) || !plain(token, 16<<10) || !plain(c.AssumedRoleID, 256) {
		return Credentials{}, unbelieved(errReply)
	}
	if c.AssumedRoleARN != t.arn {
		return Credentials{}, unbelieved(errOther)
	}
	if size, said := result.One("PackedPolicySize"); said {
		c.PackedPolicySize, _ = strconv.Atoi(size)
	}
	expires, err := time.Parse(time.RFC3339, ends)
	now := a.now()
	if err != nil || expires.Sub(now) < leastLeft {
		return Credentials{}, unbelieved(errShort)
	}
	// Whatever AWS says, we hand nothing out for longer than was asked for.
	if last := now.Add(r.Duration); expires.After(last) {
		expires = last
	}
	c.SecretAccessKey, c.SessionToken, c.ExpiresAt = countersign.NewSecret(secret), countersign.NewSecret(token), expires.UTC()
	return c, nil
}

func plain(text string, limit int) bool {
	return text != "" && len(text) <= limit && !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
}

func unbelieved(err error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, msgReply, err)
}
