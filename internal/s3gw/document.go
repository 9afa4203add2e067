package s3gw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// The bounds of a document. 10,000 parts of eight elements are the largest that S3 has.
const (
	maxDepth    = 8
	maxElements = 100_000
)

const sayMalformed = "The XML you provided was not well-formed or did not validate against our published schema"

func errMalformed() error {
	return refuse(s3api.MalformedXML, countersign.ReasonBodyInvalid, sayMalformed)
}

// repeated are the elements that may come more than once beside each other. Of all others two
// programs may read the first and the last.
var repeated = setOf("Object", "Part", "Tag", "Grant")

// checkDocument refuses what S3 never gets, before anybody acts on it: another root, document
// types and with them entities, processing instructions, deep nesting, elements that come
// twice, text behind the root, and more elements than a document can have. It allocates no
// tree.
//
// Errors: MalformedXML.
func checkDocument(text []byte, root string) error {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	var open []siblings
	elements, ended := 0, false
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) && ended {
			return nil
		}
		if err != nil {
			return errMalformed()
		}
		switch token := token.(type) {
		case xml.StartElement:
			if elements++; elements > maxElements || len(open) == maxDepth || ended || len(open) == 0 && token.Name.Local != root {
				return errMalformed()
			}
			if len(open) > 0 && !open[len(open)-1].add(token.Name.Local) {
				return errMalformed()
			}
			open = append(open, siblings{name: token.Name})
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].name != token.Name {
				return errMalformed()
			}
			open = open[:len(open)-1]
			ended = len(open) == 0
		case xml.CharData:
			if len(open) == 0 && strings.Trim(string(token), " \t\r\n\ufeff") != "" {
				return errMalformed()
			}
		case xml.ProcInst:
			if token.Target != "xml" || len(open) > 0 || ended || elements > 0 {
				return errMalformed()
			}
		case xml.Directive:
			return errMalformed()
		}
	}
}

// siblings are the elements of one parent. The names that may repeat are not kept.
type siblings struct {
	name xml.Name
	seen []string
}

// add notes a child and reports whether it may be there.
func (s *siblings) add(child string) bool {
	if repeated[child] {
		return true
	}
	for _, other := range s.seen {
		if other == child {
			return false
		}
	}
	s.seen = append(s.seen, child)
	return len(s.seen) <= 32
}
