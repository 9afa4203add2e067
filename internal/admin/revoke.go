package admin

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

// foreignLifetime is how long a revocation of a foreign issuer's tokens is kept: longer
// than any provider lets an access or id token live, which we can't look up.
const foreignLifetime = 90 * 24 * time.Hour

// maxSelectorBytes bounds an issuer, a subject and a key id.
const maxSelectorBytes = 512

// RevokeSelector says whose tokens end. Exactly one of these is set: Issuer, Issuer with
// Subject (a user is always both: RULES A1), KID, All.
type RevokeSelector struct {
	// Issuer is a URL, as in iss; with Subject, one user of it.
	Issuer, Subject string
	// KID: all that a key signed.
	KID string
	// All: every token of ours.
	All bool
	// Before: tokens that were issued until then end; zero = until now. Not later than now.
	Before time.Time
}

// Revoke ends the tokens of a user, of an issuer, under a key, or all of ours.
//
// Errors: countersign.Invalid, Denied, Unavailable (it holds in this process all the
// same and is stored as soon as that is possible).
func (a *Admin) Revoke(ctx context.Context, actor Actor, s RevokeSelector) error {
	c := &change{actor: actor, action: "revoke", several: true, exact: !s.Before.IsZero()}
	if err := mayChange(actor); err != nil {
		return a.refused(ctx, c, err)
	}
	now := a.clock()
	if err := s.check(now); err != nil {
		return a.refused(ctx, c, err)
	}
	r := store.Revocation{Issuer: s.Issuer, Subject: s.Subject, KID: s.KID, All: s.All, CreatedAt: now}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		// The time is taken here: what was issued while others held the transaction ends too.
		r.Before = s.Before.UTC().Truncate(time.Microsecond)
		if s.Before.IsZero() {
			r.Before = a.clock()
		}
		r.ExpiresAt = a.revocationEnds(r)
		e := a.event(c, audit.Changed, countersign.ReasonOK)
		e.UserIssuer, e.User = s.Issuer, s.Subject
		e.Detail = s.describe(r.Before)
		c.events = []audit.Event{e}
		if !r.ExpiresAt.After(now) {
			return nil // nothing that it could hit is alive
		}
		return a.putRevocation(ctx, tx, c, r)
	})
}

// revocationEnds is when nothing that r hits is alive any more.
func (a *Admin) revocationEnds(r store.Revocation) time.Time {
	if r.Issuer != "" && r.Issuer != a.issuer {
		return r.Before.Add(foreignLifetime)
	}
	return r.Before.Add(MaxTokenLifetime + RevocationSlack)
}

func (s RevokeSelector) check(now time.Time) error {
	set := 0
	for _, given := range []bool{s.Issuer != "", s.KID != "", s.All} {
		if given {
			set++
		}
	}
	switch {
	case s.Subject != "" && s.Issuer == "":
		return invalid(countersign.ReasonParameterMissing, "a user is named by issuer and subject")
	case set != 1:
		return invalid(countersign.ReasonParameterInvalid, "say exactly one of: a user, an issuer, a key, all")
	case s.Before.After(now):
		return invalid(countersign.ReasonParameterInvalid, "before is later than now")
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
	case s.All:
		what = "all"
	case s.KID != "":
		what = "kid=" + s.KID
	case s.Subject != "":
		what = "user"
	}
	return what + " before=" + before.Format(time.RFC3339)
}
