package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
)

// minAuthorization is the length of the shortest value of the Authorization header: 26
// characters of base 32 have 130 bits (RULES G7).
const minAuthorization = 26

// rolePath is what the path of a role begins with.
const rolePath = "/role/"

// Role is one role that an endpoint serves.
type Role struct {
	// Name is the last part of its path; ARN is told with its credentials.
	Name, ARN string
	// Credentials must not block while it has valid ones: those of package awscreds don't.
	Credentials aws.CredentialsProvider
}

// EndpointConfig of an [Endpoint]; all of it is required but Logger.
type EndpointConfig struct {
	// Address is the listener's: a loopback address with its port.
	Address net.Addr
	// Authorization is the value of that header; at least 128 bits of it are random.
	Authorization countersign.Secret
	Roles         []Role
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Endpoint serves the credentials of roles as the AWS SDKs ask for them. Safe for
// concurrent use.
type Endpoint struct {
	host          string
	authorization countersign.Secret
	roles         map[string]Role
	logger        *slog.Logger
}

// NewEndpoint checks the configuration and returns the handler.
//
// Errors: countersign.Invalid.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	at, err := netip.ParseAddrPort(cfg.Address.String())
	switch {
	case err != nil || !at.Addr().IsLoopback() || at.Addr().Is4In6():
		return nil, invalid("credentials are served on a loopback address only, and " + cfg.Address.String() + " is none")
	case len(cfg.Authorization.Reveal()) < minAuthorization || !printable(cfg.Authorization.Reveal()):
		return nil, invalid("the value of the Authorization header is too short or can't stand in one")
	}
	e := &Endpoint{host: at.String(), authorization: cfg.Authorization, roles: make(map[string]Role, len(cfg.Roles)), logger: cfg.Logger}
	if e.logger == nil {
		e.logger = slog.New(slog.DiscardHandler)
	}
	for _, role := range cfg.Roles {
		if role.Name == "" || role.Credentials == nil || strings.ContainsAny(role.Name, "/?#%") || !printable(role.Name) {
			return nil, invalid(fmt.Sprintf("%q can't be part of a path", role.Name))
		}
		if _, twice := e.roles[role.Name]; twice {
			return nil, invalid("two roles are called " + role.Name)
		}
		e.roles[role.Name] = role
	}
	return e, nil
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}

// printable reports whether text is printable ASCII without spaces.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// URL is where the credentials of a role are: the value of
// AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (e *Endpoint) URL(role string) string { return "http://" + e.host + rolePath + role }

// answer is what the AWS SDKs read.
//
// Source: AWS SDKs and Tools reference, "Container credential provider".
type answer struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      string
	RoleARN         string `json:"RoleArn"`
}

// refusal is what they show their user when there is none.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ServeHTTP answers GET /role/NAME.
//
// Source: RULES G7; AWS SDKs and Tools reference, "Container credential provider".
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	role, err := e.admit(r)
	if err != nil {
		e.refuse(w, r, "", err)
		return
	}
	credentials, err := role.Credentials.Retrieve(r.Context())
	if err != nil {
		e.refuse(w, r, role.Name, err)
		return
	}
	writeJSON(w, http.StatusOK, answer{
		AccessKeyID: credentials.AccessKeyID, SecretAccessKey: credentials.SecretAccessKey, Token: credentials.SessionToken,
		Expiration: credentials.Expires.UTC().Format(time.RFC3339), RoleARN: role.ARN,
	})
}

// admit decides whether the request is one of a program of this machine that was told
// how to ask. What is asked for is looked at last, so that nobody else learns of roles.
func (e *Endpoint) admit(r *http.Request) (Role, error) {
	sent := r.Header["Authorization"]
	switch {
	case r.Host != e.host:
		return Role{}, countersign.NewError(countersign.Denied, countersign.ReasonHostNotServed, "the Host is not this endpoint's")
	case strange(r.Header):
		return Role{}, countersign.NewError(countersign.Denied, countersign.ReasonHeaderNotAllowed, "a browser or a proxy has no business here")
	case r.Method != http.MethodGet:
		return Role{}, countersign.NewError(countersign.Unsupported, countersign.ReasonMethod, "GET only")
	case len(sent) != 1 || !e.authorization.Equal(countersign.NewSecret(sent[0])):
		return Role{}, countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing,
			"the Authorization header is missing or wrong: set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
	}
	name, ok := strings.CutPrefix(r.URL.Path, rolePath)
	role, known := e.roles[name]
	if !ok || !known || r.URL.RawQuery != "" || r.URL.RawPath != "" {
		return Role{}, countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such role here")
	}
	return role, nil
}

// strange reports whether a header is there that only a browser or a proxy sends.
func strange(headers http.Header) bool {
	for name := range headers {
		if name == "Origin" || name == "Referer" || name == "Forwarded" || name == "Via" || name == "Cookie" || name == "Upgrade" ||
			strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip" {
			return true
		}
	}
	return false
}

// statuses is the table from codes to the endpoint's statuses; all others are 500. The
// SDKs try 5xx and 429 again and give up otherwise.
var statuses = map[countersign.Code]int{
	countersign.Unauthenticated: http.StatusUnauthorized,
	countersign.Denied:          http.StatusForbidden,
	countersign.BadToken:        http.StatusForbidden,
	countersign.BadClient:       http.StatusForbidden,
	countersign.Expired:         http.StatusForbidden,
	countersign.Invalid:         http.StatusBadRequest,
	countersign.Unsupported:     http.StatusMethodNotAllowed,
	countersign.NotFound:        http.StatusNotFound,
	countersign.Throttled:       http.StatusTooManyRequests,
	countersign.Unavailable:     http.StatusServiceUnavailable,
	countersign.Upstream:        http.StatusServiceUnavailable,
}

// refuse writes the refusal and logs it. The messages of package awscreds hold no secret
// and are for this machine's user; causes stay in the log.
func (e *Endpoint) refuse(w http.ResponseWriter, r *http.Request, role string, err error) {
	code := countersign.CodeOf(err)
	status, ok := statuses[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	e.logger.LogAttrs(r.Context(), slog.LevelWarn, "credentials were not given out",
		slog.String("role", role), slog.String("reason", string(countersign.ReasonOf(err))), slog.Any("error", err))
	var detail *countersign.Error
	if errors.As(err, &detail) && detail.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((detail.RetryAfter+time.Second-1)/time.Second)))
	}
	if code == countersign.Unsupported {
		w.Header().Set("Allow", http.MethodGet)
	}
	writeJSON(w, status, refusal{Code: string(code), Message: countersign.MessageOf(err)})
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(document) // the client has gone
}
