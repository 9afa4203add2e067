package sqlstore

import (
	"database/sql"
	"errors"

	"github.com/countersign/countersign"
)

// fail gives an error of the database its meaning. what is a verb phrase for the
// log; it holds no values. Whatever is not a missing row or a constraint is an
// outage: nobody above can do better than refuse and try again. The cause stays in
// the chain, so errors.Is sees context.Canceled too.
func (d dialect) fail(what string, err error) error {
	switch {
	case err == nil || errors.Is(err, errEnded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return notFound(what)
	}
	switch d.classify(err) {
	case faultUnique:
		return countersign.WrapError(countersign.Conflict, "", "it exists already, or it changed meanwhile", err)
	case faultReference:
		return notFound(what)
	default:
		return unavailable(what, err)
	}
}

func notFound(what string) error {
	return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such object",
		errors.New(what))
}

func conflict(what string) error {
	return countersign.WrapError(countersign.Conflict, "", "it exists already, or it changed meanwhile",
		errors.New(what))
}

func invalid(what string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, what)
}
