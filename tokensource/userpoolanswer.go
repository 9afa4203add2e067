package tokensource

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// authenticated is what a sign-in leaves for the next one.
type authenticated struct {
	refresh countersign.Secret
	user    string // the pool's own name of the account; "" = the tokens don't say
}

// challenges are what Cognito may ask for instead of giving tokens.
//
// Source: Amazon Cognito API reference, InitiateAuth "ChallengeName".
var challenges = map[string]bool{
	"NEW_PASSWORD_REQUIRED": true, "SMS_MFA": true, "SOFTWARE_TOKEN_MFA": true, "EMAIL_OTP": true, "SMS_OTP": true,
	"MFA_SETUP": true, "SELECT_MFA_TYPE": true, "DEVICE_SRP_AUTH": true, "DEVICE_PASSWORD_VERIFIER": true,
	"ADMIN_NO_SRP_AUTH": true, "PASSWORD_VERIFIER": true, "CUSTOM_CHALLENGE": true, "SELECT_CHALLENGE": true,
	"PASSWORD": true, "PASSWORD_SRP": true, "WEB_AUTHN": true,
}

// parseAuthentication reads the answer to a sign-in and chooses the token of that use.
//
// Errors: [countersign.Upstream] (not an answer of Cognito), [countersign.Denied] (it asks
// for more than a password).
func parseAuthentication(body []byte, use string) (grant, authenticated, error) {
	var answer struct {
		ChallengeName        string
		AuthenticationResult *struct {
			AccessToken, RefreshToken, TokenType string
			IDToken                              string `json:"IdToken"`
			ExpiresIn                            json.Number
		}
	}
	// The cause of a syntax error may quote the body, which may hold the token.
	if json.Unmarshal(body, &answer) != nil {
		return grant{}, authenticated{}, badCognitoAnswer("is not that of a sign-in")
	}
	result := answer.AuthenticationResult
	switch {
	case challenges[answer.ChallengeName]:
		return grant{}, authenticated{}, countersign.NewError(countersign.Denied, countersign.ReasonGrantNotAllowed,
			"cognito asks the account for "+answer.ChallengeName+": a service's account has a permanent password and no second factor")
	case result == nil:
		return grant{}, authenticated{}, badCognitoAnswer("holds no tokens")
	case result.TokenType != "" && !strings.EqualFold(result.TokenType, "Bearer"):
		return grant{}, authenticated{}, badCognitoAnswer("has another TokenType than Bearer")
	}
	token := map[string]string{UseID: result.IDToken, UseAccess: result.AccessToken}[use]
	if !isBearerToken(token) {
		return grant{}, authenticated{}, badCognitoAnswer("has no " + use + " token that can be sent")
	}
	claims := readCognitoClaims(token)
	life, err := claims.life(string(result.ExpiresIn))
	if err != nil {
		return grant{}, authenticated{}, err
	}
	next := authenticated{user: claims.user()}
	if len(result.RefreshToken) <= maxTokenBytes {
		next.refresh = countersign.NewSecret(result.RefreshToken)
	}
	return grant{token: countersign.NewSecret(token), life: life}, next, nil
}

func badCognitoAnswer(what string) error {
	return countersign.NewError(countersign.Upstream, "", "cognito's answer "+what)
}

// cognitoClaims is what a token says of itself. It is read without verifying anything:
// the receiver does that.
type cognitoClaims struct {
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
	IDName    string `json:"cognito:username"` // of an ID token
	Name      string `json:"username"`         // of an access token
}

func readCognitoClaims(token string) cognitoClaims {
	var claims cognitoClaims
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(payload, &claims) != nil {
			return cognitoClaims{}
		}
	}
	return claims
}

func (c cognitoClaims) user() string {
	for _, name := range []string{c.IDName, c.Name} {
		if name != "" && len(name) <= 128 {
			return name
		}
	}
	return ""
}

