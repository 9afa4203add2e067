package session

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// The fields of a sealed session. Each is its tag and its value; they stand in the order of
// the tags, once each, and one that is empty is left out. A reader that meets a tag it does
// not know refuses: what it means may be a limit.
const (
	tagRole = iota + 1
	tagRoleUID
	tagName
	tagKind
	tagIssuer
	tagSubject
	tagIssuerUID
	tagService
	tagServiceUID
	tagTenant
	tagAWSAccount
	tagFingerprint
	tagValues
	tagPolicy
	tagTags
	tagTokenID
	tagKID
	tagProofAge
	tagIssuedAt
	tagLifetime
)

const (
	// maxPairs bounds Values and Tags each: AWS allows 50 tags.
	maxPairs = 64
	// maxNumberBytes keeps every number below 2^42.
	maxNumberBytes = 6
)

var (
	errField   = errors.New("a field is unknown, empty, out of order or cut")
	errText    = errors.New("a text is not UTF-8, or not written as we would")
	errPairs   = errors.New("the pairs of a field are too many, or out of order")
	errLacking = errors.New("a field is missing, or a time is out of range")
)

// text is one of the fields that hold a text.
type text struct {
	tag   byte
	value *string
	// packed: the value is an id, which is shorter as what it stands for.
	packed bool
}

// texts are those before and after the pairs, in the order of their tags.
func (s *Session) texts() (first [12]text, policy text, last [2]text) {
	return [...]text{
		{tagRole, &s.Role, false},
		{tagRoleUID, &s.RoleUID, true},
		{tagName, &s.Name, false},
		{tagKind, &s.Kind, false},
		{tagIssuer, &s.Issuer, false},
		{tagSubject, &s.Subject, false},
		{tagIssuerUID, &s.IssuerUID, true},
		{tagService, &s.Service, false},
		{tagServiceUID, &s.ServiceUID, true},
		{tagTenant, &s.Tenant, false},
		{tagAWSAccount, &s.AWSAccount, false},
		{tagFingerprint, &s.Fingerprint, true},
	}, text{tagPolicy, &s.Policy, false}, [...]text{{tagTokenID, &s.TokenID, true}, {tagKID, &s.KID, true}}
}

// append appends the session's fields. The caller has checked it.
func (s *Session) append(b []byte) []byte {
	first, policy, last := s.texts()
	for _, field := range first {
		b = field.append(b)
	}
	b = appendPairs(b, tagValues, s.Values)
	b = policy.append(b)
	b = appendPairs(b, tagTags, s.Tags)
	for _, field := range last {
		b = field.append(b)
	}
	if !s.ProvenAt.IsZero() {
		b = append(b, tagProofAge)
		b = binary.AppendUvarint(b, uint64(s.IssuedAt.Sub(s.ProvenAt)/time.Second)) //nolint:gosec // checked
	}
	b = append(b, tagIssuedAt)
	b = binary.AppendUvarint(b, uint64(s.IssuedAt.Unix())) //nolint:gosec // checked
	b = append(b, tagLifetime)
	return binary.AppendUvarint(b, uint64(s.ExpiresAt.Sub(s.IssuedAt)/time.Second)) //nolint:gosec // checked
}

func (f text) append(b []byte) []byte {
	if *f.value == "" {
		return b
	}
	b = append(b, f.tag)
	if f.packed {
		return appendID(b, *f.value)
	}
	return appendPart(b, *f.value)
}

func appendPairs(b []byte, tag byte, pairs map[string]string) []byte {
	if len(pairs) == 0 {
		return b
	}
	names := make([]string, 0, len(pairs))
	for name := range pairs {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = appendPart(b, name)
		b = appendPart(b, pairs[name])
	}
	return b
}

// parseSession is the inverse of append: it reads what append writes, and nothing else.
func parseSession(b []byte) (Session, error) {
	var s Session
	first, policy, last := s.texts()
	r := reader{rest: string(b)} // one copy: the texts are parts of it
	for _, field := range first {
		r.text(field)
	}
	s.Values = r.pairs(tagValues)
	r.text(policy)
	s.Tags = r.pairs(tagTags)
	for _, field := range last {
		r.text(field)
	}
	age := r.age()
	issued, lifetime := r.number(tagIssuedAt), r.number(tagLifetime)
	switch {
	case r.err != nil:
		return Session{}, r.err
	case len(r.rest) > 0:
		return Session{}, errField
	case issued > maxUnix || age > issued || lifetime > uint64(MaxDuration/time.Second):
		return Session{}, errLacking
	}
	s.IssuedAt = time.Unix(int64(issued), 0).UTC()
	s.ExpiresAt = s.IssuedAt.Add(time.Duration(lifetime) * time.Second)
	if age > 0 {
		s.ProvenAt = time.Unix(int64(issued-age), 0).UTC()
	}
	return s, s.lacking()
}

