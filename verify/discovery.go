package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/egress"
)

// discoveryAge is how long a discovered JWKS URL holds.
const discoveryAge = time.Hour

// errDocument marks an answer of the issuer that can't be used.
var errDocument = errors.New("not a usable document")

// discovery finds and fetches an issuer's key set. One fetch at a time: remoteKeys
// sees to it.
type discovery struct {
	client  *http.Client
	issuer  string
	jwksURL string // "" = not discovered yet
	pinned  bool   // jwksURL is configured
	until   time.Time
	now     func() time.Time
}

// fetch returns the issuer's keys and for how long they are fresh.
func (d *discovery) fetch(ctx context.Context) (*keySet, time.Duration, error) {
	if !d.pinned && (d.jwksURL == "" || !d.now().Before(d.until)) {
		found, err := d.discover(ctx)
		if err != nil {
			return nil, 0, err
		}
		d.jwksURL, d.until = found, d.now().Add(discoveryAge)
	}
	body, header, err := egress.Get(ctx, d.client, d.jwksURL, "application/jwk-set+json, application/json")
	if err != nil {
		d.until = time.Time{} // it may have moved
		return nil, 0, err
	}
	keys, err := parseKeySet(body)
	if err != nil {
		d.until = time.Time{}
		return nil, 0, fmt.Errorf("%w: key set: %w", errDocument, err)
	}
	return keys, maxAgeOf(header), nil
}

// discover returns the JWKS URL of the issuer's metadata. It must be of the issuer's
// own origin; another one has to be configured (RULES C2).
//
// Source: OpenID Connect Discovery 1.0 §4.
func (d *discovery) discover(ctx context.Context) (string, error) {
	body, _, err := egress.Get(ctx, d.client, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration", "application/json")
	if err != nil {
		return "", err
	}
	text := string(body)
	members, err := parseObject(text, false, nil)
	if err != nil {
		return "", fmt.Errorf("%w: discovery: %w", errDocument, err)
	}
	r := reader{claims: &claims{text: text, members: members}}
	issuer, jwksURL := r.optional("issuer"), r.optional("jwks_uri")
	switch {
	case r.err != nil:
		return "", fmt.Errorf("%w: discovery: %w", errDocument, r.err)
	case issuer != d.issuer:
		return "", fmt.Errorf("%w: discovery: the issuer there is another one", errDocument)
	case egress.CheckURL(jwksURL) != nil || !sameOrigin(jwksURL, d.issuer):
		return "", fmt.Errorf("%w: discovery: jwks_uri is not of the issuer's origin", errDocument)
	}
	return jwksURL, nil
}

// sameOrigin compares scheme, host and port.
//
// Source: RFC 6454 §5.
func sameOrigin(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && ua.Scheme == ub.Scheme &&
		strings.EqualFold(ua.Hostname(), ub.Hostname()) && portOf(ua) == portOf(ub)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// maxAgeOf returns how long an answer is fresh, within [minMaxAge, maxMaxAge].
//
// Source: RFC 9111 §5.2.2.
func maxAgeOf(header http.Header) time.Duration {
	age := defaultMaxAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return minMaxAge
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	return min(max(age, minMaxAge), maxMaxAge)
}
