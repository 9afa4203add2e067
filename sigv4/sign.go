package sigv4

import (
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// SignOptions say what to sign, and for whom.
type SignOptions struct {
	// Region and Service are those of the scope.
	Region, Service string
	// Time is when the request is made, to the second.
	Time time.Time
	// PayloadHash is HashPayload(body) or one of the constants. "" is good for a request
	// without a body, and in [Presign] for S3, where it means UnsignedPayload.
	PayloadHash string
	// SendPayloadHash sends and signs x-amz-content-sha256. S3 requires it, so for S3
	// [Sign] does it in any case.
	SendPayloadHash bool
	// Path is the form of the canonical path; the zero value is PathAuto.
	Path PathForm
	// UnsignedHeaders are names of headers that are sent and not signed, besides those that
	// are changed on the way: Authorization, Connection, Expect, Keep-Alive,
	// Proxy-Authorization, Te, Trailer, Transfer-Encoding, Upgrade, User-Agent and
	// X-Amzn-Trace-Id. Headers of AWS (X-Amz-*) are signed in any case.
	UnsignedHeaders []string
}

// unsignedHeaders are changed by clients and proxies after the signature.
var unsignedHeaders = []string{
	"Authorization", "Connection", "Expect", "Keep-Alive", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent", "X-Amzn-Trace-Id",
}

// Sign signs r by the Authorization header, in place. It sets that, X-Amz-Date, and as
// needed X-Amz-Security-Token and X-Amz-Content-Sha256, over whatever they were, and
// takes the default port of its scheme off the host; after an error r may have some of
// that, but no signature. It never reads the body: who knows it gives its hash. All headers
// are signed but those of [SignOptions].UnsignedHeaders, so none may be added later.
//
// Errors: [countersign.Invalid].
// Source: AWS IAM User Guide, "Create a signed AWS API request".
func Sign(r *http.Request, c Credentials, s SignOptions) error {
	payload, err := checkSign(r, c, s)
	if err != nil {
		return err
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	delete(r.Header, "Authorization")
	date := s.Time.UTC().Format(timeFormat)
	r.Header[queryDate] = []string{date}
	setOrDelete(r.Header, queryToken, c.SessionToken.Reveal())
	if !s.SendPayloadHash && s.form() != PathObject {
		setOrDelete(r.Header, queryContent, "")
	} else {
		setOrDelete(r.Header, queryContent, payload)
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	done, err := signRequest(r, c, s, date, payload, query)
	if err != nil {
		return err
	}
	r.Header["Authorization"] = []string{algorithm + " Credential=" + c.AccessKeyID + "/" + done.scope.String() +
		", SignedHeaders=" + done.names + ", Signature=" + done.signature}
	return nil
}

// Presign returns the URL of r, signed by its query, for expires: whole seconds, from 1
// second to 7 days. It does not change r. All headers of r are signed as in [Sign]: who uses
// the URL sends the same ones.
//
// Errors: [countersign.Invalid].
// Source: AWS IAM User Guide, "Create a signed AWS API request", "Query string parameters".
func Presign(r *http.Request, c Credentials, s SignOptions, expires time.Duration) (*url.URL, error) {
	explicit := s.PayloadHash != ""
	if !explicit && s.form() == PathObject {
		s.PayloadHash = UnsignedPayload
	}
	payload, err := checkSign(r, c, s)
	if err != nil {
		return nil, err
	}
	if expires < time.Second || expires > MaxExpires || expires%time.Second != 0 {
		return nil, invalid(countersign.ReasonParameterInvalid, "a presigned request lives from 1 second to 7 days")
	}
	r = r.Clone(r.Context())
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	for _, name := range []string{"Authorization", queryDate, queryToken, queryContent} {
		delete(r.Header, name)
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	names, _, err := namesToSign(r, s)
	if err != nil {
		return nil, err
	}
	date := s.Time.UTC().Format(timeFormat)
	add := func(key, value string) {
		query = append(query, parameter{key: key, value: value, canonicalKey: key, canonValue: encodeQuery(value)})
	}
	add(queryAlgorithm, algorithm)
	add(queryCredential, c.AccessKeyID+"/"+s.scope().String())
	add(queryDate, date)
	add(queryExpires, strconv.FormatInt(int64(expires/time.Second), 10))
	add(querySignedHeaders, strings.Join(names, ";"))
	if token := c.SessionToken.Reveal(); token != "" {
		add(queryToken, token)
	}
	if s.SendPayloadHash || explicit && s.form() == PathObject {
		add(queryContent, payload)
	}
	slices.SortFunc(query, compareParameters)
	done, err := signRequest(r, c, s, date, payload, query)
	if err != nil {
		return nil, err
	}
	r.URL.RawQuery = string(appendQuery(nil, query)) + "&" + querySignature + "=" + done.signature
	return r.URL, nil
}

// signed is what signRequest made.
type signed struct {
	scope            Scope
	names, signature string
}

func signRequest(r *http.Request, c Credentials, s SignOptions, date, payload string, query []parameter) (done signed, err error) {
	names, values, err := namesToSign(r, s)
	if err != nil {
		return done, err
	}
	method, err := methodOf(r)
	if err != nil {
		return done, err
	}
	encoded, err := pathOf(r)
	if err != nil {
		return done, err
	}
	done.scope = Scope{Date: date[:len(dateFormat)], Region: s.Region, Service: s.Service}
	done.names = strings.Join(names, ";")
	out := make([]byte, 0, 256+len(encoded)+2*len(r.URL.RawQuery)+2*len(done.names)+sizeOf(values))
	out = append(append(out, method...), '\n')
	out = append(append(out, s.form().canonical(encoded)...), '\n')
	out = append(appendQuery(out, query), '\n')
	out = append(appendHeaders(out, names, values), '\n')
	out = append(append(append(out, done.names...), '\n'), payload...)
	sum := signature(signingKey(c.SecretAccessKey, done.scope), done.scope, date, out)
	done.signature = hex.EncodeToString(sum[:])
	return done, nil
}

func (s SignOptions) form() PathForm { return s.Path.resolve(s.Service) }

func (s SignOptions) scope() Scope {
	return Scope{Date: s.Time.UTC().Format(dateFormat), Region: s.Region, Service: s.Service}
}

// checkSign refuses what Parse would refuse later, and returns what stands for the body.
func checkSign(r *http.Request, c Credentials, s SignOptions) (payload string, err error) {
	if r == nil || r.URL == nil || r.URL.Opaque != "" {
		return "", invalid(countersign.ReasonParameterInvalid, "the request has no path")
	}
	if !isPlain(c.AccessKeyID, maxAccessKeyBytes) || c.SecretAccessKey.IsZero() {
		return "", invalid(countersign.ReasonParameterInvalid, "the credentials are empty or malformed")
	}
	if len(c.SessionToken.Reveal()) > maxTokenBytes || !isHeaderValue(c.SessionToken.Reveal()) {
		return "", invalid(countersign.ReasonParameterInvalid, "the session token is too long or malformed")
	}
	if year := s.Time.UTC().Year(); !(Scope{Region: s.Region, Service: s.Service}).valid() || s.Time.IsZero() || year > 9999 {
		return "", invalid(countersign.ReasonParameterInvalid, "a signature needs a region, a service and a time")
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	if attempts(&http.Request{}, query).query {
		return "", invalid(countersign.ReasonClientAuthDoubled, "the request is presigned already")
	}
	payload = s.PayloadHash
	if payload == "" {
		if r.Body != nil && r.Body != http.NoBody {
			return "", invalid(countersign.ReasonParameterMissing, "a request with a body needs the hash of it")
		}
		payload = EmptyPayloadHash
	}
	if kindOfPayload(payload) == payloadUnknown {
		return "", invalid(countersign.ReasonParameterInvalid, "the hash of the body is malformed")
	}
	return payload, nil
}

func setOrDelete(h http.Header, name, value string) {
	if value == "" {
		delete(h, name)
		return
	}
	h[name] = []string{value}
}

// namesToSign collects the headers to sign, sorted.
func namesToSign(r *http.Request, s SignOptions) (names []string, values [][]string, err error) {
	stripDefaultPort(r)
	names = append(make([]string, 0, len(r.Header)+2), "host")
	if r.ContentLength > 0 {
		names = append(names, "content-length")
	}
	for key := range r.Header {
		name := strings.ToLower(key)
		if !strings.HasPrefix(name, "x-amz-") && (slices.Contains(unsignedHeaders, key) ||
			slices.ContainsFunc(s.UnsignedHeaders, func(other string) bool { return strings.EqualFold(name, other) })) {
			continue
		}
		if name != "content-length" || r.ContentLength <= 0 {
			names = append(names, name)
		}
	}
	if len(names) > maxSigned {
		return nil, nil, invalid(countersign.ReasonHeaderMalformed, "there are too many headers to sign")
	}
	slices.Sort(names)
	values, err = signedValues(r, names, nil, &authorization{presigned: true})
	return names, values, err
}

// stripDefaultPort: clients do not send it, so it must not be signed.
func stripDefaultPort(r *http.Request) {
	host, port, err := net.SplitHostPort(hostOf(r))
	if err != nil || r.URL.Scheme != "https" && r.URL.Scheme != "http" ||
		(r.URL.Scheme == "https") != (port == "443") || (r.URL.Scheme == "http") != (port == "80") {
		return
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	r.Host = host
}
