package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// maxJSONDepth is how deep objects and arrays may nest.
const maxJSONDepth = 32

// ReadJSON reads an application/json body of at most maxBytes, one object, into v.
// Refused: unknown fields, a name that comes twice in one object (names that differ in
// case only count as the same), more than 32 levels, and anything after the object.
//
// Errors: [countersign.Invalid] with reason media_type, body_invalid, field_unknown,
// parameter_duplicated or parameter_invalid; [countersign.TooLarge] with reason
// body_too_large; a *countersign.Error of v's own unmarshalling stays what it is.
func ReadJSON(r *http.Request, maxBytes int64, v any) error {
	if err := checkMediaType(r, "application/json"); err != nil {
		return err
	}
	body, err := readBody(r, maxBytes)
	if err != nil {
		return err
	}
	return parseJSON(body, v)
}

func parseJSON(body []byte, v any) error {
	if !utf8.Valid(body) {
		return badBody("the body is not UTF-8 text", nil)
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return jsonError(err)
	}
	return nil
}

// jsonError names the field and never the value.
func jsonError(err error) error {
	var ours *countersign.Error
	if errors.As(err, &ours) {
		return fmt.Errorf("read body: %w", err)
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
			quotable(wrongType.Field, "a field")+" has the wrong type")
	}
	// encoding/json has no error type for it.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, unquoteErr := strconv.Unquote(quoted)
		if unquoteErr != nil {
			name = " " // not quotable
		}
		return countersign.NewError(countersign.Invalid, countersign.ReasonFieldUnknown, "unknown field "+quotable(name, ""))
	}
	return badBody("the body is not valid JSON for this request", nil)
}

// checkJSON looks for what encoding/json lets pass: names that come twice, nesting,
// a second document.
func checkJSON(body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	notJSON := func() error { return badBody("the body is not a JSON object", nil) }
	var open []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return notJSON()
		}
		delim, isDelim := token.(json.Delim)
		if len(open) == 0 && delim != '{' {
			return notJSON()
		}
		if isDelim && (delim == '}' || delim == ']') {
			if open = open[:len(open)-1]; len(open) == 0 {
				break
			}
			continue
		}
		if len(open) > 0 {
			if err := open[len(open)-1].next(token); err != nil {
				return err
			}
		}
		if isDelim {
			if len(open) == maxJSONDepth {
				return badBody("the body is nested too deeply", nil)
			}
			open = append(open, newLevel(delim))
		}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badBody("there is more after the JSON object", nil)
	}
	return nil
}

// level is an object or array that is being read; names is nil for an array.
type level struct {
	names   map[string]bool
	inValue bool
}

func newLevel(delim json.Delim) level {
	if delim == '{' {
		return level{names: make(map[string]bool)}
	}
	return level{}
}

// next takes the next token of this level: in an object every other one is a name.
func (l *level) next(token json.Token) error {
	if l.names == nil {
		return nil
	}
	if l.inValue {
		l.inValue = false
		return nil
	}
	name, ok := token.(string)
	if !ok {
		return badBody("the body is not a JSON object", nil)
	}
	folded := strings.ToLower(strings.ToUpper(name)) // encoding/json matches without case
	if l.names[folded] {
		return countersign.NewError(countersign.Invalid, countersign.ReasonParameterDuplicated,
			quotable(name, "a field")+" is given more than once")
	}
	l.names[folded] = true
	l.inValue = true
	return nil
}

// WriteJSON writes v as a JSON document with the given status. It is not to be stored
// by caches unless Cache-Control was set before. HTML characters are not escaped.
//
// Errors: v can't be encoded (then nothing was written), or the client is gone.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	header := w.Header()
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(body.Bytes()); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
