package resource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/policy"
)

// maxItems bounds every list of a document that has no lower bound of its own.
const maxItems = 512

// maxTextBytes bounds every text of a document.
const maxTextBytes = 8 << 10

// reader turns the nodes of one document into its fields and collects what is wrong.
type reader struct {
	file     string
	offset   int // lines before the document
	problems *Problems
	document *Document
}

// read reads the whole document.
func (r *reader) read(node ast.Node) {
	f := r.fields("", node)
	if f == nil {
		return
	}
	d := r.document
	d.Kind, d.Name = f.text("kind"), f.text("name")
	d.Tenant = f.text("tenant")
	if d.Tenant != "" && !countersign.ValidName(d.Tenant) {
		f.wrong("tenant", nameForm)
	}
	if f.required("name") {
		switch {
		case !countersign.ValidName(d.Name):
			f.wrong("name", nameForm)
		case policy.Reserved(d.Name):
			f.wrong("name", "the name is reserved")
		}
	}
	if !slices.Contains([]string{KindService, KindIssuer, KindRole, KindBucket}, d.Kind) {
		f.later("shared_with")
	}
	if !f.required("kind") {
		return // which fields there are depends on it
	}
	switch {
	case d.Kind == KindService:
		d.Service = readService(f)
	case d.Kind == KindIssuer:
		d.Issuer = readIssuer(f)
	case d.Kind == KindRole:
		d.Role = readRole(f)
	case d.Kind == KindRoutePolicy:
		d.RoutePolicy = readRoutePolicy(f)
	case d.Kind == KindBucket:
		d.Bucket = readBucket(f)
	case d.Kind == KindAccessKey:
		d.AccessKey = readAccessKey(f)
	case d.Kind == KindTenant:
		d.OfTenant = readTenant(f)
	case d.Kind == KindUserRole:
		d.UserRole = readUserRole(f)
	case slices.Contains(f.failed, "kind"):
		return
	default:
		p := f.problem("kind", "unknown kind: use "+strings.Join(served, ", "))
		p.Nearest = nearest(d.Kind, served)
		r.problems.Add(p)
		return
	}
	f.done()
}

const nameForm = "must have 1 to 63 characters, a-z, 0-9 and -, and not start with -"

// fields are the keys of one mapping.
type fields struct {
	r      *reader
	path   string
	at     place
	values map[string]ast.Node
	keys   []ast.Node // in the file's order
	asked  []string   // known keys
	failed []string   // keys whose value was of another kind
}

// fields opens a mapping; nil when the node is none.
func (r *reader) fields(path string, node ast.Node) *fields {
	at := r.place(node)
	r.document.places[path] = at
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		r.problems.Add(r.problem(at, path, "must be keys with values; this is "+nodeKind(node)))
		return nil
	}
	f := &fields{r: r, path: path, at: at, values: make(map[string]ast.Node, len(mapping.Values))}
	for _, pair := range mapping.Values {
		name, ok := pair.Key.(*ast.StringNode)
		if !ok {
			r.problems.Add(r.problem(r.place(pair.Key), path, "a key must be a plain word (no anchors, aliases, merges, tags or numbers)"))
			continue
		}
		if _, twice := f.values[name.Value]; twice {
			r.problems.Add(r.problem(r.place(pair.Key), join(path, name.Value), "is given twice"))
			continue
		}
		f.values[name.Value] = pair.Value
		f.keys = append(f.keys, name)
		if path == "" && len(f.keys) == 1 {
			r.document.Line = r.place(name).line
			f.at = r.place(name)
		}
	}
	return f
}

func (r *reader) place(node ast.Node) place {
	// A block mapping's own token is the first colon.
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	if node != nil {
		if t := node.GetToken(); t != nil && t.Position != nil {
			return place{t.Position.Line + r.offset, t.Position.Column}
		}
	}
	return place{r.offset + 1, 1}
}

