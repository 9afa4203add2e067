package routepolicy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kindName is what the documents call themselves.
const kindName = "RoutePolicy"

// maxTextBytes bounds every text of a document.
const maxTextBytes = 8 << 10

// reader turns the values of one document into its fields.
type reader struct {
	document *Document
	problems *problems
}

// readDocument reads a whole document. What its patterns and conditions mean is for
// Compile.
func readDocument(v value, d *Document, p *problems) {
	d.lines = make(map[string]int)
	r := &reader{document: d, problems: p}
	f := r.fields("", v)
	if f == nil {
		return
	}
	if kind := f.text("kind", true); kind != "" && kind != kindName {
		f.wrong("kind", "must be "+kindName)
	}
	d.Name = f.text("name", true)
	d.Tenant = f.text("tenant", false)
	d.Service = f.text("service", true)
	d.ReportOnly = !f.boolean("enforce", true)
	for i, item := range f.list("rules", true) {
		if p.full() {
			break
		}
		if inner := r.fields(at("rules", i), item); inner != nil {
			d.Rules = append(d.Rules, r.rule(inner))
		}
	}
	f.done()
}

func (r *reader) rule(f *fields) Rule {
	rule := Rule{Name: f.text("name", true), When: f.text("when", false)}
	if from := f.inner("from"); from != nil {
		rule.From = From{
			Services: from.texts("services", false), Users: from.texts("users", false),
			UserRoles: from.texts("user_roles", false), Scopes: from.texts("scopes", false),
			Roles: from.texts("roles", false), WithoutService: from.boolean("without_service", false),
		}
		from.done()
	}
	if to := f.inner("to"); to != nil {
		rule.To = To{Methods: to.texts("methods", true), Paths: to.texts("paths", true)}
		to.done()
	}
	f.done()
	return rule
}

// fields are the keys of one mapping.
type fields struct {
	*reader
	path  string
	keys  []key
	asked []string
}

func (r *reader) fields(path string, v value) *fields {
	r.document.lines[path] = v.line
	f := &fields{reader: r, path: path, keys: v.keys}
	if v.kind != kindMap {
		r.problems.add(r.document.problem(path, "must be keys with values; this is "+v.kind.String()))
		return nil
	}
	for i, k := range v.keys {
		r.document.lines[f.join(k.name)] = k.line
		if slices.ContainsFunc(v.keys[:i], func(other key) bool { return other.name == k.name }) {
			f.wrong(k.name, "is given twice")
		}
	}
	return f
}

func (f *fields) join(name string) string {
	name = clip(name)
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

func (f *fields) wrong(name, message string) {
	f.problems.add(f.document.problem(f.join(name), message))
}

// find returns the value of a key; nil when there is none.
func (f *fields) find(name string, required bool) *value {
	f.asked = append(f.asked, name)
	for i := range f.keys {
		if f.keys[i].name == name {
			return &f.keys[i].value
		}
	}
	if required {
		f.wrong(name, "is missing")
	}
	return nil
}

// done refuses the keys that nobody asked for.
func (f *fields) done() {
	for _, k := range f.keys {
		if !slices.Contains(f.asked, k.name) {
			f.wrong(k.name, "is not a known key: there are "+strings.Join(f.asked, ", "))
		}
	}
}

func (f *fields) inner(name string) *fields {
	v := f.find(name, true)
	if v == nil {
		return nil
	}
	return f.fields(f.join(name), *v)
}

func (f *fields) boolean(name string, unset bool) bool {
	v := f.find(name, false)
	if v == nil {
		return unset
	}
	if v.kind != kindBool {
		f.wrong(name, "must be true or false")
	}
	return v.yes
}

func (f *fields) text(name string, required bool) string {
	v := f.find(name, required)
	if v == nil {
		return ""
	}
	if message := textProblem(*v); message != "" {
		f.wrong(name, message)
		return ""
	}
	return v.text
}

func (f *fields) list(name string, required bool) []value {
	v := f.find(name, required)
	if v == nil {
		return nil
	}
	if v.kind != kindList {
		f.wrong(name, "must be a list; this is "+v.kind.String())
		return nil
	}
	if len(v.items) > maxItems {
		f.wrong(name, fmt.Sprintf("has more than %d values", maxItems))
		return nil
	}
	return v.items
}

// texts reads a list that must not be empty where it is given: an empty one could be read
// as "nobody" and as "anybody".
func (f *fields) texts(name string, required bool) []string {
	items := f.list(name, required)
	if v := f.find(name, false); v != nil && v.kind == kindList && len(v.items) == 0 {
		f.wrong(name, "must not be empty")
	}
	var list []string
	for i, item := range items {
		path := at(name, i)
		f.document.lines[f.join(path)] = item.line
		if message := textProblem(item); message != "" {
			f.wrong(path, message)
			continue
		}
		list = append(list, item.text)
	}
	return list
}

func textProblem(v value) string {
	switch {
	case v.kind != kindText:
		return "must be text; this is " + v.kind.String()
	case v.text == "":
		return "must not be empty"
	case len(v.text) > maxTextBytes:
		return fmt.Sprintf("is longer than %d bytes", maxTextBytes)
	case !utf8.ValidString(v.text) || strings.ContainsRune(v.text, utf8.RuneError) ||
		strings.ContainsFunc(v.text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "has characters that are not printable"
	}
	return ""
}
