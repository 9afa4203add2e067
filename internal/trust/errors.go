package trust

import (
	"errors"

	"github.com/countersign/countersign"
)

// What a caller is told: all refusals of a class share one text.
const (
	msgToken = "the token is not valid"
)

func refuse(reason countersign.Reason, cause string) error {
	return countersign.WrapError(countersign.BadToken, reason, msgToken, errors.New(cause))
}
