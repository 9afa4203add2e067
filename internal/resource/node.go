package resource

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// textOf returns what a text node says.
func textOf(node ast.Node) (text, problem string) {
	switch n := node.(type) {
	case *ast.MappingNode:
		if text = colonText(n); text == "" {
			return "", "must be text; this is " + nodeKind(node)
		}
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = strings.TrimRight(n.Value.Value, "\n")
	default:
		return "", "must be text; this is " + nodeKind(node)
	}
	switch {
	case text == "":
		return "", "must not be empty"
	case len(text) > maxTextBytes:
		return "", fmt.Sprintf("is longer than %d bytes", maxTextBytes)
	case !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) ||
		strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", "has characters that are not printable"
	}
	return text, ""
}

// colonText returns the text that the parser took for a mapping: inside nested flow
// collections it splits s2s:internal, though a colon that no blank follows is a part of
// the text (YAML 1.2.2 §7.3.3). "" when it is a mapping indeed.
func colonText(m *ast.MappingNode) string {
	if m.IsFlowStyle || len(m.Values) != 1 {
		return ""
	}
	key := m.Values[0].Key.GetToken()
	if key.Type != token.StringType || key.Next == nil || key.Next.Type != token.MappingValueType ||
		key.Next.Next == nil || strings.TrimLeft(key.Next.Next.Origin, " \t\r\n") != key.Next.Next.Origin {
		return ""
	}
	var text strings.Builder
	for t := key; t != nil; t = t.Next {
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

func nodeKind(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode:
		return "keys with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return "an anchor, alias, merge or tag"
	}
	return "something else"
}
