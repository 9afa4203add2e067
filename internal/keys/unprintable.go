package keys

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// unprintable makes the type that embeds it write REDACTED for every printing verb,
// log handler and encoder. Beside it, secrets are held by functions: where a field of
// another struct hides these methods from fmt, the function's address is printed (of a
// pointer, the wrong verb would print what it points to).
type unprintable struct{}

// String implements fmt.Stringer.
func (unprintable) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (unprintable) GoString() string { return redacted }

// Format implements fmt.Formatter for every verb.
func (unprintable) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redacted) }

// LogValue implements slog.LogValuer.
func (unprintable) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON, XML and YAML encoders use.
func (unprintable) MarshalText() ([]byte, error) { return []byte(redacted), nil }