func (r *reader) problem(at place, path, message string) Problem {
	return Problem{File: r.file, Line: at.line, Column: at.column, Path: path, Message: message}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// find notes that the key is known and returns its value.
func (f *fields) find(key string) (ast.Node, bool) {
	f.asked = append(f.asked, key)
	node, ok := f.values[key]
	if ok {
		f.r.document.places[join(f.path, key)] = f.r.place(node)
	}
	return node, ok
}

func (f *fields) has(key string) bool {
	_, ok := f.values[key]
	return ok
}

// problem is one at the value of a key, or at the mapping where there is none.
func (f *fields) problem(key, message string) Problem {
	at := f.at
	if node, ok := f.values[key]; ok {
		at = f.r.place(node)
	}
	return f.r.problem(at, join(f.path, key), message)
}

func (f *fields) wrong(key, message string) {
	if !slices.Contains(f.failed, key) { // it was told already
		f.r.problems.Add(f.problem(key, message))
	}
}

// required tells when the key is missing.
func (f *fields) required(key string) bool {
	if !f.has(key) {
		f.wrong(key, "is missing")
		return false
	}
	return true
}

// later refuses keys that are known and not served.
func (f *fields) later(keys ...string) {
	for _, key := range keys {
		if _, ok := f.find(key); ok {
			f.wrong(key, "is not served by this version")
		}
	}
}

// fail tells that a value is of another kind.
func (f *fields) fail(key string, node ast.Node, want string) {
	f.wrong(key, "must be "+want+"; this is "+nodeKind(node))
	f.failed = append(f.failed, key)
}

// done refuses the keys that nobody asked for.
func (f *fields) done() {
	for _, key := range f.keys {
		name := key.(*ast.StringNode).Value
		if slices.Contains(f.asked, name) {
			continue
		}
		p := f.r.problem(f.r.place(key), join(f.path, name), "unknown field")
		p.Nearest = nearest(name, f.asked)
		f.r.problems.Add(p)
	}
}

// text returns a text, "" when there is none. An empty text is refused.
func (f *fields) text(key string) string {
	node, ok := f.find(key)
	if !ok {
		return ""
	}
	text, problem := textOf(node)
	if problem != "" {
		f.wrong(key, problem)
		f.failed = append(f.failed, key)
	}
	return text
}

// optional is text, where an empty text is the same as none.
func (f *fields) optional(key string) string {
	if n, ok := f.values[key].(*ast.StringNode); ok && n.Value == "" {
		_, _ = f.find(key)
		return ""
	}
	return f.text(key)
}

// texts returns a list of texts in the file's order; nil when there is none. A text
// that comes twice is refused.
func (f *fields) texts(key string, most int) []string { return f.list(key, most, textOf) }

// prefixes is texts, where a text may be empty: the prefix of everything.
func (f *fields) prefixes(key string, most int) []string {
	return f.list(key, most, func(node ast.Node) (text, problem string) {
		if n, ok := node.(*ast.StringNode); ok && n.Value == "" {
			return "", ""
		}
		return textOf(node)
	})
}

func (f *fields) list(key string, most int, textOf func(ast.Node) (text, problem string)) []string {
	node, ok := f.find(key)
	if !ok {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		f.fail(key, node, "a list")
		return nil
	}
	if len(list.Values) > most {
		f.wrong(key, fmt.Sprintf("has more than %d entries", most))
		f.failed = append(f.failed, key)
		return nil
	}
	found := make([]string, 0, len(list.Values))
	known := make(map[string]bool, len(list.Values))
	for i, item := range list.Values {
		path := fmt.Sprintf("%s[%d]", join(f.path, key), i)
		f.r.document.places[path] = f.r.place(item)
		text, problem := textOf(item)
		if problem == "" && known[text] {
			problem = "is given twice"
		}
		if problem != "" {
			f.r.problems.Add(f.r.problem(f.r.place(item), path, problem))
			f.failed = append(f.failed, key)
			continue
		}
		known[text] = true
		found = append(found, text)
	}
	return found
}

// each checks every text of a list.
func (f *fields) each(key string, list []string, problemOf func(text string) string) {
	if slices.Contains(f.failed, key) {
		return // some are missing from list, so the indexes are others
	}
	for i, text := range list {
		if problem := problemOf(text); problem != "" {
			path := fmt.Sprintf("%s[%d]", join(f.path, key), i)
			f.r.problems.Add(f.r.problem(f.r.document.places[path], path, problem))
		}
	}
}

// items opens the mappings of a list.
func (f *fields) items(key string, most int) []*fields {
	node, ok := f.find(key)
	if !ok {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		f.fail(key, node, "a list")
		return nil
	}
	if len(list.Values) > most {
		f.wrong(key, fmt.Sprintf("has more than %d entries", most))
		return nil
	}
	var found []*fields
	for i, item := range list.Values {
		if inner := f.r.fields(fmt.Sprintf("%s[%d]", join(f.path, key), i), item); inner != nil {
			found = append(found, inner)
		}
	}
	return found
}

// inner opens a mapping; nil when there is none.
func (f *fields) inner(key string) *fields {
	node, ok := f.find(key)
	if !ok {
		return nil
	}
	return f.r.fields(join(f.path, key), node)
}

// boolean returns true or false, or other when there is none.
func (f *fields) boolean(key string, other bool) bool {
	node, ok := f.find(key)
	if !ok {
		return other
	}
	value, ok := node.(*ast.BoolNode)
	if !ok {
		f.fail(key, node, "true or false")
		return other
	}
	return value.Value
}

// number returns a whole number written in decimal, 0 when there is none.
func (f *fields) number(key string, least, most int64) int64 {
	node, ok := f.find(key)
	if !ok {
		return 0
	}
	want := fmt.Sprintf("a whole number from %d to %d", least, most)
	if _, ok := node.(*ast.IntegerNode); !ok {
		f.fail(key, node, want)
		return 0
	}
	n, err := strconv.ParseInt(node.GetToken().Value, 10, 64)
	if err != nil || n < least || n > most || strconv.FormatInt(n, 10) != node.GetToken().Value {
		f.wrong(key, "must be "+want)
		return 0
	}
	return n
}

// duration returns a duration of whole seconds, 0 when there is none.
func (f *fields) duration(key string, least, most time.Duration) Duration {
	node, ok := f.find(key)
	if !ok {
		return 0
	}
	want := fmt.Sprintf("a duration with a unit from %s to %s, such as 15m", formatDuration(least), formatDuration(most))
	text, ok := node.(*ast.StringNode)
	if !ok {
		f.fail(key, node, want)
		return 0
	}
	d, err := config.ParseDuration(text.Value)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		f.wrong(key, "must be "+want)
		return 0
	}
	return Duration(d)
}
