package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// complete fills in what an event must have and brings its time into the form that
// is stored.
func complete(e *Event, now time.Time) {
	e.Time = e.Time.UTC()
	if e.Time.Unix() <= 0 || e.Time.Year() > 9999 {
		e.Time = now.UTC()
	}
	e.Time = e.Time.Truncate(time.Microsecond)
	if e.ID == "" {
		e.ID = countersign.NewRequestID(e.Time)
	}
}

// appendEvent appends e as one line of JSON. It is written by hand because it stands
// on the path of every token: encoding/json takes several times as long. Decoding by
// encoding/json gives the same event back (fuzzed), with long strings cut.
func appendEvent(dst []byte, e *Event) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, e.ID)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","action":`...)
	dst = appendString(dst, e.Action)
	dst = append(dst, `,"decision":`...)
	dst = appendString(dst, string(e.Decision))
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, e.Reason)
	dst = appendField(dst, `,"service":`, e.Service)
	dst = appendField(dst, `,"service_uid":`, e.ServiceUID)
	dst = appendField(dst, `,"user_issuer":`, e.UserIssuer)
	dst = appendField(dst, `,"user":`, e.User)
	dst = appendField(dst, `,"actor":`, e.Actor)
	dst = appendField(dst, `,"target":`, e.Target)
	dst = appendField(dst, `,"scope":`, e.Scope)
	dst = appendField(dst, `,"role":`, e.Role)
	dst = appendField(dst, `,"session":`, e.Session)
	dst = appendField(dst, `,"token_id":`, e.TokenID)
	dst = appendField(dst, `,"proof":`, e.Proof)
	dst = appendField(dst, `,"client_addr":`, e.ClientAddr)
	dst = appendField(dst, `,"trace_id":`, e.TraceID)
	dst = appendField(dst, `,"method":`, e.Method)
	dst = appendField(dst, `,"route":`, e.Route)
	dst = appendField(dst, `,"rule":`, e.Rule)
	dst = appendField(dst, `,"reported_by":`, e.ReportedBy)
	if e.Count != 0 {
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendInt(dst, e.Count, 10)
	}
	dst = appendField(dst, `,"detail":`, e.Detail)
	return append(dst, '}', '\n')
}

func appendField(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, key...), value)
}

const hexDigits = "0123456789abcdef"

// appendString appends s, cut to MaxField bytes, as a JSON string. Line ends of every
// kind are escaped: a value can't begin a new line in a log viewer.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start, i := 0, 0 // s[start:i] is read and not yet written
	for room := MaxField; i < len(s) && room > 0; {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			width := utf8.RuneLen(r) // of U+FFFD, where the bytes are not UTF-8
			if width > room {
				break
			}
			room -= width
			if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' || r == '\u0085' {
				dst = append(dst, s[start:i]...)
				dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
				start = i + size
			}
			i += size
			continue
		}
		room--
		if c < ' ' || c == '"' || c == '\\' || c == 0x7f {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			start = i + 1
		}
		i++
	}
	dst = append(dst, s[start:i]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	if c == '"' || c == '\\' {
		return append(dst, '\\', c)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// bounded returns s as it will be stored, and never keeps a larger string alive.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxField {
		return s
	}
	end := MaxField
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end])
}

// decodeEvent parses one line.
func decodeEvent(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("decode audit event: %w", err)
	}
	return e, nil
}

// cutLine returns the first line of text without its end, and the rest.
func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte{'\n'})
	return line, rest
}
