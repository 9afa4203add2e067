package countersign

import (
	"errors"
	"time"
)

// Error is the one error type. The layer that knows what a failure means creates
// it; layers above add context with fmt.Errorf("verb phrase: %w", err).
type Error struct {
	// Code is the class; never empty.
	Code Code
	// Msg is safe to show to the caller: no secret, no token, nothing about
	// objects that the caller may not see. Empty means the code's own word.
	Msg string
	// Reason is the stable id for the audit log and explain; "" where none fits.
	// It may say more than Msg: it goes to the caller only with expose_reasons.
	Reason Reason
	// Err is the cause, for the log only.
	Err error
	// RetryAfter tells a throttled caller when to come back; 0 = not said.
	RetryAfter time.Duration
}

// NewError returns an *Error with a message for the caller.
func NewError(code Code, reason Reason, msg string) *Error {
	return &Error{Code: code, Reason: reason, Msg: msg}
}

// WrapError returns an *Error with a message for the caller and a cause for the log.
func WrapError(code Code, reason Reason, msg string, cause error) *Error {
	return &Error{Code: code, Reason: reason, Msg: msg, Err: cause}
}

// Error implements error. The text is for logs: it includes the cause.
func (e *Error) Error() string {
	text := e.Msg
	if text == "" {
		text = string(e.Code)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap makes errors.Is and errors.As see both the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// CodeOf returns the code of the outermost *Error or Code in err's chain,
// [Internal] when there is none, and "" for a nil error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return Internal
}

// ReasonOf returns the reason of the outermost *Error in err's chain that has
// one, else the code's own word as a reason; "" for a nil error.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	for rest := err; rest != nil; {
		var e *Error
		if !errors.As(rest, &e) {
			break
		}
		if e.Reason != "" {
			return e.Reason
		}
		rest = e.Err
	}
	return Reason(CodeOf(err))
}

// MessageOf returns what the caller may be told about err: the outermost *Error's
// message, or the code's own word. The cause is never in it.
func MessageOf(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return string(CodeOf(err))
}
