package trust

import (
	"errors"

	"github.com/countersign/countersign"
)

// What a caller is told: all refusals of a class share one text.
const (
	msgToken    = "the token is not valid"
	msgProof    = "the signed request is not exactly a GetCallerIdentity for this server"
	msgServerID = "X-Countersign-Server-ID must be this server's id, and signed"
	msgReplayed = "the signed request was used before"
	msgSkewed   = "the signed request is not from now"
	msgExpired  = "the signed request is expired"
	msgReply    = "the AWS STS did not give an answer that can be believed"
	msgBusy     = "too many callers are being proven now"
)

func refuse(reason countersign.Reason, cause string) error {
	return refuseBecause(reason, msgToken, cause)
}

func refuseProof(cause string) error {
	return refuseBecause(countersign.ReasonProofInvalid, msgProof, cause)
}

func refuseBecause(reason countersign.Reason, msg, cause string) error {
	return countersign.WrapError(countersign.BadToken, reason, msg, errors.New(cause))
}
