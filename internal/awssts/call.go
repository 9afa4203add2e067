package awssts

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// The bounds of one exchange.
const (
	Timeout      = 5 * time.Second
	MaxBodyBytes = 64 << 10

	maxRetryAfter = 5 * time.Minute
)

// What a caller is told.
const (
	msgReply     = "the AWS STS did not give an answer that can be believed"
	msgReached   = "the AWS STS can't be reached now"
	msgThrottled = "the AWS STS asks for patience"
	msgRefused   = "the AWS STS refused the request"
	msgSignature = "the AWS STS refused the signature"
	msgExpired   = "the AWS STS says that it is expired"
)

// NewClient returns a client for [Call], to be kept: no redirects, no proxy, no address that
// may not be dialled (RULES C2), 5 seconds and 64 KiB. allowPrivate lets it dial private
// addresses: for endpoints of the configuration, which may be in a private network.
func NewClient(roots *x509.CertPool, allowPrivate bool) *http.Client {
	return egress.New(egress.Config{
		Timeout: Timeout, MaxBodyBytes: MaxBodyBytes, RootCAs: roots, AllowPrivateAddresses: allowPrivate,
	})
}

// Call sends the request, once, with a client of package egress, and returns the result of
// a good answer: status 200, text/xml, ACTIONResponse with exactly one ACTIONResult and at
// most one ResponseMetadata.
//
// Errors: by the code that AWS gave: countersign.BadSignature, countersign.Expired,
// countersign.Denied, countersign.TooLarge, countersign.BadPolicy, countersign.Throttled,
// countersign.BadToken (every other refusal); countersign.Upstream when there is no answer,
// or none that we believe. The chain has a [*Refusal] when AWS refused.
func Call(client *http.Client, r *http.Request, action string) (*Element, error) {
	resp, err := client.Do(r) //nolint:gosec // the endpoint is of the table or the configuration, and the client is guarded
	if err != nil {
		return nil, unreached(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, unreached(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp, body)
	}
	if err := checkType(resp.Header); err != nil {
		return nil, unbelieved(err)
	}
	root, err := Parse(body, action+"Response")
	if err != nil {
		return nil, unbelieved(err)
	}
	result, ok := root.Child(action + "Result")
	if !ok || !root.Only(action+"Result", "ResponseMetadata") {
		return nil, unbelieved(errors.New("not exactly one result"))
	}
	return result, nil
}

// checkType wants text/xml, said once.
func checkType(h http.Header) error {
	values := h.Values("Content-Type")
	if len(values) != 1 || len(h.Values("Content-Encoding")) > 0 {
		return errors.New("no Content-Type, several, or an encoding")
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	if err != nil || media != "text/xml" {
		return errors.New("the Content-Type is not text/xml")
	}
	for name, value := range parameters {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return errors.New("the Content-Type has another parameter than charset=utf-8")
		}
	}
	return nil
}

// Refusal is what AWS refused with; for the log.
type Refusal struct {
	Status int
	// Code is AWS's, such as InvalidClientTokenId; only letters, digits and dots.
	Code string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("the STS answered %d %s", r.Status, r.Code) }

// codes say what AWS's codes mean.
var codes = map[string]struct {
	code countersign.Code
	msg  string
}{
	"SignatureDoesNotMatch":     {countersign.BadSignature, msgSignature},
	"IncompleteSignature":       {countersign.BadSignature, msgSignature},
	"ExpiredToken":              {countersign.Expired, msgExpired},
	"ExpiredTokenException":     {countersign.Expired, msgExpired},
	"RequestExpired":            {countersign.Expired, msgExpired},
	"AccessDenied":              {countersign.Denied, msgRefused},
	"AccessDeniedException":     {countersign.Denied, msgRefused},
	"PackedPolicyTooLarge":      {countersign.TooLarge, msgRefused},
	"MalformedPolicyDocument":   {countersign.BadPolicy, msgRefused},
	"Throttling":                {countersign.Throttled, msgThrottled},
	"ThrottlingException":       {countersign.Throttled, msgThrottled},
	"ThrottledException":        {countersign.Throttled, msgThrottled},
	"RequestThrottled":          {countersign.Throttled, msgThrottled},
	"RequestThrottledException": {countersign.Throttled, msgThrottled},
	"RequestLimitExceeded":      {countersign.Throttled, msgThrottled},
	"TooManyRequestsException":  {countersign.Throttled, msgThrottled},
	"SlowDown":                  {countersign.Throttled, msgThrottled},
	"IDPCommunicationError":     {countersign.Upstream, msgReached},
	"InternalFailure":           {countersign.Upstream, msgReached},
	"InternalError":             {countersign.Upstream, msgReached},
	"ServiceUnavailable":        {countersign.Upstream, msgReached},
}

// refused says what an answer other than 200 means. It is a no only if AWS said so in its
// own words; a proxy's page is none.
func refused(resp *http.Response, body []byte) error {
	r := &Refusal{Status: resp.StatusCode, Code: errorCode(body)}
	meaning, known := codes[r.Code]
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, known && meaning.code == countersign.Throttled:
		return &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonUpstreamUnavailable,
			Msg: msgThrottled, Err: r, RetryAfter: retryAfter(resp.Header)}
	case resp.StatusCode < 400 || resp.StatusCode > 499 || r.Code == "":
		return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, msgReached, r)
	case r.Code == "RegionDisabledException": // the account has switched that endpoint off
		return countersign.WrapError(countersign.Denied, countersign.ReasonRegionDisabled, msgRefused, r)
	case known:
		return countersign.WrapError(meaning.code, "", meaning.msg, r)
	}
	return countersign.WrapError(countersign.BadToken, countersign.ReasonProofInvalid, msgRefused, r)
}

// errorCode returns the code of an ErrorResponse, "" if body is none. It may have Errors
// around its Error.
func errorCode(body []byte) string {
	root, err := parse(body, "ErrorResponse", true)
	if err != nil {
		return ""
	}
	if several, ok := root.Child("Errors"); ok {
		root = several
	}
	e, ok := root.Child("Error")
	if !ok {
		return ""
	}
	code, ok := e.One("Code")
	if !ok || len(code) > 64 || strings.ContainsFunc(code, func(c rune) bool {
		return c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return ""
	}
	return code
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return time.Second
	}
	return min(time.Duration(min(seconds, 3600))*time.Second, maxRetryAfter)
}

// unreached is for exchanges that did not come to their end. A cause of package egress,
// such as a redirect, stays in the chain; the URL, in which there may be a signature or a
// session token, does not.
func unreached(err error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, msgReached, egress.WithoutURL(err))
}

func unbelieved(err error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, msgReply, err)
}
