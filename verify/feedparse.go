package verify

import (
	"errors"
	"fmt"
	"strings"
)

var (
	errSelectors = errors.New("an entry names more than one thing, or half of one")
	errMissing   = errors.New("a member is missing")
	errOrder     = errors.New("the numbers of the entries are out of order")
)

// maxExact is the largest integer that every JSON parser reads exactly.
//
// Source: RFC 8259 §6.
const maxExact = 1<<53 - 1

// parseFeedPage reads the payload of a page as strictly as claims are read: names that
// come twice, values of another type and selectors that contradict each other refuse
// the page. Unknown members are skipped. An entry whose only selectors are unknown here
// is skipped too, after its number was checked: what it is about is no token of a kind
// that this version knows.
func parseFeedPage(text string) (FeedPage, error) {
	members, err := parseObject(text, false, nil)
	if err != nil {
		return FeedPage{}, err
	}
	r := feedReader{text: text, members: members}
	p := FeedPage{
		Issuer: r.str("iss"), Epoch: r.str("epoch"), More: r.flag("more"),
		IssuedAt: r.required("iat"), Since: r.required("since"), Seq: r.required("seq"), FreshAt: r.required("fresh_at"),
	}
	entries, ok := r.find("entries")
	switch {
	case r.err != nil:
		return FeedPage{}, r.err
	case !ok, p.Issuer == "", p.Epoch == "":
		return FeedPage{}, errMissing
	}
	p.Entries = []Revocation{}
	last := p.Since
	err = elementsOf(entries, func(element string) error {
		entry, known, err := parseRevocation(element)
		switch {
		case err != nil:
			return err
		case entry.Seq <= last || entry.Seq > p.Seq:
			return errOrder
		}
		last = entry.Seq
		if known {
			p.Entries = append(p.Entries, entry)
		}
		return nil
	})
	if err != nil {
		return FeedPage{}, fmt.Errorf("entries: %w", err)
	}
	if p.Seq < p.Since || p.More && p.Seq == p.Since {
		return FeedPage{}, errOrder
	}
	return p, nil
}

// parseRevocation reads one entry; known is false for one without a selector that we
// know.
func parseRevocation(text string) (entry Revocation, known bool, err error) {
	members, err := parseObject(text, false, nil)
	if err != nil {
		return Revocation{}, false, err
	}
	r := feedReader{text: text, members: members}
	entry = Revocation{
		Seq: r.required("seq"), JTI: r.str("jti"), Service: r.str("service"), ServiceUID: r.str("service_uid"),
		Issuer: r.str("issuer"), Subject: r.str("subject"), KID: r.str("kid"), All: r.flag("all"),
		Role: r.str("role"), RoleUID: r.str("role_uid"), Session: r.str("session"),
		Before: r.number("before"), Expires: r.number("exp"),
	}
	if r.err != nil {
		return Revocation{}, false, r.err
	}
	selectors := 0
	for _, set := range []bool{
		entry.JTI != "", entry.Service != "", entry.Issuer != "", entry.KID != "", entry.All, entry.Role != "", entry.Session != "",
	} {
		if set {
			selectors++
		}
	}
	if selectors > 1 || entry.ServiceUID != "" && entry.Service == "" || entry.Subject != "" && entry.Issuer == "" ||
		entry.RoleUID != "" && entry.Role == "" {
		return Revocation{}, false, errSelectors
	}
	return entry, selectors == 1, nil
}

// feedReader reads typed members and keeps the first error.
type feedReader struct {
	text    string
	members []member
	err     error
}

func (r *feedReader) fail(name string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("member %s: %w", name, err)
	}
}

func (r *feedReader) find(name string) (raw string, ok bool) {
	for _, m := range r.members {
		if m.name == name {
			return r.text[m.start:m.end], true
		}
	}
	return "", false
}

// str returns a string, "" when it is missing. One that is there is never empty. It is
// a copy: an entry outlives its page.
func (r *feedReader) str(name string) string {
	raw, ok := r.find(name)
	if !ok {
		return ""
	}
	text, err := stringOf(raw)
	if err == nil && text == "" {
		err = errMissing
	}
	r.fail(name, err)
	return strings.Clone(text)
}

func (r *feedReader) flag(name string) bool {
	raw, ok := r.find(name)
	if ok && raw != "true" && raw != "false" {
		r.fail(name, errType)
	}
	return raw == "true"
}

func (r *feedReader) required(name string) int64 {
	if _, ok := r.find(name); !ok {
		r.fail(name, errMissing)
	}
	return r.number(name)
}

// number returns an integer from 0 to maxExact, 0 when it is missing.
func (r *feedReader) number(name string) int64 {
	raw, ok := r.find(name)
	if !ok {
		return 0
	}
	var n int64
	for i := range len(raw) {
		if !isDigit(raw[i]) {
			r.fail(name, errType)
			return 0
		}
		if n = n*10 + int64(raw[i]-'0'); n > maxExact {
			r.fail(name, errType)
			return 0
		}
	}
	return n
}
