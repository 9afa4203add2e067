package verify

import (
	"errors"

	"github.com/countersign/countersign"
)

// What a caller is told: all refusals of a class share one text; the reason and the
// cause are for the audit log.
const (
	msgRefused     = "the token is not valid"
	msgExpired     = "the token is expired"
	msgKeys        = "the issuer's keys can't be had now"
	msgRevocations = "it is not known now whether the token is revoked"
)

func refuse(reason countersign.Reason, cause string) error {
	return refuseBecause(reason, errors.New(cause))
}

func refuseBecause(reason countersign.Reason, cause error) error {
	return countersign.WrapError(countersign.BadToken, reason, msgRefused, cause)
}

func keysUnavailable(cause error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonKeysUnavailable, msgKeys, cause)
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}
