package registry

import (
	"time"

	"github.com/countersign/countersign/internal/store"
)

// cutoff ends the tokens that were issued until a time.
type cutoff struct {
	until time.Time // the last iat that is covered, slack included
	all   bool      // every iat
	ends  time.Time // when it can go; zero = never
}

func newCutoff(rev store.Revocation) cutoff {
	c := cutoff{until: rev.Before.Add(BeforeSlack), all: rev.Before.IsZero()}
	if !rev.ExpiresAt.IsZero() {
		c.ends = rev.ExpiresAt.Add(keepEnded)
	}
	return c
}

// covers: a token that does not say when it was issued is as old as can be.
func (c cutoff) covers(issuedAt time.Time) bool { return c.all || !issuedAt.After(c.until) }

func (c cutoff) ended(now time.Time) bool { return !c.ends.IsZero() && now.After(c.ends) }

// within reports whether other covers all that c does, for at least as long.
func (c cutoff) within(other cutoff) bool {
	reaches := other.all || !c.all && !c.until.After(other.until)
	lasts := other.ends.IsZero() || !c.ends.IsZero() && !c.ends.After(other.ends)
	return reaches && lasts
}

// never is later than any token.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// first is the first whole second that is not covered.
func (c cutoff) first() time.Time {
	last := c.until
	if c.all {
		last = c.ends
	}
	if last.IsZero() {
		return never
	}
	return last.Truncate(time.Second).Add(time.Second)
}
