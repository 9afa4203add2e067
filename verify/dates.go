package verify

import (
	"errors"
	"time"

	"github.com/countersign/countersign"
)

// skew is how far the clock of an issuer may be off, in seconds (RULES C3).
const skew = 60

// dates are the NumericDates of a token in Unix seconds. Missing nbf and iat are 0,
// which is long ago.
type dates struct{ expiresAt, notBefore, issuedAt int64 }

// readDates reads exp, nbf and iat. exp is required, iat where the profile says so.
func readDates(r *reader, requireIssuedAt bool) dates {
	var d dates
	var ok bool
	if d.expiresAt, ok = r.date("exp"); !ok {
		r.fail(countersign.ReasonClaimMissing, "exp", errors.New("missing"))
	}
	if d.issuedAt, ok = r.date("iat"); !ok && requireIssuedAt {
		r.fail(countersign.ReasonClaimMissing, "iat", errors.New("missing"))
	}
	d.notBefore, _ = r.date("nbf")
	return d
}

// check holds the dates against the clock, at first sight and at every hit of the
// cache.
//
// Source: RFC 7519 §4.1.4, §4.1.5, §4.1.6.
func (d dates) check(now time.Time) error {
	seconds := now.Unix()
	switch {
	case seconds >= d.expiresAt+skew:
		return countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, msgExpired)
	case seconds < d.notBefore-skew:
		return refuse(countersign.ReasonTokenNotYetValid, "nbf is in the future")
	case seconds < d.issuedAt-skew:
		return refuse(countersign.ReasonTokenNotYetValid, "iat is in the future")
	}
	return nil
}

func timeOf(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
