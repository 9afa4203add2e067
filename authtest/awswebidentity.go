package authtest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/egress"
)

// Limits of AWS's own.
const (
	maxAWSPolicy   = 2048
	maxAWSToken    = 20_000
	minAWSDuration = 15 * time.Minute
)

var awsSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// assumeRoleWithWebIdentity needs no signature: the token is the proof.
//
// Source: AWS STS API Reference, AssumeRoleWithWebIdentity.
func (s *AWSSTS) assumeRoleWithWebIdentity(ctx context.Context, form url.Values) (awsAnswer, error) {
	roleARN, sessionName, token := form.Get("RoleArn"), form.Get("RoleSessionName"), form.Get("WebIdentityToken")
	policy := form.Get("Policy")
	switch {
	case len(roleARN) < 20 || len(roleARN) > 2048:
		return nil, validationError("roleArn")
	case !awsSessionName.MatchString(sessionName):
		return nil, validationError("roleSessionName")
	case len(token) < 4 || len(token) > maxAWSToken:
		return nil, validationError("webIdentityToken")
	case len(policy) > maxAWSPolicy:
		return nil, validationError("policy")
	case policy != "" && !isPolicy(policy):
		return nil, &awsError{http.StatusBadRequest, "MalformedPolicyDocument", "This policy contains invalid Json"}
	}
	s.mu.Lock()
	role, known := s.roles[roleARN]
	s.mu.Unlock()
	duration := time.Hour
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		duration = time.Duration(seconds) * time.Second
		if err != nil || duration < minAWSDuration || duration > 12*time.Hour {
			return nil, validationError("durationSeconds")
		}
	}
	session := AWSSession{RoleARN: roleARN, Policy: policy, Duration: duration}
	if err := s.verifyWebIdentity(ctx, token, &session); err != nil {
		return nil, err
	}
	if !known || !role.trusts(session) {
		return nil, &awsError{http.StatusForbidden, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}
	if duration > role.MaxSessionDuration {
		return nil, &awsError{http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
	return s.grant(role, sessionName, session), nil
}

func (s *AWSSTS) grant(role awsRole, sessionName string, session AWSSession) awsAnswer {
	session.Identity = s.assume(role, sessionName, session.Duration)
	s.mu.Lock()
	if len(s.sessions) < maxAWSCalls {
		s.sessions = append(s.sessions, session)
	}
	s.mu.Unlock()
	i := session.Identity
	return webIdentityResponse{Result: webIdentityResult{
		Subject: session.Subject, Audience: session.Audience,
		AssumedRoleUser: assumedRoleUser{ID: i.UserID, ARN: i.ARN},
		Credentials: awsCredentials{
			AccessKeyID: i.AccessKeyID, SecretAccessKey: i.SecretAccessKey.Reveal(),
			SessionToken: i.SessionToken.Reveal(), Expiration: i.ExpiresAt.Format(time.RFC3339),
		},
		Provider:         s.arn("iam", "oidc-provider/"+withoutScheme(session.Issuer)),
		PackedPolicySize: len(session.Policy) * 100 / maxAWSPolicy,
	}}
}

// verifyWebIdentity verifies the token by the keys that its issuer publishes. The
// issuer is asked only if a role trusts it: for AWS it would be an OIDC provider of
// the account.
func (s *AWSSTS) verifyWebIdentity(ctx context.Context, token string, session *AWSSession) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return invalidToken("The ID Token provided is not a valid JWT, or is not signed with RS256.")
	}
	var unverified jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return invalidToken("The ID Token provided is not a valid JWT.")
	}
	if !s.knowsIssuer(unverified.Issuer) {
		return invalidToken("No OpenIDConnect provider found in your account for " + unverified.Issuer)
	}
	keys, err := s.issuerKeys(ctx, unverified.Issuer)
	if err != nil {
		return err
	}
	candidates := keys.Key(parsed.Headers[0].KeyID)
	var claims jwt.Claims
	if len(candidates) != 1 || parsed.Claims(candidates[0].Key, &claims, &session.Claims) != nil {
		return invalidToken("Couldn't retrieve verification key from your identity provider, or the signature does not verify.")
	}
	switch {
	case claims.Expiry == nil || claims.IssuedAt == nil || claims.Subject == "" || len(claims.Audience) == 0:
		return invalidToken("Missing a required claim: exp, iat, sub or aud")
	case claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 24*time.Hour:
		return invalidToken("The ID Token provided is valid for more than 24 hours.")
	}
	if now := s.clock.now(); !now.Before(claims.Expiry.Time()) {
		return &awsError{http.StatusBadRequest, "ExpiredTokenException", "Token expired"}
	} else if claims.IssuedAt.Time().After(now.Add(time.Minute)) || (claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(time.Minute))) {
		return invalidToken("The ID Token provided is not yet valid.")
	}
	session.Issuer, session.Subject = claims.Issuer, claims.Subject
	return s.checkAudience(claims.Audience, session)
}

