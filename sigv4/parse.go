package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

const (
	// MaxSkew is how far X-Amz-Date may be from the time of the server.
	MaxSkew = 15 * time.Minute
	// MaxExpires is how long a presigned URL may live.
	MaxExpires = 7 * 24 * time.Hour
)

const maxPathBytes = 16 << 10

// unsupported is what AWS answers to the older signatures: clients look for it.
const unsupported = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."

// ParseOptions change what [Parse] takes. The zero value is the strict one.
type ParseOptions struct {
	// Path is the form of the canonical path; the zero value is PathAuto.
	Path PathForm
	// AllowRepeatedKeys takes keys of the query that come twice or in two cases, for a
	// service whose parameters do. Those that authenticate come once in any case.
	AllowRepeatedKeys bool
}

// Request is what a request says of itself. Nothing of it is to be believed before
// [Request.Verify] succeeds. It holds copies: to change the request that it was parsed
// from changes nothing. Its fields are for reading. Safe for concurrent use.
type Request struct {
	// AccessKeyID names the secret that the client claims to have.
	AccessKeyID string
	// Scope is what the signature is good for.
	Scope Scope
	// SignedHeaders are the names of the signed headers, in lower case and sorted.
	SignedHeaders []string
	// Time is X-Amz-Date, to the second.
	Time time.Time
	// Presigned: the query authenticates.
	Presigned bool
	// Expires is how long after Time a presigned request is good, 1 s to 7 days; else 0. It
	// is 15 minutes when the request does not say, which is allowed outside of S3.
	Expires time.Duration
	// SessionToken is X-Amz-Security-Token; zero when there is none.
	SessionToken countersign.Secret
	// PayloadHash is x-amz-content-sha256 as it was sent: 64 hex digits or one of the
	// constants; "" when there is none.
	PayloadHash string

	// signed is behind a pointer for the sake of printing: it has the token in it.
	signed *signedParts
}

// signedParts is what was signed, but for the hash of the payload.
type signedParts struct {
	signature [sha256.Size]byte
	date      string // X-Amz-Date as sent
	canonical []byte // up to the hash of the payload
	pathStart int
	pathEnd   int
	otherPath string // that the client may have signed instead; "" when there is none
}

// String shows who claims to have signed what for; never a secret.
func (q *Request) String() string {
	if q == nil {
		return "unsigned"
	}
	return q.AccessKeyID + "/" + q.Scope.String()
}

// GoString implements fmt.GoStringer.
func (q *Request) GoString() string { return q.String() }

// Format implements fmt.Formatter for every verb.
func (q *Request) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, q.String()) }

// LogValue implements slog.LogValuer.
func (q *Request) LogValue() slog.Value { return slog.StringValue(q.String()) }

// authorization is what both forms say, before it is understood.
type authorization struct {
	presigned                            bool
	credential, signedHeaders, signature string
	date, expires                        string
}

// fail is what is wrong with an authorization, in the words of its form.
func (a *authorization) fail(reason countersign.Reason, msg string) error {
	if a.presigned {
		return invalid(reason, msg)
	}
	return countersign.NewError(countersign.BadHeader, reason, msg)
}

// Parse reads the signature of r in either form. It looks at the method, the URL, the host
// and the headers: at most 16 KiB of path and query each, 128 parameters, 128 signed
// headers of 64 KiB together. It never reads the body and does not change r.
//
// A request that does not try to authenticate is Unauthenticated; one that tries and fails,
// even by an empty header, is one of the others. A signature of version 2 or 4A is Invalid,
// with AWS's own text as the message.
//
// Errors: [countersign.Unauthenticated], [countersign.BadHeader], [countersign.Invalid].
// Source: AWS IAM User Guide, "Create a signed AWS API request"; RULES F2, F3.
func Parse(r *http.Request, o ParseOptions) (*Request, error) {
	if r == nil || r.URL == nil || r.URL.Opaque != "" {
		return nil, invalid(countersign.ReasonParameterInvalid, "the request has no path")
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	a, err := readAuthorization(r, query)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(query, o.AllowRepeatedKeys); err != nil {
		return nil, err
	}
	q := &Request{Presigned: a.presigned, signed: new(signedParts)}
	if err := q.understand(&a); err != nil {
		return nil, err
	}
	if err := q.readSaid(r, query, &a); err != nil {
		return nil, err
	}
	if err := q.build(r, query, &a, o); err != nil {
		return nil, err
	}
	return q, nil
}

// readAuthorization finds the one way in which a request authenticates.
func readAuthorization(r *http.Request, query []parameter) (authorization, error) {
	switch tries := attempts(r, query); {
	case tries.header && tries.query:
		return authorization{}, invalid(countersign.ReasonClientAuthDoubled, "the request authenticates both by a header and by the query")
	case tries.header:
		return parseHeader(r)
	case tries.query && (!tries.old || !tries.tokenOnly): // a link of version 2 has a session's token too
		return parsePresigned(query)
	case tries.old:
		return authorization{}, invalid(countersign.ReasonAlgNotAllowed, unsupported)
	case tries.token:
		return authorization{}, invalid(countersign.ReasonParameterMissing, "the request has a session token and no signature")
	default:
		return authorization{}, countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing, "the request is not signed")
	}
}

