package cognitoseed

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
)

// awsCodes is what AWS's words mean. What is not here is AWS's failure, not ours.
var awsCodes = map[string]countersign.Code{
	"ResourceNotFoundException":      countersign.NotFound,
	"UserNotFoundException":          countersign.NotFound,
	"ParameterNotFound":              countersign.NotFound,
	"ParameterAlreadyExists":         countersign.Conflict,
	"UsernameExistsException":        countersign.Conflict,
	"NotAuthorizedException":         countersign.Denied,
	"AccessDenied":                   countersign.Denied,
	"AccessDeniedException":          countersign.Denied,
	"UnrecognizedClientException":    countersign.Denied,
	"InvalidSignatureException":      countersign.Denied,
	"ExpiredTokenException":          countersign.Denied,
	"LimitExceededException":         countersign.Throttled,
	"TooManyRequestsException":       countersign.Throttled,
	"ThrottlingException":            countersign.Throttled,
	"InvalidParameterException":      countersign.Invalid,
	"InvalidPasswordException":       countersign.Invalid,
	"ValidationException":            countersign.Invalid,
	"InvalidKeyId":                   countersign.Invalid,
	"UserNotConfirmedException":      countersign.Conflict,
	"PasswordResetRequiredException": countersign.Conflict,
}

// failed says what was being done when AWS refused. An error of ours passes.
func failed(doing string, err error) error {
	var ours *countersign.Error
	if errors.As(err, &ours) || errors.Is(err, context.Canceled) {
		return err
	}
	code := countersign.Upstream
	word := "AWS could not be asked"
	var api smithy.APIError
	if errors.As(err, &api) {
		word = "AWS answered " + api.ErrorCode()
		if known, ok := awsCodes[api.ErrorCode()]; ok {
			code = known
		}
	}
	return countersign.WrapError(code, "", fmt.Sprintf("%s: %s", doing, word), err)
}

// isCode reports whether AWS answered with that error.
func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
