package iam

import (
	"bytes"
	"encoding/json"

	"github.com/countersign/countersign"
)

// patched is a field of a merge patch: left out, null (removed), or a value.
//
// Source: RFC 7396 §2.
type patched[T any] struct {
	value   *T
	removed bool
}

// UnmarshalJSON implements json.Unmarshaler.
//
// Errors: those of encoding/json.
func (p *patched[T]) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		p.removed = true
		return nil
	}
	p.value = new(T)
	return json.Unmarshal(text, p.value)
}

// readOnly is a field that is there and can't be set (mass assignment).
type readOnly struct{}

// UnmarshalJSON implements json.Unmarshaler.
//
// Errors: countersign.Invalid with ReasonFieldUnknown.
func (*readOnly) UnmarshalJSON([]byte) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonFieldUnknown,
		"a field that can't be set here: disabled, username, email and display_name can")
}
