package policy

import (
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// MaxAudienceBytes is the longest audience that is a URI.
const MaxAudienceBytes = 512

// AudienceIAM is the audience of Countersign's own API. It is granted by a super-admin
// only.
const AudienceIAM = "iam-service"

// ParseAudience returns s if it can be an audience: the name of a service, or an
// absolute URI without a fragment and without user information. Audiences are compared
// byte by byte; nothing is normalised.
//
// Errors: countersign.BadTarget with ReasonParameterInvalid.
// Source: RFC 8707 §2.
func ParseAudience(s string) (string, error) {
	if countersign.ValidName(s) || isResource(s) {
		return s, nil
	}
	return "", countersign.NewError(countersign.BadTarget, countersign.ReasonParameterInvalid,
		"an audience is the name of a service or an absolute URI without a fragment")
}

// ChooseAudience returns the one audience of a token (RULES B1). requested holds every
// audience and resource parameter of the request; the same value twice counts once.
// Without any, the token gets the service's single allowed audience.
//
// Errors: countersign.BadTarget: ReasonAudienceMissing (none requested and no single
// default), ReasonParameterInvalid (malformed, or more than one), and
// ReasonAudienceNotGranted.
// Source: RFC 8707 §2.2.
func ChooseAudience(requested, allowed []string) (string, error) {
	if len(requested) == 0 {
		if len(allowed) == 1 {
			return allowed[0], nil
		}
		return "", countersign.NewError(countersign.BadTarget, countersign.ReasonAudienceMissing,
			"an audience is required")
	}
	audience, err := ParseAudience(requested[0])
	if err != nil {
		return "", err
	}
	for _, other := range requested[1:] {
		if other != audience {
			return "", countersign.NewError(countersign.BadTarget, countersign.ReasonParameterInvalid,
				"a token has exactly one audience")
		}
	}
	if !slices.Contains(allowed, audience) {
		return "", AudienceNotGranted()
	}
	return audience, nil
}

// AudienceNotGranted is the refusal of an audience that a client may not have, whyever.
func AudienceNotGranted() error {
	return countersign.NewError(countersign.BadTarget, countersign.ReasonAudienceNotGranted,
		"the requested audience is not granted to this client")
}

// SuperAdminAudience reports whether only a super-admin may grant the audience: that
// of our own endpoints, and every other reserved name (RULES A7).
func SuperAdminAudience(audience string) bool { return Reserved(audience) }

func isResource(s string) bool {
	if s == "" || len(s) > MaxAudienceBytes || strings.ContainsRune(s, '#') {
		return false
	}
	for i := range len(s) {
		if !isNQChar(s[i]) {
			return false
		}
	}
	u, err := url.Parse(s)
	if err != nil || !u.IsAbs() || u.User != nil {
		return false
	}
	// Either scheme://host… or scheme:rest, such as a URN; "scheme:" and "scheme:/path"
	// name nobody.
	return u.Host != "" || u.Opaque != ""
}