// life is how long the token lives by its own dates, which need no clock of ours;
// ExpiresIn is that of the access token only.
func (c cognitoClaims) life(expiresIn string) (time.Duration, error) {
	seconds := int64(defaultLife / time.Second)
	if c.IssuedAt > 0 && c.ExpiresAt > c.IssuedAt {
		seconds = c.ExpiresAt - c.IssuedAt
	} else if expiresIn != "" {
		var err error
		if seconds, err = strconv.ParseInt(expiresIn, 10, 64); err != nil {
			seconds = 0
		}
	}
	if seconds <= 0 || seconds > int64(absurdLife/time.Second) {
		return 0, badCognitoAnswer("has a token whose life makes no sense")
	}
	return min(time.Duration(seconds)*time.Second, maxLife), nil
}

// cognitoRefusals are the errors of InitiateAuth. An account that is not there and a
// wrong password are one: pools answer so, or should.
//
// Source: Amazon Cognito API reference, InitiateAuth "Errors".
var cognitoRefusals = map[string]refusal{
	"NotAuthorizedException":                {countersign.BadClient, ""},
	"UserNotFoundException":                 {countersign.BadClient, ""},
	"ResourceNotFoundException":             {countersign.BadClient, ""}, // the app client
	"RefreshTokenReuseException":            {countersign.BadClient, ""},
	"UserNotConfirmedException":             {countersign.Denied, countersign.ReasonGrantNotAllowed},
	"PasswordResetRequiredException":        {countersign.Denied, countersign.ReasonGrantNotAllowed},
	"UserLambdaValidationException":         {countersign.Denied, countersign.ReasonGrantNotAllowed},
	"ForbiddenException":                    {countersign.Denied, ""}, // a web application firewall
	"InvalidParameterException":             {countersign.Invalid, countersign.ReasonParameterInvalid},
	"UnsupportedOperationException":         {countersign.Unsupported, countersign.ReasonGrantUnsupported},
	"InvalidUserPoolConfigurationException": {countersign.Upstream, ""},
	"UnexpectedLambdaException":             {countersign.Upstream, ""},
	"InvalidLambdaResponseException":        {countersign.Upstream, ""},
	"TooManyRequestsException":              {countersign.Throttled, countersign.ReasonRateLimited},
	"LimitExceededException":                {countersign.Throttled, countersign.ReasonRateLimited},
	"ThrottlingException":                   {countersign.Throttled, countersign.ReasonRateLimited},
	"InternalErrorException":                {countersign.Unavailable, ""},
	"InternalServerException":               {countersign.Unavailable, ""},
	"ServiceUnavailableException":           {countersign.Unavailable, ""},
}

// parseCognitoRefusal reads an answer that is not a sign-in. Only words of the table above
// are passed on: a message may hold anything.
func parseCognitoRefusal(resp *http.Response, body []byte, now time.Time) error {
	var answer struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(body, &answer) // not JSON: the header or the status has to do
	name := answer.Type
	if name == "" {
		name, _, _ = strings.Cut(resp.Header.Get("X-Amzn-Errortype"), ":")
	}
	name = name[strings.LastIndexByte(name, '#')+1:]
	e := &countersign.Error{Msg: "cognito answered " + strconv.Itoa(resp.StatusCode)}
	known, ok := cognitoRefusals[name]
	if ok {
		e.Msg += " " + name
	}
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		e.Code, e.Reason = countersign.Throttled, countersign.ReasonRateLimited
	case status >= 500:
		e.Code = countersign.Unavailable
	case ok && status >= 400:
		e.Code, e.Reason = known.code, known.reason
	case status == http.StatusForbidden:
		e.Code = countersign.Denied
	case status == http.StatusBadRequest:
		e.Code = countersign.Invalid
	default: // a redirect, a wrong URL, a proxy's page
		e.Code = countersign.Upstream
	}
	if isOutage(e) {
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return e
}
