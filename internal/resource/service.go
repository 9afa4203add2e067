package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/policy"
)

// The bounds of what a service may be given.
const (
	maxGranted      = 64
	minLifetime     = time.Minute
	maxLifetime     = time.Hour
	maxTokensMinute = 1_000_000_000
)

func readService(f *fields) *Service {
	scopes, audiences := f.texts("scopes", maxGranted), f.texts("audiences", maxGranted)
	s := &Service{
		Scopes: sorted(scopes), Audiences: sorted(audiences),
		TokenLifetime: f.duration("token_lifetime", minLifetime, maxLifetime),
		JWKSURI:       f.text("jwks_uri"),
	}
	length := 0
	f.each("scopes", scopes, func(scope string) string {
		length += len(scope) + 1
		if !policy.ValidScope(scope) {
			return "a scope is printable ASCII without spaces, quotes and backslashes"
		}
		return ""
	})
	if length > policy.MaxScopeBytes+1 { // more could never be asked for in one request
		f.wrong("scopes", "the scopes are too long together")
	}
	f.each("audiences", audiences, func(audience string) string {
		if _, err := policy.ParseAudience(audience); err != nil {
			return "an audience is the name of a service or an absolute URI without a fragment"
		}
		return ""
	})
	s.JWKS = readJWKS(f.inner("jwks"))
	if s.JWKSURI != "" {
		if problem, _ := checkURL(s.JWKSURI, false); problem != "" {
			f.wrong("jwks_uri", problem)
		}
		if f.has("jwks") {
			f.wrong("jwks_uri", "is given beside jwks: use one of them")
		}
	}
	if quota := f.inner("quota"); quota != nil {
		s.Quota.TokensPerMinute = quota.number("tokens_per_minute", 0, maxTokensMinute)
		quota.done()
	}
	s.Trust = readTrust(f, false)
	s.SharedWith = f.sharedWith()
	f.later("exchange")
	return s
}

// HostFields returns the paths of the fields that make the server reach for addresses
// that not everybody may name (RULES A8).
func (s *Service) HostFields() []string {
	if _, host := checkURL(s.JWKSURI, true); host && s.JWKSURI != "" {
		return []string{"jwks_uri"}
	}
	return nil
}

// sorted never tells nil and empty apart: both are nothing.
func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortFunc(list, strings.Compare)
	return list
}
