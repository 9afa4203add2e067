package trust

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// identityOf is what the tokens of all issuers have in common.
func identityOf(t *verify.Token) (Identity, error) {
	claims, err := decodeClaims(t.Claims)
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		Issuer: t.Issuer, Subject: t.Subject, Audience: t.Audience, ClientID: t.ClientID, Claims: claims,
		IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt,
	}, nil
}

// decodeClaims makes values of verified claims. The token was at most 16 KiB, was scanned
// as strict JSON, no name comes twice in it and it is at most 16 deep: so the values are
// bounded, and there is one way to read them.
func decodeClaims(raw map[string]verify.RawClaim) (map[string]any, error) {
	claims := make(map[string]any, len(raw))
	for name, text := range raw {
		if plain, ok := plainText(text); ok {
			claims[name] = plain
			continue
		}
		if number, ok := plainNumber(text); ok {
			claims[name] = number
			continue
		}
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, countersign.WrapError(countersign.BadToken, countersign.ReasonClaimInvalid, msgToken, err)
		}
		claims[name] = value
	}
	return claims, nil
}

// plainText returns a text of printable ASCII without escapes, which most claims are, as
// json.Unmarshal would.
func plainText(text []byte) (string, bool) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	text = text[1 : len(text)-1]
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return "", false
		}
	}
	return string(text), true
}

// plainNumber returns a whole number that a float64 holds, as dates are, as json.Unmarshal
// would.
func plainNumber(text []byte) (float64, bool) {
	if len(text) == 0 || len(text) > 15 || text[0] == '0' {
		return 0, false
	}
	number := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + int64(c-'0')
	}
	return float64(number), true
}

// foreignIdentity reads a token of a foreign issuer.
func foreignIdentity(i *Issuer, t *verify.Token) (Identity, error) {
	id, err := identityOf(t)
	if err != nil {
		return Identity{}, err
	}
	id.Kind, id.IssuerName, id.IssuerUID = KindOIDC, i.Name, i.UID
	id.IssuerTenant, id.IssuerSharedWith = i.Tenant, i.SharedWith
	id.User = i.Subject == SubjectUser
	id.Tenant = t.Principal.Tenant
	id.Roles, id.Scopes = t.Principal.User.Roles, t.Principal.Scopes
	if i.Subject == SubjectService {
		id.Service = t.Principal.Service.Name
		id.ClaimedService = unescapeName.Replace(strings.TrimPrefix(id.Service, t.Issuer+"/"))
	}
	if !revocable(id.Issuer) || !revocable(id.Subject) {
		return Identity{}, refuse(countersign.ReasonClaimInvalid, "the issuer or the subject is too long, or not printable")
	}
	id.Dropped = i.dropped(&id)
	return id, nil
}

// MaxSubject is the longest issuer and the longest subject of an identity, in bytes. A
// revocation can name them up to this length, with printable characters: who could not be
// revoked is not let in.
const MaxSubject = 512

func revocable(text string) bool {
	return text != "" && len(text) <= MaxSubject && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// unescapeName takes back what package verify escapes in a foreign service's name.
var unescapeName = strings.NewReplacer("%2F", "/", "%25", "%")

// dropped names what the token asserts and the issuer may not (RULES A4).
func (i *Issuer) dropped(id *Identity) []string {
	names := i.Claims
	if i.Profile == string(verify.Cognito) {
		names.Roles, names.Tenant = orElse(names.Roles, "cognito:groups"), orElse(names.Tenant, "custom:tenant_id")
	} else {
		names.Roles, names.Tenant = orElse(names.Roles, "roles"), orElse(names.Tenant, "tenant")
	}
	var dropped []string
	if said, ok := id.Claims[names.Tenant]; ok && said != "" && said != id.Tenant {
		dropped = append(dropped, "tenant")
	}
	if i.Subject == SubjectUser {
		for _, role := range wordsOf(id.Claims[names.Roles], false) {
			if i.MayAssert.Roles[role] == "" {
				dropped = append(dropped, "roles")
				break
			}
		}
	}
	scopes := id.Claims[orElse(names.Scopes, "scope")]
	if scopes == nil && names.Scopes == "" {
		scopes = id.Claims["scp"]
	}
	if slices.ContainsFunc(wordsOf(scopes, true), func(s string) bool { return !slices.Contains(i.MayAssert.Scopes, s) }) {
		dropped = append(dropped, "scopes")
	}
	return dropped
}

// wordsOf returns the texts of a list, or of one text.
func wordsOf(value any, split bool) []string {
	switch v := value.(type) {
	case string:
		if split {
			return strings.Fields(v)
		}
		return []string{v}
	case []any:
		words := make([]string, 0, len(v))
		for _, item := range v {
			if text, ok := item.(string); ok {
				words = append(words, text)
			}
		}
		return words
	}
	return nil
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
