package verify

import (
	"encoding/base64"
	"errors"
	"strings"
	"sync"
)

// maxTokenBytes bounds a token before anything else looks at it.
const maxTokenBytes = 16 << 10

var (
	errParts  = errors.New("not three parts separated by dots")
	errBase64 = errors.New("not canonical base64url")
)

// strictBase64 refuses padding and non-zero trailing bits. It would skip line
// breaks, so parse refuses those itself.
var strictBase64 = base64.RawURLEncoding.Strict()

// header is the protected header of a JWS, as far as we look at it.
type header struct {
	algorithm, typ, keyID string
	hasTyp                bool
	// forbidden is the first parameter that a verified token may not have.
	forbidden string
}

// document is a compact JWS that is parsed and not believed.
type document struct {
	header       header
	claims       claims
	signingInput string
	signature    []byte
}

// claims are the members of the payload. values and text hold the same bytes: text
// is for strings that are cut out of it, values for the raw claims of a Token.
type claims struct {
	text    string
	values  []byte
	members []member
}

// find returns the raw value of a claim. Names are compared byte by byte.
func (c *claims) find(name string) (raw string, ok bool) {
	for i := range c.members {
		if m := &c.members[i]; m.name == name {
			return c.text[m.start:m.end], true
		}
	}
	return "", false
}

// scratch is memory that a document needs for its own time only.
type scratch struct {
	header    [512]byte
	signature [512]byte
	members   [40]member
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newScratch() *scratch { return scratches.Get().(*scratch) }

// free gives the memory back: the document that was parsed with it is no good any more.
// The pool keeps nothing of a token.
func (m *scratch) free() {
	*m = scratch{}
	scratches.Put(m)
}

// parse reads a compact JWS into d. Nothing in it is verified.
//
// Source: RFC 7515 §5.2 steps 1-5, RFC 7519 §7.2 steps 1-10.
func (d *document) parse(token string, mem *scratch) error {
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first < 0 || last == first || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return errParts
	}
	if strings.IndexByte(token, '\n') >= 0 || strings.IndexByte(token, '\r') >= 0 {
		return errBase64
	}
	raw, err := strictBase64.AppendDecode(mem.header[:0], []byte(token[:first]))
	if err != nil {
		return errBase64
	}
	if d.header, err = parseHeader(string(raw), mem); err != nil {
		return err
	}
	if d.claims.values, err = strictBase64.AppendDecode(nil, []byte(token[first+1:last])); err != nil {
		return errBase64
	}
	if d.signature, err = strictBase64.AppendDecode(mem.signature[:0], []byte(token[last+1:])); err != nil {
		return errBase64
	}
	d.signingInput = token[:last]
	d.claims.text = string(d.claims.values)
	d.claims.members, err = parseObject(d.claims.text, false, mem.members[:0])
	return err
}

// parseHeader reads a JOSE header.
//
// Source: RFC 7515 §4.1, RFC 7797 §3, RFC 7516 §4.1.3.
func parseHeader(text string, mem *scratch) (header, error) {
	var h header
	members, err := parseObject(text, true, mem.members[:0])
	if err != nil {
		return header{}, err
	}
	for _, m := range members {
		raw := text[m.start:m.end]
		switch m.name {
		case "alg":
			h.algorithm, err = stringOf(raw)
		case "typ":
			h.typ, err = stringOf(raw)
			h.hasTyp = true
		case "kid":
			h.keyID, err = stringOf(raw)
		case "crit", "jwk", "jku", "x5u", "x5c", "zip", "b64", "enc":
			if h.forbidden == "" {
				h.forbidden = m.name
			}
		}
		if err != nil {
			return header{}, err
		}
	}
	return h, nil
}
