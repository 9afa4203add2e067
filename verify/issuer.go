package verify

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// issuer is an Issuer that was checked, with its defaults filled in.
type issuer struct {
	Issuer
	keys KeySource
	// follower of the issuer's feed, nil if that is not followed.
	follower *follower
	// anyAudience is Config.InsecureAnyAudience.
	anyAudience bool
}

// newIssuer checks one Issuer; keys are set by the caller.
func newIssuer(cfg Issuer, all Config) (*issuer, error) {
	// Copies: what the caller does with its Config later changes nothing here.
	cfg.Audiences, cfg.Algorithms = slices.Clone(cfg.Audiences), slices.Clone(cfg.Algorithms)
	cfg.Services, cfg.Tenants = slices.Clone(cfg.Services), slices.Clone(cfg.Tenants)
	cfg.Scopes, cfg.Roles = slices.Clone(cfg.Scopes), maps.Clone(cfg.Roles)
	i := &issuer{Issuer: cfg, anyAudience: all.InsecureAnyAudience}
	if cfg.URL == "" {
		return nil, invalid("an issuer needs a URL")
	}
	if err := i.checkKind(); err != nil {
		return nil, err
	}
	if i.Algorithms == nil {
		i.Algorithms = []string{RS256, ES256}
		if i.Profile == Countersign {
			i.Algorithms = []string{ES256, RS256, EdDSA}
		}
	}
	for _, algorithm := range i.Algorithms {
		if algorithm != ES256 && algorithm != RS256 && algorithm != EdDSA {
			return nil, invalid(fmt.Sprintf("issuer %s: algorithm %q can't be allowed", cfg.URL, algorithm))
		}
	}
	if i.Audiences == nil && all.Audience != "" {
		i.Audiences = []string{all.Audience}
	}
	if len(i.Audiences) == 0 && !all.InsecureAnyAudience || slices.Contains(i.Audiences, "") {
		return nil, invalid(fmt.Sprintf("issuer %s: an audience is needed", cfg.URL))
	}
	for _, name := range i.Services {
		if checkIdentity(name) != nil || strings.Contains(name, "/") {
			return nil, invalid(fmt.Sprintf("issuer %s: %q is no bare service name", cfg.URL, name))
		}
	}
	if slices.Contains(i.Tenants, "") || slices.Contains(i.Scopes, "") {
		return nil, invalid(fmt.Sprintf("issuer %s: an empty tenant or scope", cfg.URL))
	}
	if err := i.checkFeed(); err != nil {
		return nil, err
	}
	return i, i.checkURLs()
}

// checkKind settles profile, subject and claim names.
func (i *issuer) checkKind() error {
	if i.Profile == "" {
		i.Profile = OIDC
		if i.Subject == subjectDefault {
			i.Profile = Countersign
		}
	}
	if i.Subject < subjectDefault || i.Subject > User || i.Subject == subjectDefault && i.Profile != Countersign {
		return invalid(fmt.Sprintf("issuer %s: subject must be Service or User", i.URL))
	}
	names := ClaimNames{}
	switch i.Profile {
	case Countersign:
		if i.Claims != names || i.Services != nil || i.Tenants != nil || i.Roles != nil || i.Scopes != nil {
			return invalid(fmt.Sprintf("issuer %s: a countersign issuer has no mapping", i.URL))
		}
	case OIDC:
		names = ClaimNames{Service: "sub", Roles: "roles", Tenant: "tenant"}
	case Cognito:
		names = ClaimNames{Service: "custom:service_id", Roles: "cognito:groups", Tenant: "custom:tenant_id"}
	default:
		return invalid(fmt.Sprintf("issuer %s: unknown profile %q", i.URL, i.Profile))
	}
	if use := i.TokenUse; i.Profile == Cognito && use != "id" && use != "access" || i.Profile != Cognito && use != "" {
		return invalid(fmt.Sprintf("issuer %s: token use must be id or access for cognito, and empty otherwise", i.URL))
	}
	i.Claims.Service = orElse(i.Claims.Service, names.Service)
	i.Claims.Roles = orElse(i.Claims.Roles, names.Roles)
	i.Claims.Tenant = orElse(i.Claims.Tenant, names.Tenant)
	return nil
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// checkURLs refuses now what egress would refuse at the first token.
func (i *issuer) checkURLs() error {
	if i.Keys != nil {
		return nil
	}
	if i.JWKSURL == "" {
		u, err := url.Parse(i.URL)
		if err != nil || egress.CheckURL(i.URL) != nil || u.RawQuery != "" || u.ForceQuery {
			return invalid(fmt.Sprintf("issuer %q: its keys can't be discovered there; https is needed, or http on a loopback", i.URL))
		}
		return nil
	}
	if egress.CheckURL(i.JWKSURL) != nil {
		return invalid(fmt.Sprintf("issuer %s: keys can't be fetched from its JWKS URL", i.URL))
	}
	// Only an issuer that is written as a loopback may dial itself (RULES C2).
	if isLoopbackURL(i.JWKSURL) && !isLoopbackURL(i.URL) && !i.AllowPrivateAddresses {
		return invalid(fmt.Sprintf("issuer %s: a JWKS URL on a loopback needs AllowPrivateAddresses", i.URL))
	}
	return nil
}

// checkFeed checks where the feed and its keys are said to be.
func (i *issuer) checkFeed() error {
	if i.RevocationsURL == "" && i.RevocationsJWKSURL == "" {
		return nil
	}
	switch {
	case i.Profile != Countersign:
		return invalid(fmt.Sprintf("issuer %s: only a countersign issuer has a revocation feed", i.URL))
	case i.IgnoreRevocations:
		return invalid(fmt.Sprintf("issuer %s: a revocation feed that is ignored has no URL", i.URL))
	case egress.CheckURL(i.RevocationsURL) != nil || egress.CheckURL(i.RevocationsJWKSURL) != nil:
		return invalid(fmt.Sprintf("issuer %s: the revocation feed needs a URL and a JWKS URL; https, or http on a loopback", i.URL))
	case i.RevocationsJWKSURL == i.JWKSURL:
		return invalid(fmt.Sprintf("issuer %s: the keys of tokens can't sign revocations", i.URL))
	case (isLoopbackURL(i.RevocationsURL) || isLoopbackURL(i.RevocationsJWKSURL)) && !isLoopbackURL(i.URL) && !i.AllowPrivateAddresses:
		return invalid(fmt.Sprintf("issuer %s: a revocation feed on a loopback needs AllowPrivateAddresses", i.URL))
	}
	return nil
}

func isLoopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && egress.IsLoopbackHost(u.Hostname())
}

