package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/countersign/countersign"
)

// The bounds of a file. They are low because the parser's time grows with the square of
// the nesting.
const (
	maxFileBytes = 64 << 10
	maxLineBytes = 4 << 10
)

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, "can't be opened", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fileError(path, "can't be read", err)
	}
	if info.IsDir() {
		return nil, fileError(path, "is a folder, not a file", nil)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fileError(path, "can't be read", err)
	}
	return content, nil
}

func fileError(path, what string, cause error) error {
	return countersign.WrapError(countersign.Invalid, "", fmt.Sprintf("config file %s %s", path, what), cause)
}

// parseFile reads a whole file's content. An empty one is good: every key is optional.
func (l *loader) parseFile(content []byte) error {
	if err := l.checkContent(content); err != nil {
		return err
	}
	file, err := parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return l.syntaxError(err)
	}
	if len(file.Docs) > 1 {
		return fileError(l.path, "must be one YAML document, without directives", nil)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil
	}
	return l.walk("", file.Docs[0].Body)
}

func (l *loader) checkContent(content []byte) error {
	switch {
	case len(content) > maxFileBytes:
		return fileError(l.path, fmt.Sprintf("is larger than %d bytes", maxFileBytes), nil)
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		return fileError(l.path, "begins with a byte order mark: save it as UTF-8 without one", nil)
	case !utf8.Valid(content):
		return fileError(l.path, "is not UTF-8 text", nil)
	}
	line := 0
	for text := range bytes.Lines(content) {
		line++
		if len(text) > maxLineBytes {
			return invalid("", fmt.Sprintf("%s:%d: a line is longer than %d bytes", l.path, line, maxLineBytes))
		}
		if at := bytes.IndexFunc(text, isControl); at >= 0 {
			return invalid("", fmt.Sprintf("%s:%d:%d: a control character", l.path, line, at+1))
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }

// syntaxError takes the place and the words of the parser's error and leaves out its
// excerpt of the file.
func (l *loader) syntaxError(err error) error {
	var place yaml.Error
	if errors.As(err, &place) && place.GetToken() != nil {
		return invalid("", fmt.Sprintf("%s: %s", l.position(place.GetToken()), place.GetMessage()))
	}
	return fileError(l.path, "is not YAML", nil)
}

func (l *loader) position(t *token.Token) string {
	if t == nil || t.Position == nil {
		return l.path
	}
	return fmt.Sprintf("%s:%d:%d", l.path, t.Position.Line, t.Position.Column)
}

// walk visits a mapping; prefix is its path ("" at the top).
func (l *loader) walk(prefix string, node ast.Node) error {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		if _, null := node.(*ast.NullNode); null {
			return nil
		}
		name := "the file"
		if prefix != "" {
			name = prefix
		}
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s: %s must be keys with values, not %s", l.position(node.GetToken()), name, nodeKind(node)))
	}
	for _, pair := range mapping.Values {
		if err := l.entry(prefix, pair); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) entry(prefix string, pair *ast.MappingValueNode) error {
	at := l.position(pair.Key.GetToken())
	name, ok := pair.Key.(*ast.StringNode)
	if !ok {
		return invalid(countersign.ReasonFieldUnknown, at+": this key is not a plain word (no anchors, aliases, merges or tags)")
	}
	path := name.Value
	if prefix != "" {
		path = prefix + "." + path
	}
	k, known := findKey(path)
	if l.seen[path] {
		return invalid(countersign.ReasonParameterDuplicated, fmt.Sprintf("%s: %s is given twice", at, clip(path)))
	}
	l.seen[path] = true
	switch {
	case strings.Contains(name.Value, "."):
		return unknownKey(at, path)
	case isLater(path) && isOff(pair.Value):
		return nil
	case isLater(path):
		return countersign.NewError(countersign.Unsupported, "", fmt.Sprintf("%s: %s is not served by this version", at, path))
	case isSection(path):
		return l.walk(path, pair.Value)
	case !known:
		return unknownKey(at, path)
	}
	if _, null := pair.Value.(*ast.NullNode); null {
		return nil
	}
	l.origin[path] = l.position(pair.Value.GetToken())
	v, err := l.value(k, pair.Value)
	if err != nil {
		return err
	}
	return l.set(k, v)
}

// value turns a node into the key's kind, with ${env:NAME} replaced.
func (l *loader) value(k key, node ast.Node) (value, error) {
	wrong := invalid(countersign.ReasonParameterInvalid,
		fmt.Sprintf("%s must be %s; this is %s", l.at(k.path), k.want, nodeKind(node)))
	base, err := filepath.Abs(filepath.Dir(l.path))
	if err != nil {
		return value{}, fileError(l.path, "has no absolute path", err)
	}
	v := value{base: base}
	if k.kind != kindList {
		text, ok := scalar(node, k.kind)
		if !ok {
			return value{}, wrong
		}
		v.text, err = l.substitute(k, text)
		return v, err
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return value{}, wrong
	}
	for _, item := range sequence.Values {
		text, ok := scalar(item, k.kind)
		if !ok {
			return value{}, wrong
		}
		if text, err = l.substitute(k, text); err != nil {
			return value{}, err
		}
		v.items = append(v.items, text)
	}
	return v, nil
}

// scalar returns a value's text. A boolean may also be text, which ${env:NAME} is.
func scalar(node ast.Node, k kind) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.BoolNode:
		return n.GetToken().Value, k == kindBool
	case *ast.IntegerNode:
		return n.GetToken().Value, k == kindNumber
	}
	return "", false
}

// set stores what the file says. Where the environment has the last word, the file's
// value is checked and not stored.
func (l *loader) set(k key, v value) error {
	target := &l.cfg
	if _, overridden := l.env[variable(k.path)]; overridden {
		target = new(Config)
	}
	if k.set(target, v) {
		return nil
	}
	return l.wrongValue(k)
}

func (l *loader) wrongValue(k key) error {
	return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("%s must be %s", l.at(k.path), k.want))
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
	case *ast.StringNode:
		return "text"
	case *ast.LiteralNode:
		return "a block of text"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "an anchor, alias or tag"
	}
	return "something else"
}

// isOff reports whether a value says that what its key is about is not there.
func isOff(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.NullNode:
		return true
	case *ast.StringNode:
		return n.Value == ""
	}
	return false
}
