package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// maxParams is how many parameters a form may have.
const maxParams = 100

// Param is one parameter of a form.
type Param struct{ Name, Value string }

// Form holds the parameters of a request body in their order. The zero Form is empty.
type Form struct{ params []Param }

// Value returns the first value of name; "" when there is none.
func (f Form) Value(name string) string {
	for i := range f.params {
		if f.params[i].Name == name {
			return f.params[i].Value
		}
	}
	return ""
}

// Has reports whether name was given, if only with an empty value.
func (f Form) Has(name string) bool {
	return slices.ContainsFunc(f.params, func(p Param) bool { return p.Name == name })
}

// Values returns every value of name in order; nil when there is none.
func (f Form) Values(name string) []string {
	var values []string
	for _, p := range f.params {
		if p.Name == name {
			values = append(values, p.Value)
		}
	}
	return values
}

// Params returns all parameters in order. Do not change them.
func (f Form) Params() []Param { return f.params }

// ReadForm reads an application/x-www-form-urlencoded body of at most maxBytes. The
// query string is never looked at. A parameter that comes twice is refused unless it
// is one of repeatable. Refused too: more than 100 parameters, a parameter without a
// name, an unescaped ";" (some parsers split there), broken percent-encoding, NUL,
// and what is not UTF-8.
//
// Errors: [countersign.Invalid] with reason media_type, body_invalid or
// parameter_duplicated; [countersign.TooLarge] with reason body_too_large.
// Source: RFC 6749 §3.2 and appendix B.
func ReadForm(r *http.Request, maxBytes int64, repeatable ...string) (Form, error) {
	if err := checkMediaType(r, "application/x-www-form-urlencoded"); err != nil {
		return Form{}, err
	}
	body, err := readBody(r, maxBytes)
	if err != nil {
		return Form{}, err
	}
	return parseForm(string(body), repeatable)
}

// ParseQuery reads a query string by the rules of [ReadForm]. Its length is for the caller
// to bound.
//
// Errors: [countersign.Invalid] with reason body_invalid or parameter_duplicated.
func ParseQuery(raw string) (Form, error) { return parseForm(raw, nil) }

func parseForm(body string, repeatable []string) (Form, error) {
	if body == "" {
		return Form{}, nil
	}
	count := strings.Count(body, "&") + 1
	if count > maxParams {
		return Form{}, badBody("more than 100 parameters", nil)
	}
	form := Form{params: make([]Param, 0, count)}
	for rest, more := body, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, errName := unescape(name)
		value, errValue := unescape(value)
		if err := errors.Join(errName, errValue); err != nil {
			return Form{}, err
		}
		if name == "" {
			return Form{}, badBody("a parameter has no name", nil)
		}
		if form.Has(name) && !slices.Contains(repeatable, name) {
			return Form{}, countersign.NewError(countersign.Invalid, countersign.ReasonParameterDuplicated,
				quotable(name, "a parameter")+" is given more than once")
		}
		form.params = append(form.params, Param{Name: name, Value: value})
	}
	return form, nil
}

// unescape decodes one name or value. Most have nothing to decode and stay as they are.
func unescape(text string) (string, error) {
	if strings.IndexByte(text, ';') >= 0 {
		return "", badBody("an unescaped semicolon", nil)
	}
	if strings.IndexByte(text, '%') >= 0 || strings.IndexByte(text, '+') >= 0 {
		decoded, err := url.QueryUnescape(text)
		if err != nil {
			return "", badBody("broken percent-encoding", nil) // the cause quotes the value
		}
		text = decoded
	}
	if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return "", badBody("a parameter is not UTF-8 text", nil)
	}
	return text, nil
}

// checkMediaType accepts exactly one Content-Type, of the wanted type, in UTF-8.
func checkMediaType(r *http.Request, want string) error {
	if len(r.Header["Content-Encoding"]) > 0 {
		return countersign.NewError(countersign.Invalid, countersign.ReasonMediaType, "Content-Encoding is not supported")
	}
	values := r.Header["Content-Type"]
	if len(values) == 1 && (values[0] == want || isMediaType(values[0], want)) {
		return nil
	}
	return countersign.NewError(countersign.Invalid, countersign.ReasonMediaType, "Content-Type must be "+want)
}

func isMediaType(value, want string) bool {
	got, params, err := mime.ParseMediaType(value)
	if err != nil || got != want {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// readBody reads the whole body. One that is too large is refused and never kept.
func readBody(r *http.Request, maxBytes int64) ([]byte, error) {
	if r.ContentLength > maxBytes {
		drain(r)
		return nil, tooLarge(maxBytes)
	}
	if r.ContentLength >= 0 {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, badBody("the body ended early", err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBytes+1))
	if cut := (*http.MaxBytesError)(nil); errors.As(err, &cut) { // of every route: see Config
		return nil, tooLarge(cut.Limit)
	}
	if err != nil {
		return nil, badBody("the body ended early", err)
	}
	if int64(len(body)) > maxBytes {
		return nil, tooLarge(maxBytes)
	}
	return body, nil
}

// maxDrained is what net/http reads of a refused body by itself, unless the client
// asked for the connection to be closed.
const maxDrained = 256 << 10

// drain takes in a body of a known length that is refused, where that is cheap: a client that sends
// all of it before it reads would else meet a broken connection and not the answer. One
// that asked first is told no instead.
func drain(r *http.Request) {
	if r.ContentLength <= maxDrained && r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
	}
}

func tooLarge(maxBytes int64) error {
	return countersign.NewError(countersign.TooLarge, countersign.ReasonBodyTooLarge,
		fmt.Sprintf("the body is larger than %d bytes", maxBytes))
}

func badBody(msg string, cause error) error {
	return countersign.WrapError(countersign.Invalid, countersign.ReasonBodyInvalid, msg, cause)
}

// maxQuoted is the length of the longest name that an error repeats, in bytes. Secrets
// are longer, and mix upper and lower case.
const maxQuoted = 32

// quotable returns name if it has the form of our own names, lower case with "_", else
// instead: a name is the caller's text and may be anything, also a secret that was sent
// in the wrong place. A "." stands between the names of nested fields.
func quotable(name, instead string) string {
	if len(name) > maxQuoted {
		return instead
	}
	for i := range len(name) {
		c := name[i]
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return instead
		}
	}
	return name
}
