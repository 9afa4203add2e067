package policy

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// jsonKind is what a value of JSON is. Numbers and booleans have no place in a policy.
type jsonKind int

const (
	jsonOther jsonKind = iota
	jsonText
	jsonList
	jsonObject
)

// jsonValue is JSON with the order and every spelling of its keys.
type jsonValue struct {
	kind    jsonKind
	text    string
	items   []jsonValue
	members []jsonMember
}

type jsonMember struct {
	key   string
	value jsonValue
}

// maxJSONDepth is deeper than any policy that is understood.
const maxJSONDepth = 8

var errJSON = errors.New("not the JSON of a policy")

// readJSON reads one value. A key that comes twice is refused: which one counts would
// depend on the reader.
//
// Errors: countersign.BadPolicy.
func readJSON(text string) (jsonValue, error) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return jsonValue{}, badPolicy("the policy is not JSON")
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	v, err := readValue(decoder, 0)
	if err == nil {
		_, err = decoder.Token() // nothing may follow
	}
	if !errors.Is(err, io.EOF) {
		return jsonValue{}, badPolicy("the policy is not JSON, is too deep or has a key that comes twice")
	}
	return v, nil
}

func readValue(decoder *json.Decoder, depth int) (v jsonValue, err error) {
	if depth > maxJSONDepth {
		return v, errJSON
	}
	token, err := decoder.Token()
	if err != nil {
		return v, err
	}
	switch token := token.(type) {
	case string:
		return jsonValue{kind: jsonText, text: token}, nil
	case json.Delim:
		if token == '[' {
			v.kind = jsonList
		} else {
			v.kind = jsonObject
		}
	default:
		return v, nil
	}
	seen := make(map[string]bool)
	for decoder.More() {
		var m jsonMember
		if v.kind == jsonObject {
			key, err := decoder.Token()
			if err != nil {
				return v, err
			}
			m.key, _ = key.(string)
			if seen[m.key] {
				return v, errJSON
			}
			seen[m.key] = true
		}
		if m.value, err = readValue(decoder, depth+1); err != nil {
			return v, err
		}
		if v.kind == jsonObject {
			v.members = append(v.members, m)
		} else {
			v.items = append(v.items, m.value)
		}
	}
	_, err = decoder.Token()
	return v, err
}
