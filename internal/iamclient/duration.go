package iamclient

import (
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// Duration is a time.Duration that reads and writes itself as text: "15m", "24h",
// "7d". The zero value is "0s".
type Duration time.Duration

// maxDays bounds the days of a duration, so that adding them can't overflow.
const maxDays = 36_500

// ParseDuration reads a Go duration, which may start with whole days ("7d", "1d12h").
// A number without a unit and a negative duration are refused.
//
// Errors: countersign.Invalid.
func ParseDuration(text string) (Duration, error) {
	refuse := func() (Duration, error) {
		return 0, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
			"a duration is written like 15m, 24h or 7d, with its unit")
	}
	if text == "" || len(text) > 32 {
		return refuse()
	}
	var days int
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > maxDays {
			return refuse()
		}
		days, rest = int(n), after
		if rest == "" {
			return Duration(time.Duration(days) * 24 * time.Hour), nil
		}
	}
	// time.ParseDuration takes a bare 0 and signs.
	if last := rest[len(rest)-1]; last >= '0' && last <= '9' || strings.ContainsAny(rest, "+-") {
		return refuse()
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > maxDays*24*time.Hour {
		return refuse()
	}
	return Duration(time.Duration(days)*24*time.Hour + d), nil
}

// String writes d in its shortest form: 15m and not 15m0s.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
//
// Errors: none.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
//
// Errors: countersign.Invalid.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
