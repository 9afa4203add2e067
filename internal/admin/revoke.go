package admin

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/trust"
)

// foreignLifetime is how long a revocation of a foreign issuer's tokens is kept: longer
// than any provider lets an access or id token live, which we can't look up.
const foreignLifetime = 90 * 24 * time.Hour

// maxSelectorBytes bounds an issuer, a subject and a key id.
const maxSelectorBytes = trust.MaxSubject

// RevokeSelector says whose tokens and sessions end. Exactly one of these is set: Issuer,
// Issuer with Subject (a user is always both: RULES A1), KID, All, Role, Session. What ends
// tokens ends the sessions that they proved, too.
type RevokeSelector struct {
	// Issuer is a URL, as in iss; with Subject, one user of it. Of an AWS identity the
	// issuer is its account and the subject its ARN, as trust.Identity has them.
	Issuer, Subject string
	// KID: all that a key signed or sealed.
	KID string
	// All: every token and session of ours.
	All bool
	// Role: the sessions of a role.
	Role string
	// Session: one, by its access key id, or a long-lived access key; Before means nothing
	// beside it.
	Session string
	// Before: what was issued until then ends; zero = until now. Not later than now.
	Before time.Time
}

// Revoke ends the tokens and sessions of a user, of an issuer, under a key, or all of ours;
// or the sessions of a role, or one.
//
// Errors: countersign.Invalid, NotFound (no such role), Denied, Unavailable (it holds in this
// process all the same and is stored as soon as that is possible).
func (a *Admin) Revoke(ctx context.Context, actor Actor, s RevokeSelector) error {
	c := &change{actor: actor, action: "revoke", several: true, exact: !s.Before.IsZero()}
	if err := mayChange(actor); err != nil && (s.Role == "" || !actor.Anywhere(policy.RevocationsWrite)) {
		return a.refused(ctx, c, err)
	}
	now := a.clock()
	if err := s.check(now); err != nil {
		return a.refused(ctx, c, err)
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		// The time is taken here: what was issued while others held the transaction ends too.
		r := a.revocation(s, a.clock())
		if s.Role != "" {
			role, err := tx.Object(ctx, resource.KindRole, s.Role)
			if errors.Is(err, countersign.NotFound) {
				return unknownRole(err)
			}
			if err != nil {
				return err
			}
			if !actor.May(policy.RevocationsWrite, role.Tenant) {
				return unknownRole(nil)
			}
			r.RoleUID = role.UID
		}
		if keys.ValidAccessKeyID(s.Session) {
			key, err := tx.AccessKeyByID(ctx, s.Session)
			if errors.Is(err, countersign.NotFound) {
				return unknownAccessKey(err)
			}
			if err != nil {
				return err
			}
			r.ExpiresAt = key.ExpiresAt.Add(RevocationSlack)
		}
		e := a.event(c, audit.Changed, countersign.ReasonOK)
		e.UserIssuer, e.User, e.Role, e.Session = s.Issuer, s.Subject, s.Role, s.Session
		e.Detail = s.describe(r.Before)
		c.events = []audit.Event{e}
		return a.putRevocation(ctx, tx, c, r)
	})
}

// revocation is what a selector asks for at a time, without a role's uid.
func (a *Admin) revocation(s RevokeSelector, now time.Time) store.Revocation {
	r := store.Revocation{
		Issuer: s.Issuer, Subject: s.Subject, KID: s.KID, All: s.All, Role: s.Role, Session: s.Session,
		Before: s.Before.UTC().Truncate(time.Microsecond), CreatedAt: now,
	}
	if s.Before.IsZero() {
		r.Before = a.untilNow()
	}
	switch {
	case r.Session != "":
		// When it was minted is not known here, and it is not asked: its id is drawn once.
		r.Before, r.ExpiresAt = time.Time{}, now.Add(keepRevocation)
		if keys.ValidAccessKeyID(r.Session) {
			r.ExpiresAt = now.Add(MaxAccessKeyLifetime + RevocationSlack)
		}
	case r.Issuer != "" && r.Issuer != a.issuer:
		r.ExpiresAt = r.Before.Add(foreignLifetime)
	case r.Role != "":
		r.ExpiresAt = r.Before.Add(keepRevocation)
	default:
		r.ExpiresAt = r.Before.Add(keepProofs)
	}
	return r
}

func (s RevokeSelector) check(now time.Time) error {
	set := 0
	for _, given := range []bool{s.Issuer != "", s.KID != "", s.All, s.Role != "", s.Session != ""} {
		if given {
			set++
		}
	}
	switch {
	case s.Subject != "" && s.Issuer == "":
		return invalid(countersign.ReasonParameterMissing, "a user is named by issuer and subject")
	case set != 1:
		return invalid(countersign.ReasonParameterInvalid, "say exactly one of: a user, an issuer, a key, a role, a session, all")
	case s.Before.After(now):
		return beforeLater()
	case s.Session != "" && !session.ValidAccessKeyID(s.Session) && !keys.ValidAccessKeyID(s.Session):
		return invalid(countersign.ReasonAccessKeyMalformed, "this is no access key id: ASIA (a session) or AKIA (a long-lived key) and 16 more characters")
	case s.Session != "" && !s.Before.IsZero():
		return invalid(countersign.ReasonParameterInvalid, "before does not stand beside a session")
	case s.Role != "" && !countersign.ValidName(s.Role):
		return unknownRole(nil)
	case countersign.ValidName(s.Issuer):
		// No iss is one: it would end nothing, and who asked would believe that it did.
		return invalid(countersign.ReasonParameterInvalid, "an issuer is named by its URL, as in iss, and not by the name of its document")
	}
	for _, text := range []string{s.Issuer, s.Subject, s.KID} {
		if len(text) > maxSelectorBytes || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return invalid(countersign.ReasonParameterInvalid, "an issuer, a subject and a key id have at most 512 printable bytes")
		}
	}
	return nil
}

func (s RevokeSelector) describe(before time.Time) string {
	what := "issuer"
	switch {
	case s.Session != "":
		return "session"
	case s.Role != "":
		what = "role"
	case s.All:
		what = "all"
	case s.KID != "":
		what = "kid=" + s.KID
	case s.Subject != "":
		what = "user"
	}
	return what + " before=" + before.Format(time.RFC3339)
}

func beforeLater() error {
	return invalid(countersign.ReasonParameterInvalid, "before is later than now")
}

func unknownRole(cause error) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such role", cause)
}
