package tokensource

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

const (
	// defaultLife is taken when the server doesn't say how long a token lives.
	defaultLife = 5 * time.Minute
	// maxLife bounds how long a token is kept whatever the server says.
	maxLife = 24 * time.Hour
	// absurdLife is refused: a unit was mistaken, or a time for a duration.
	absurdLife = 10 * 365 * 24 * time.Hour
)

// grant is a token as the endpoint gave it.
type grant struct {
	token countersign.Secret
	life  time.Duration
}

// parseGrant reads the answer to a granted request.
//
// Errors: [countersign.Upstream]: the answer is not one that a token endpoint gives.
// Source: RFC 6749 §5.1.
func parseGrant(body []byte) (grant, error) {
	var answer struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	// The cause of a syntax error may quote the body, which may hold the token.
	if json.Unmarshal(body, &answer) != nil {
		return grant{}, badAnswer("is not the JSON of a token")
	}
	if !strings.EqualFold(answer.TokenType, "Bearer") {
		return grant{}, badAnswer("has another token_type than Bearer")
	}
	if !isBearerToken(answer.AccessToken) {
		return grant{}, badAnswer("has an access_token that can't be sent")
	}
	life := defaultLife
	if answer.ExpiresIn != "" {
		seconds, err := strconv.ParseInt(string(answer.ExpiresIn), 10, 64)
		if err != nil || seconds <= 0 || seconds > int64(absurdLife/time.Second) {
			return grant{}, badAnswer("has an expires_in that makes no sense")
		}
		life = min(time.Duration(seconds)*time.Second, maxLife)
	}
	return grant{token: countersign.NewSecret(answer.AccessToken), life: life}, nil
}

func badAnswer(what string) error {
	return countersign.NewError(countersign.Upstream, "", "the token endpoint's answer "+what)
}

// refusal is what an error word of a token endpoint means here.
type refusal struct {
	code   countersign.Code
	reason countersign.Reason
}

// refusals are the error words of RFC 6749 §5.2 and RFC 8707 §2.
var refusals = map[string]refusal{
	"invalid_request":         {countersign.Invalid, countersign.ReasonParameterInvalid},
	"invalid_client":          {countersign.BadClient, ""},
	"invalid_grant":           {countersign.Denied, countersign.ReasonGrantNotAllowed},
	"unauthorized_client":     {countersign.Denied, countersign.ReasonGrantNotAllowed},
	"access_denied":           {countersign.Denied, ""},
	"unsupported_grant_type":  {countersign.Unsupported, countersign.ReasonGrantUnsupported},
	"invalid_scope":           {countersign.BadScope, countersign.ReasonScopeNotGranted},
	"invalid_target":          {countersign.BadTarget, countersign.ReasonAudienceNotGranted},
	"server_error":            {countersign.Unavailable, ""},
	"temporarily_unavailable": {countersign.Unavailable, ""},
}

// parseRefusal reads an answer that is not a grant. Only words of the table above are
// passed on: a description may hold anything, even the secret that was sent.
//
// Source: RFC 6749 §5.2.
func parseRefusal(resp *http.Response, body []byte, now time.Time) error {
	var answer struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &answer) // not JSON: the status has to do
	e := &countersign.Error{Msg: "the token endpoint answered " + strconv.Itoa(resp.StatusCode)}
	known, ok := refusals[answer.Error]
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		e.Code, e.Reason = countersign.Throttled, countersign.ReasonRateLimited
	case status >= 500:
		e.Code = countersign.Unavailable
	case ok && status >= 400:
		e.Code, e.Reason = known.code, known.reason
		e.Msg += " " + answer.Error
	case status == http.StatusUnauthorized:
		e.Code = countersign.BadClient
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

// retryAfter reads a Retry-After header; 0 = none, or one that makes no sense.
//
// Source: RFC 9110 §10.2.3.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
