package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/countersign/countersign"
)

// panicError is a recovered panic. Only the runtime's own panics are quoted: any other
// value was made from data, and data may hold a secret. The stack names the place.
type panicError struct {
	text  string
	stack []byte
}

func (e *panicError) Error() string { return e.text }

// newPanicError must be called by the deferred function that recovered v.
func newPanicError(v any) error {
	text := fmt.Sprintf("panic with a value of type %T", v)
	var fault runtime.Error
	if err, ok := v.(error); ok && errors.As(err, &fault) {
		text = "panic: " + fault.Error()
	}
	return countersign.WrapError(countersign.Internal, countersign.ReasonInternal, "",
		&panicError{text: text, stack: debug.Stack()})
}

// isAbort reports whether v is net/http's own way to cut a connection.
func isAbort(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}
