package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/egress"
)

// discoveryAge is how long discovered URLs hold.
const discoveryAge = time.Hour

// errDocument marks an answer of the issuer that can't be used.
var errDocument = errors.New("not a usable document")

// places are where an issuer says that its documents are.
type places struct {
	jwks string
	feed feedPlace
}

// discovery finds and fetches an issuer's key sets. Safe for concurrent use.
type discovery struct {
	client *http.Client
	issuer string
	pinned string // the JWKS URL that is configured, "" = none
	now    func() time.Time

	mu    sync.Mutex
	found places
	until time.Time // found holds until then
}

// tokenKeys returns the keys that sign the issuer's tokens, and for how long they are
// fresh.
func (d *discovery) tokenKeys(ctx context.Context) (*keySet, time.Duration, error) {
	where := d.pinned
	if where == "" {
		found, err := d.locate(ctx)
		if err != nil {
			return nil, 0, err
		}
		where = found.jwks
	}
	return d.keys(ctx, where)
}

// keys fetches the key set at a URL.
func (d *discovery) keys(ctx context.Context, where string) (*keySet, time.Duration, error) {
	body, header, err := egress.Get(ctx, d.client, where, "application/jwk-set+json, application/json")
	if err != nil {
		d.forget()
		return nil, 0, err
	}
	keys, err := parseKeySet(body)
	if err != nil {
		d.forget()
		return nil, 0, fmt.Errorf("%w: key set: %w", errDocument, err)
	}
	return keys, maxAgeOf(header), nil
}

// forget has the next call of locate ask the issuer: something may have moved.
func (d *discovery) forget() {
	d.mu.Lock()
	d.until = time.Time{}
	d.mu.Unlock()
}

// locate returns what the issuer's metadata says, at most discoveryAge old. One request
// at a time serves all who ask.
func (d *discovery) locate(ctx context.Context) (places, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now().Before(d.until) {
		return d.found, nil
	}
	found, err := d.discover(ctx)
	if err != nil {
		return places{}, err
	}
	d.found, d.until = found, d.now().Add(discoveryAge)
	return found, nil
}

// discover reads the issuer's metadata. What it names must be of the issuer's own
// origin; another one has to be configured (RULES C2).
//
// Source: OpenID Connect Discovery 1.0 §4; revocations_endpoint and
// revocations_jwks_uri are our own.
func (d *discovery) discover(ctx context.Context) (places, error) {
	body, _, err := egress.Get(ctx, d.client, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration", "application/json")
	if err != nil {
		return places{}, err
	}
	text := string(body)
	members, err := parseObject(text, false, nil)
	if err != nil {
		return places{}, fmt.Errorf("%w: discovery: %w", errDocument, err)
	}
	r := reader{claims: &claims{text: text, members: members}}
	issuer, jwksURL := r.optional("issuer"), r.optional("jwks_uri")
	switch {
	case r.err != nil:
		return places{}, fmt.Errorf("%w: discovery: %w", errDocument, r.err)
	case issuer != d.issuer:
		return places{}, fmt.Errorf("%w: discovery: the issuer there is another one", errDocument)
	case !d.isOwn(jwksURL):
		return places{}, fmt.Errorf("%w: discovery: jwks_uri is not of the issuer's origin", errDocument)
	}
	return places{jwks: jwksURL, feed: d.feedPlace(&r, jwksURL)}, nil
}

func (d *discovery) isOwn(text string) bool {
	return egress.CheckURL(text) == nil && sameOrigin(text, d.issuer)
}

// feedPlace is where the issuer's metadata says that its revocations are. What is wrong
// with that does no harm to the keys, but the feed is not taken for missing.
func (d *discovery) feedPlace(r *reader, jwksURL string) feedPlace {
	if _, named := r.claims.find("revocations_endpoint"); !named {
		return feedPlace{}
	}
	place := feedPlace{named: true, url: r.optional("revocations_endpoint"), jwks: r.optional("revocations_jwks_uri")}
	switch {
	case r.err != nil:
		place.err = fmt.Errorf("%w: discovery: %w", errDocument, r.err)
	case !d.isOwn(place.url) || !d.isOwn(place.jwks):
		place.err = fmt.Errorf("%w: discovery: revocations_endpoint or revocations_jwks_uri is not of the issuer's origin", errDocument)
	case place.jwks == jwksURL:
		place.err = fmt.Errorf("%w: discovery: the keys of tokens can't sign revocations", errDocument)
	}
	return place
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