// checkAudience asks for an audience that the account registered with the provider.
func (s *AWSSTS) checkAudience(audience jwt.Audience, session *AWSSession) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, role := range s.roles {
		for _, trust := range role.Trust {
			for _, name := range trust.audiences() {
				if trust.Issuer == session.Issuer && slices.Contains(audience, name) {
					session.Audience = name
					return nil
				}
			}
		}
	}
	return invalidToken("Incorrect token audience")
}

func (s *AWSSTS) knowsIssuer(issuer string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, role := range s.roles {
		for _, trust := range role.Trust {
			if trust.Issuer == issuer {
				return true
			}
		}
	}
	return false
}

// issuerKeys fetches the discovery document and the keys that it names, at each call.
func (s *AWSSTS) issuerKeys(ctx context.Context, issuer string) (jose.JSONWebKeySet, error) {
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	var keys jose.JSONWebKeySet
	if !s.fetch(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &document) ||
		document.Issuer != issuer || !s.fetch(ctx, document.JWKSURI, &keys) {
		return keys, &awsError{http.StatusBadRequest, "IDPCommunicationError", "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"}
	}
	return keys, nil
}

func (s *AWSSTS) fetch(ctx context.Context, address string, into any) bool {
	body, _, err := egress.Get(ctx, s.client, address, "application/json")
	return err == nil && json.Unmarshal(body, into) == nil
}

func (t AWSTrust) audiences() []string {
	if len(t.Audiences) == 0 {
		return []string{"sts.amazonaws.com"}
	}
	return t.Audiences
}

// trusts evaluates the role's trust policy.
func (r awsRole) trusts(session AWSSession) bool {
	return slices.ContainsFunc(r.Trust, func(t AWSTrust) bool {
		return t.Issuer == session.Issuer && slices.Contains(t.audiences(), session.Audience) &&
			(len(t.Subjects) == 0 || slices.ContainsFunc(t.Subjects, func(p string) bool { return stringLike(p, session.Subject) }))
	})
}

// stringLike is IAM's StringLike: * is any run of characters, ? is any one.
func stringLike(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch pattern[0] {
	case '*':
		return stringLike(pattern[1:], text) || (text != "" && stringLike(pattern, text[1:]))
	case '?':
		return text != "" && stringLike(pattern[1:], text[1:])
	default:
		return text != "" && text[0] == pattern[0] && stringLike(pattern[1:], text[1:])
	}
}

// isPolicy looks at what AWS refuses at once: JSON, and statements in it.
func isPolicy(text string) bool {
	var document struct {
		Version   string
		Statement []struct{ Effect string }
	}
	if json.Unmarshal([]byte(text), &document) != nil || len(document.Statement) == 0 {
		return false
	}
	for _, statement := range document.Statement {
		if statement.Effect != "Allow" && statement.Effect != "Deny" {
			return false
		}
	}
	return document.Version == "2012-10-17" || document.Version == "2008-10-17" || document.Version == ""
}

func withoutScheme(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return rest
}

func invalidToken(message string) error {
	return &awsError{http.StatusBadRequest, "InvalidIdentityToken", message}
}

func validationError(field string) error {
	return &awsError{http.StatusBadRequest, "ValidationError", "1 validation error detected: Value at '" + field + "' failed to satisfy constraint"}
}
