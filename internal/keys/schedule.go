package keys

import (
	"cmp"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/store"
)

const (
	defaultRotation = 30 * 24 * time.Hour
	// leastLead is the default too: twice the 5 minutes that the JWKS may be cached for
	// (RULES B6).
	leastLead = 10 * time.Minute
	// How long keys stay published after their last signature, beside those of tokens,
	// which stay as long as a token lives: a page of the revocation feed is good for
	// minutes, a policy is kept by its receiver through restarts.
	keepRevocation = 24 * time.Hour
	keepPolicy     = 30 * 24 * time.Hour
	keepSealing    = MaxSessionDuration + verifierSkew
)

// MaxSessionDuration is the longest that a session may live (DESIGN §6): so long a key opens
// sessions after it has sealed its last one.
const MaxSessionDuration = 12 * time.Hour

// schedule is when the keys of one purpose are made, used and dropped (RULES B6). One key
// is in use, and its successor has been made a whole period ahead.
type schedule struct {
	purpose      Purpose
	algorithm    string
	period, lead time.Duration
	tokens       time.Duration // the longest life of a token
	// converts tells that keys of another algorithm end now. Only who starts does that:
	// while replicas of two configurations run, they would end each other's keys.
	converts bool
	// waits tells that no first key is made: nobody has asked for one.
	waits bool
}

func (r *Ring) schedule(p Purpose, opening bool) schedule {
	s := schedule{
		purpose: p, algorithm: EdDSA, period: r.cfg.RotationPeriod, lead: r.cfg.PublishLead,
		tokens: r.cfg.TokenLifetime, converts: opening,
	}
	switch p {
	case Token:
		s.algorithm = r.cfg.Algorithm
	case Sealing, Cursor:
		s.algorithm = HKDFA256GCM
	case Broker:
		s.algorithm, s.waits = RS256, !r.brokering.Load()
	}
	return s
}

// rests are the purposes that a start leaves to the maintenance that follows it: an RSA key
// takes longer than the start itself may.
func rests(p Purpose, opening bool) bool { return p == Broker && opening }

// keep returns when a key that signs until then leaves the key set; zero = never.
func (s schedule) keep(until time.Time) time.Time {
	switch s.purpose {
	case Audit:
		return time.Time{}
	case Revocation:
		return until.Add(keepRevocation)
	case Policy:
		return until.Add(keepPolicy)
	case Sealing:
		return until.Add(keepSealing)
	default:
		return until.Add(s.tokens + verifierSkew)
	}
}

// fresh is a key that is published now.
func (s schedule) fresh(now, from, until time.Time) *store.SigningKey {
	return &store.SigningKey{
		Purpose: string(s.purpose), Algorithm: s.algorithm,
		CreatedAt: now, PublishAt: now, UseFrom: from, UseUntil: until, KeepUntil: s.keep(until),
	}
}

// next returns one step towards what the schedule asks for: a key to be made (without
// KID), or one with another end; nil when nothing is to be done.
func (s schedule) next(rows []store.SigningKey, now time.Time) *store.SigningKey {
	live := make([]store.SigningKey, 0, len(rows))
	for _, row := range rows {
		switch {
		case ended(row, now):
		case s.converts && row.Algorithm != s.algorithm:
			return s.end(row, now)
		default:
			live = append(live, row)
		}
	}
	slices.SortFunc(live, func(a, b store.SigningKey) int {
		return cmp.Or(a.UseFrom.Compare(b.UseFrom), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.KID, b.KID))
	})
	switch {
	case len(live) == 0 && s.waits:
		return nil
	case len(live) == 0:
		return s.fresh(now, now, now.Add(s.period))
	case live[0].UseFrom.After(now): // nobody signs until then
		return s.fresh(now, now, live[0].UseFrom)
	}
	for i, row := range live[1:] {
		if before := live[i]; before.UseUntil.IsZero() || before.UseUntil.Before(row.UseFrom) {
			return s.until(before, row.UseFrom)
		}
	}
	last := live[len(live)-1]
	switch {
	case last.UseUntil.IsZero(): // made before there was a schedule
		return s.until(last, later(last.UseFrom.Add(s.period), now.Add(s.lead)))
	case last.UseFrom.After(now):
		return nil // the successor is there
	case last.UseUntil.Before(now.Add(s.lead)): // its successor comes late
		return s.until(last, now.Add(s.lead))
	}
	return s.fresh(now, last.UseUntil, last.UseUntil.Add(s.period))
}

// ended reports whether a key signs neither now nor later.
func ended(row store.SigningKey, now time.Time) bool {
	return !row.UseUntil.IsZero() && (!row.UseUntil.After(now) || !row.UseUntil.After(row.UseFrom))
}

// end takes a key out of use now. One that never signed is not published any longer.
func (s schedule) end(row store.SigningKey, now time.Time) *store.SigningKey {
	unused := row.UseFrom.After(now)
	row.UseUntil, row.KeepUntil = now, s.keep(now)
	if unused && s.purpose != Audit {
		row.KeepUntil = now
	}
	return &row
}

// until gives a key another end.
func (s schedule) until(row store.SigningKey, until time.Time) *store.SigningKey {
	row.UseUntil, row.KeepUntil = until, s.keep(until)
	return &row
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