// understand takes an authorization apart.
func (q *Request) understand(a *authorization) error {
	var ok bool
	if q.AccessKeyID, q.Scope, ok = parseCredential(a.credential); !ok {
		return a.fail(countersign.ReasonParameterInvalid, "the credential is not ID/DATE/REGION/SERVICE/aws4_request")
	}
	if q.Time, ok = parseTime(a.date); !ok {
		return a.fail(countersign.ReasonParameterInvalid, "X-Amz-Date is missing or malformed")
	}
	if q.Scope.Date != a.date[:len(dateFormat)] {
		return a.fail(countersign.ReasonParameterInvalid, "the date of the credential is not that of X-Amz-Date")
	}
	if !isLowerHex(a.signature, sha256.Size*2) {
		return a.fail(countersign.ReasonParameterInvalid, "the signature is malformed")
	}
	if _, err := hex.Decode(q.signed.signature[:], []byte(a.signature)); err != nil {
		return a.fail(countersign.ReasonParameterInvalid, "the signature is malformed")
	}
	if a.presigned {
		if q.Expires, ok = parseExpires(a.expires, q.Scope.Service); !ok {
			return a.fail(countersign.ReasonParameterInvalid, "X-Amz-Expires is not from 1 to 604800 seconds")
		}
	}
	q.signed.date = a.date
	names, ok := parseSignedHeaders(a.signedHeaders)
	if !ok {
		return a.fail(countersign.ReasonParameterInvalid, "the signed headers are not a sorted list of names with host in it")
	}
	q.SignedHeaders = names
	return nil
}

// parseExpires reads X-Amz-Expires: digits, in one spelling.
func parseExpires(text, service string) (time.Duration, bool) {
	if text == "" {
		return MaxSkew, PathAuto.resolve(service) != PathObject
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	return time.Duration(seconds) * time.Second, err == nil && text[0] != '0' && seconds <= uint64(MaxExpires/time.Second)
}

// readSaid reads what a header says in one form and the query in the other.
func (q *Request) readSaid(r *http.Request, query []parameter, a *authorization) error {
	token, err := single(r, queryToken)
	if err != nil {
		return err
	}
	content, err := single(r, queryContent)
	if err != nil {
		return err
	}
	if queried, found := value(query, queryContent); found {
		if content != "" {
			return invalid(countersign.ReasonParameterDuplicated, "the hash of the body is in a header and in the query")
		}
		content = queried
	}
	if content != "" && kindOfPayload(content) == payloadUnknown {
		return invalid(countersign.ReasonParameterInvalid, "x-amz-content-sha256 is neither a hash nor a form that is supported")
	}
	if a.presigned {
		if _, found := r.Header[queryDate]; found || token != "" {
			return invalid(countersign.ReasonParameterDuplicated, "a presigned request has its date and token in the query alone")
		}
		var found bool
		if token, found = value(query, queryToken); found && token == "" {
			return invalid(countersign.ReasonParameterInvalid, "the session token is empty")
		}
	}
	if len(token) > maxTokenBytes {
		return invalid(countersign.ReasonTokenTooLarge, "the session token is too long")
	}
	q.SessionToken, q.PayloadHash = countersign.NewSecret(token), content
	return nil
}

// single returns a header that may come once and then says something.
func single(r *http.Request, name string) (string, error) {
	values, found := r.Header[name]
	switch {
	case !found:
		return "", nil
	case len(values) != 1:
		return "", invalid(countersign.ReasonHeaderDuplicated, "the header "+name+" comes twice")
	case strings.Trim(values[0], " \t") == "":
		return "", invalid(countersign.ReasonHeaderMalformed, "the header "+name+" is empty")
	}
	return strings.Trim(values[0], " \t"), nil
}
