package routepolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// value is a value of a document, whatever it was written in.
type value struct {
	kind  kind
	text  string
	yes   bool
	items []value
	keys  []key
	line  int // 0 = not known
}

type kind int

const (
	kindOther kind = iota // a number, nothing, or what no document needs
	kindText
	kindBool
	kindList
	kindMap
)

func (k kind) String() string {
	return [...]string{"something else", "text", "true or false", "a list", "keys with values"}[k]
}

type key struct {
	name  string
	line  int
	value value
}

// maxDepth bounds lists and keys in each other.
const maxDepth = 16

// fromYAML turns a node and what is in it into values. Anchors, aliases, merges and tags
// become kindOther, which every reader refuses.
func fromYAML(n ast.Node, offset, depth int) value {
	v := value{line: lineOf(n) + offset}
	if depth > maxDepth {
		return v
	}
	if text := splitText(n); text != "" {
		v.kind, v.text = kindText, text
		return v
	}
	switch n := n.(type) {
	case *ast.StringNode:
		v.kind, v.text = kindText, n.Value
	case *ast.LiteralNode:
		v.kind, v.text = kindText, strings.TrimRight(n.Value.Value, "\n")
	case *ast.BoolNode:
		v.kind, v.yes = kindBool, n.Value
	case *ast.SequenceNode:
		v.kind = kindList
		for _, item := range n.Values {
			v.items = append(v.items, fromYAML(item, offset, depth+1))
		}
	case *ast.MappingNode:
		v.kind = kindMap
		for _, pair := range n.Values {
			name, ok := pair.Key.(*ast.StringNode)
			if !ok {
				return value{line: v.line}
			}
			v.keys = append(v.keys, key{name.Value, lineOf(name) + offset, fromYAML(pair.Value, offset, depth+1)})
		}
	}
	return v
}

func lineOf(n ast.Node) int {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if n != nil {
		if t := n.GetToken(); t != nil && t.Position != nil {
			return t.Position.Line
		}
	}
	return 1
}

// splitText returns the text that the parser took for keys: inside nested flow
// collections it splits s2s:internal, though a colon that no blank follows is a part of
// the text. "" when it is something else.
//
// Source: YAML 1.2.2 §7.3.3.
func splitText(n ast.Node) string {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return ""
	}
	first := m.Values[0].Key.GetToken()
	if first.Type != token.StringType || first.Next == nil || first.Next.Type != token.MappingValueType ||
		first.Next.Next == nil || strings.TrimLeft(first.Next.Next.Origin, " \t\r\n") != first.Next.Next.Origin {
		return ""
	}
	var text strings.Builder
	for t := first; t != nil; t = t.Next {
		switch t.Type {
		case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType, token.MappingValueType:
			text.WriteString(t.Origin)
			continue
		case token.CollectEntryType, token.SequenceEndType:
			return strings.TrimSpace(text.String())
		}
		return ""
	}
	return ""
}

var (
	errJSON  = errors.New("is not JSON")
	errNests = errors.New("is nested too deep")
)

// fromJSON turns one JSON value into values. Keys that come twice stay so: the reader
// refuses them.
func fromJSON(text []byte) (value, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	v, err := readJSON(decoder, 0)
	if err != nil {
		return value{}, err
	}
	if decoder.More() {
		return value{}, errJSON
	}
	return v, nil
}

func readJSON(in *json.Decoder, depth int) (v value, err error) {
	if depth > maxDepth {
		return v, errNests
	}
	t, err := in.Token()
	if err != nil {
		return v, fmt.Errorf("%w: %w", errJSON, err)
	}
	switch t := t.(type) {
	case string:
		v.kind, v.text = kindText, t
	case bool:
		v.kind, v.yes = kindBool, t
	case json.Delim:
		if t == '[' {
			v.kind = kindList
		} else {
			v.kind = kindMap
		}
		for in.More() {
			var name string
			if v.kind == kindMap {
				word, err := in.Token()
				if err != nil {
					return v, fmt.Errorf("%w: %w", errJSON, err)
				}
				name, _ = word.(string)
			}
			inner, err := readJSON(in, depth+1)
			if err != nil {
				return v, err
			}
			if v.kind == kindMap {
				v.keys = append(v.keys, key{name: name, value: inner})
			} else {
				v.items = append(v.items, inner)
			}
		}
		if _, err := in.Token(); err != nil {
			return v, fmt.Errorf("%w: %w", errJSON, err)
		}
	}
	return v, nil
}