// indexIssuers groups issuers by URL and refuses those that can't be told apart.
func indexIssuers(list []*issuer) (map[string][]*issuer, error) {
	byURL := make(map[string][]*issuer)
	for _, i := range list {
		for _, other := range byURL[i.URL] {
			if len(i.Audiences) == 0 || len(other.Audiences) == 0 || slices.ContainsFunc(i.Audiences, func(a string) bool {
				return slices.Contains(other.Audiences, a)
			}) {
				return nil, invalid(fmt.Sprintf("issuer %s is there twice with overlapping audiences", i.URL))
			}
		}
		byURL[i.URL] = append(byURL[i.URL], i)
	}
	return byURL, nil
}

// choose finds the issuer that a token names, and among several with one URL the one
// that lists its audience. Nothing is believed yet: the signature must be that
// issuer's, and its audience is compared once more.
func (v *Verifier) choose(c *claims) (*issuer, error) {
	r := reader{claims: c}
	name := r.identity("iss", true)
	if r.err != nil {
		return nil, r.err
	}
	candidates := v.issuers[name]
	switch len(candidates) {
	case 0:
		return nil, refuse(countersign.ReasonIssuerUnknown, "the issuer is not configured")
	case 1:
		return candidates[0], nil
	}
	var chosen *issuer
	for _, i := range candidates {
		r := reader{claims: c}
		if _, matched := i.audience(&r); matched == "" || r.err != nil {
			continue
		}
		if chosen != nil {
			return nil, refuse(countersign.ReasonAudMismatch, "the audiences are of two configured issuers")
		}
		chosen = i
	}
	if chosen == nil {
		return nil, refuse(countersign.ReasonAudMismatch, "none of the issuer's audiences is accepted")
	}
	return chosen, nil
}

// audience returns a token's audiences and the first of them that is accepted, "" if
// none is. Cognito's access tokens say it in client_id.
//
// Source: RFC 7519 §4.1.3.
func (i *issuer) audience(r *reader) (all []string, matched string) {
	if i.Profile == Cognito && i.TokenUse == "access" {
		if id := r.identity("client_id", true); id != "" {
			all = []string{id}
		}
	} else {
		if _, ok := r.claims.find("aud"); !ok {
			r.fail(countersign.ReasonClaimMissing, "aud", errors.New("missing"))
			return nil, ""
		}
		all = r.list("aud")
	}
	for _, a := range all {
		if a == "" {
			r.fail(countersign.ReasonClaimInvalid, "aud", errors.New("empty"))
		}
		if matched == "" && slices.Contains(i.Audiences, a) {
			matched = a
		}
	}
	return all, matched
}

// checkHeader applies the issuer's allow-list and the profile's types.
//
// Source: RFC 8725 §3.1, §3.11, RFC 9068 §4.
func (i *issuer) checkHeader(h *header) error {
	if h.forbidden != "" {
		return refuse(countersign.ReasonHeaderNotAllowed, "header parameter "+h.forbidden)
	}
	if !slices.Contains(i.Algorithms, h.algorithm) {
		return refuse(countersign.ReasonAlgNotAllowed, "the algorithm is not allowed for this issuer")
	}
	if !i.typeFits(h) {
		return refuse(countersign.ReasonTypMismatch, "the type is not the profile's")
	}
	return nil
}

func (i *issuer) typeFits(h *header) bool {
	typ := h.typ
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):] // RFC 7515 §4.1.9
	}
	accessToken, plain := strings.EqualFold(typ, "at+jwt"), !h.hasTyp || strings.EqualFold(typ, "JWT")
	switch i.Profile {
	case Countersign:
		return accessToken
	case OIDC:
		return accessToken || plain
	case Cognito:
		return plain
	}
	return false
}
