package admin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// UserChange is what is changed about a user; nil = that stays.
type UserChange struct {
	Disabled *bool
	// Username, Email and DisplayName are those of the local directory, where that is kept.
	Username, Email, DisplayName *string
}

func (in UserChange) check(localDirectory bool) error {
	if !localDirectory && (in.Username != nil || in.Email != nil || in.DisplayName != nil) {
		return invalid(countersign.ReasonFieldUnknown, "username, email and display_name are kept upstream: only the local directory has them here")
	}
	for _, text := range []*string{in.Username, in.Email} {
		if text != nil && *text != "" && (!nameable(*text) || len(*text) > maxProfile || strings.ContainsRune(*text, ' ')) {
			return invalid(countersign.ReasonParameterInvalid, "username and email have at most 254 printable bytes and no space")
		}
	}
	if in.Email != nil && *in.Email != "" && strings.Count(*in.Email, "@") != 1 {
		return invalid(countersign.ReasonParameterInvalid, "email is an address with one @")
	}
	if in.DisplayName != nil && !resource.ValidDisplayName(*in.DisplayName) {
		return invalid(countersign.ReasonParameterInvalid, "display_name has at most 256 bytes, all printable")
	}
	return nil
}

// apply changes u and names the fields that are others now.
func (in UserChange) apply(u *store.User) (changed []string) {
	if in.Disabled != nil && *in.Disabled != u.Disabled {
		u.Disabled = *in.Disabled
		changed = append(changed, "disabled")
	}
	if in.Email != nil {
		lower := strings.ToLower(*in.Email)
		in.Email = &lower
	}
	for _, field := range []struct {
		name  string
		value *string
		of    *string
	}{{"username", in.Username, &u.Username}, {"email", in.Email, &u.Email}, {"display_name", in.DisplayName, &u.DisplayName}} {
		if field.value != nil && *field.value != *field.of {
			*field.of = *field.value
			changed = append(changed, field.name)
		}
	}
	return changed
}

// nameable reports whether a text can be a part of a user's name, which a revocation must be
// able to tell.
func nameable(text string) bool {
	return text != "" && len(text) <= trust.MaxSubject && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