// maxUnix is in the year 9999.
const maxUnix = 253_402_300_799

// check is what Mint holds a session to.
//
// Errors: countersign.Internal: whoever made it is wrong, not who asked for it.
func (s *Session) check() error {
	err := s.lacking()
	first, policy, last := s.texts()
	for _, field := range slices.Concat(first[:], []text{policy}, last[:]) {
		if !utf8.ValidString(*field.value) {
			err = errText
		}
	}
	for _, pairs := range []map[string]string{s.Values, s.Tags} {
		if len(pairs) > maxPairs {
			return errTooLarge
		}
		for name, value := range pairs {
			if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
				err = errText
			}
		}
	}
	if err != nil {
		return countersign.WrapError(countersign.Internal, "", "", err)
	}
	return nil
}

// lacking reports what no session may lack: all that a revocation or a role goes by.
func (s *Session) lacking() error {
	lifetime := s.ExpiresAt.Sub(s.IssuedAt)
	switch {
	case s.Role == "", s.RoleUID == "", s.Name == "", s.Issuer == "", s.Subject == "", s.Fingerprint == "",
		s.Kind != OIDC && s.Kind != AWS && s.Kind != Service,
		(s.Kind == OIDC) != (s.IssuerUID != ""),
		s.Kind == Service && (s.Service == "" || s.ServiceUID == ""),
		(s.Kind == AWS) != (s.AWSAccount != ""),
		!s.ProvenAt.IsZero() && (s.ProvenAt.Unix() < 0 || !s.ProvenAt.Before(s.IssuedAt)),
		s.IssuedAt.Unix() <= 0, s.ExpiresAt.Unix() > maxUnix, lifetime <= 0, lifetime > MaxDuration:
		return errLacking
	}
	return nil
}

// reader reads fields and keeps the first error.
type reader struct {
	rest string
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = ""
}

// at reports whether the next field has that tag, and takes it.
func (r *reader) at(tag byte) bool {
	if len(r.rest) == 0 || r.rest[0] != tag {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) text(field text) {
	switch {
	case !r.at(field.tag):
		return
	case field.packed:
		*field.value = r.id()
	default:
		*field.value = r.part()
	}
	if *field.value == "" {
		r.fail(errField)
	}
}

// uvarint reads a number in its shortest form.
func (r *reader) uvarint() uint64 {
	n := uint64(0)
	for i := 0; i < len(r.rest) && i < maxNumberBytes; i++ {
		b := r.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b >= 0x80 {
			continue
		}
		if i > 0 && b == 0 {
			break
		}
		r.rest = r.rest[i+1:]
		return n
	}
	r.fail(errField)
	return 0
}

// bytes reads a length and as many bytes.
func (r *reader) bytes() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail(errField)
		return ""
	}
	part := r.rest[:n]
	r.rest = r.rest[n:]
	return part
}

func (r *reader) part() string {
	part := r.bytes()
	if !utf8.ValidString(part) {
		r.fail(errText)
		return ""
	}
	return part
}

func (r *reader) number(tag byte) uint64 {
	if !r.at(tag) {
		r.fail(errField)
		return 0
	}
	return r.uvarint()
}

// age is how much older the proof is, in seconds; 0 = it does not say.
func (r *reader) age() uint64 {
	if !r.at(tagProofAge) {
		return 0
	}
	age := r.uvarint()
	if age == 0 {
		r.fail(errField)
	}
	return age
}

func (r *reader) pairs(tag byte) map[string]string {
	if !r.at(tag) {
		return nil
	}
	count := r.uvarint()
	if count == 0 || count > maxPairs {
		r.fail(errPairs)
		return nil
	}
	pairs := make(map[string]string, count)
	last := ""
	for range count {
		name := r.part()
		if name <= last {
			r.fail(errPairs)
			return nil
		}
		pairs[name], last = r.part(), name
	}
	return pairs
}
