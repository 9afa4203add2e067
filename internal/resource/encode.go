package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Spec returns the document without kind, name and tenant as canonical JSON: two
// documents that mean the same have the same bytes.
//
// Errors: countersign.Internal when it can't be written, which no parsed document is.
func (d *Document) Spec() ([]byte, error) {
	var spec any
	switch {
	case d.Service != nil:
		spec = d.Service
	case d.Issuer != nil:
		spec = d.Issuer
	case d.Role != nil:
		spec = d.Role
	case d.Bucket != nil:
		spec = d.Bucket
	case d.AccessKey != nil:
		spec = d.AccessKey
	case d.OfTenant != nil:
		spec = d.OfTenant
	case d.UserRole != nil:
		spec = d.UserRole
	default:
		spec = d.RoutePolicy
	}
	return marshal(spec)
}

// marshal is json.Marshal without the escapes for HTML.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// FromSpec is the way back from [Document.Spec] of every kind but Service and AccessKey.
//
// Errors: countersign.Internal when the stored text is none that Spec wrote.
func FromSpec(kind, name, tenant string, spec []byte) (*Document, error) {
	d := &Document{Kind: kind, Name: name, Tenant: tenant}
	var target any
	switch kind {
	case KindIssuer:
		d.Issuer = &Issuer{}
		target = d.Issuer
	case KindRole:
		d.Role = &Role{}
		target = d.Role
	case KindBucket:
		d.Bucket = &Bucket{}
		target = d.Bucket
	case KindTenant:
		d.OfTenant = &Tenant{}
		target = d.OfTenant
	case KindUserRole:
		d.UserRole = &UserRole{}
		target = d.UserRole
	case KindRoutePolicy:
		d.RoutePolicy = &RoutePolicy{}
		target = d.RoutePolicy
	default:
		return nil, fmt.Errorf("read a stored document: unknown kind %q", clip(kind))
	}
	if err := json.Unmarshal(spec, target); err != nil {
		return nil, fmt.Errorf("read a stored document: %w", err)
	}
	return d, nil
}

// EncodeTrust is how the trust of a service is stored; nil for none.
//
// Errors: countersign.Internal when it can't be written, which nothing parsed is.
func EncodeTrust(list []TrustStatement) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return marshal(list)
}

// DecodeTrust is the way back from [EncodeTrust].
//
// Errors: countersign.Internal when the stored text is none that EncodeTrust wrote.
func DecodeTrust(text []byte) ([]TrustStatement, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var list []TrustStatement
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read stored trust: %w", err)
	}
	return list, nil
}

// YAML returns the whole document in its canonical form, which [Parse] reads again.
//
// Errors: as Spec.
func (d *Document) YAML() ([]byte, error) {
	spec, err := d.Spec()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("kind: " + d.Kind + "\nname: " + scalar(d.Name) + "\n")
	if d.Tenant != "" {
		out.WriteString("tenant: " + scalar(d.Tenant) + "\n")
	}
	decoder := json.NewDecoder(bytes.NewReader(spec))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil { // {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	w := yamlWriter{in: decoder, out: &out}
	if err := w.members(0, false); err != nil {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	return out.Bytes(), nil
}

// yamlWriter turns JSON into block YAML, in the same order.
type yamlWriter struct {
	in  *json.Decoder
	out *bytes.Buffer
}

// members writes what is left of an object; joined tells that its first key follows
// something on the line.
func (w *yamlWriter) members(depth int, joined bool) error {
	for first := true; w.in.More(); first = false {
		key, err := w.in.Token()
		if err != nil {
			return err
		}
		if !first || !joined {
			w.out.WriteString(strings.Repeat("  ", depth))
		}
		text, _ := key.(string)
		w.out.WriteString(scalar(text) + ":")
		if err := w.value(depth); err != nil {
			return err
		}
	}
	_, err := w.in.Token()
	return err
}

// value writes what follows a key.
func (w *yamlWriter) value(depth int) error {
	token, err := w.in.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		if !w.in.More() {
			w.out.WriteString(" {}\n")
			_, err = w.in.Token()
			return err
		}
		w.out.WriteString("\n")
		return w.members(depth+1, false)
	case json.Delim('['):
		if !w.in.More() {
			w.out.WriteString(" []\n")
			_, err = w.in.Token()
			return err
		}
		w.out.WriteString("\n")
		return w.items(depth + 1)
	}
	return w.plain(" ", token)
}

func (w *yamlWriter) items(depth int) error {
	for w.in.More() {
		w.out.WriteString(strings.Repeat("  ", depth) + "-")
		token, err := w.in.Token()
		switch {
		case err != nil:
			return err
		case token == json.Delim('{'):
			w.out.WriteString(" ")
			err = w.members(depth+1, true)
		default:
			err = w.plain(" ", token)
		}
		if err != nil {
			return err
		}
	}
	_, err := w.in.Token()
	return err
}

func (w *yamlWriter) plain(before string, token json.Token) error {
	w.out.WriteString(before)
	switch value := token.(type) {
	case string:
		w.out.WriteString(scalar(value))
	case bool, json.Number:
		_, _ = fmt.Fprint(w.out, value)
	default:
		return io.ErrUnexpectedEOF
	}
	w.out.WriteString("\n")
	return nil
}

// scalar quotes what is not a plain word for every reader of YAML.
func scalar(text string) string {
	if plainScalar(text) {
		return text
	}
	quoted, err := marshal(text)
	if err != nil {
		return `""`
	}
	return string(quoted)
}

func plainScalar(text string) bool {
	if text == "" || text[0]|0x20 < 'a' || text[0]|0x20 > 'z' || strings.HasSuffix(text, ":") {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:", rune(c)) {
			return false
		}
	}
	switch strings.ToLower(text) { // words that some reader takes for something else
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf":
		return false
	}
	return true
}
