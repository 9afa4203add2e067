package session_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/session"
)

// RULES D5: a reader takes what a writer of this version writes and nothing else: no field
// that it does not know, none twice, none out of order, no rest.
func TestRuleD5DecodeIsStrict(t *testing.T) {
	t.Parallel()
	good := session.Encode(whole())
	if _, err := session.Decode(good); err != nil {
		t.Fatal(err)
	}
	field := func(tag byte, text string) []byte {
		return append([]byte{tag, byte(len(text))}, text...)
	}
	role := field(1, "document-writer")
	tail := good[len(good)-8:] // tag, 5 bytes of seconds; tag, 2 of lifetime, or so
	for name, bad := range map[string][]byte{
		"nothing":          {},
		"unknown field":    append(slices.Clone(good), 200, 1, 'x'),
		"unknown in front": append([]byte{0}, good...),
		"a rest":           append(slices.Clone(good), 0),
		"role twice":       append(slices.Clone(role), good...),
		"no role":          good[len(role):],
		"role at the end":  append(slices.Clone(good[len(role):]), role...),
		"empty role":       append([]byte{1, 0}, good[len(role):]...),
		"long length":      append([]byte{1, 0x8f, 0x00}, good[2:]...),
		"length past end":  {1, 100, 'a'},
		"huge length":      binary.AppendUvarint([]byte{1}, 1<<63),
		"overlong length":  append([]byte{1}, bytes.Repeat([]byte{0xff}, 11)...),
		"times only":       tail,
	} {
		if s, err := session.Decode(bad); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for n := range good {
		if _, err := session.Decode(good[:n]); err == nil {
			t.Errorf("the first %d bytes were taken", n)
		}
	}
}

// Pairs are in order, once each, and few.
func TestRuleD5DecodeIsStrictWithPairs(t *testing.T) {
	t.Parallel()
	in := whole()
	in.Values, in.Tags = nil, map[string]string{"a": "1", "b": "2"}
	good := session.Encode(in)
	pairs := []byte{15, 2, 1, 'a', 1, '1', 1, 'b', 1, '2'}
	if !bytes.Contains(good, pairs) {
		t.Fatal("they are written otherwise")
	}
	many := []byte{15, 65}
	for i := range 65 {
		many = append(many, 1, byte(i+1), 0)
	}
	for name, other := range map[string][]byte{
		"out of order": {15, 2, 1, 'b', 1, '2', 1, 'a', 1, '1'},
		"twice":        {15, 2, 1, 'a', 1, '1', 1, 'a', 1, '2'},
		"no name":      {15, 1, 0, 1, '1'},
		"none":         {15, 0},
		"too few":      {15, 3, 1, 'a', 1, '1', 1, 'b', 1, '2'},
		"not UTF-8":    {15, 1, 1, 'a', 1, 0xff},
		"too many":     many,
		"endless":      binary.AppendUvarint([]byte{15}, 1<<40),
	} {
		if s, err := session.Decode(bytes.Replace(good, pairs, other, 1)); err == nil {
			t.Errorf("%s: %v", name, s.Tags)
		}
	}
}

// Ids are short in the token, and each has one form.
func TestIDsArePacked(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct {
		form byte
		size int
	}{
		"00112233445566778899aabbccddeeff":            {2, 16},
		"0190a5f2-0000-7000-8000-000000000001":        {1, 16},
		"jx2yPQ0nN1ZJ0gQnX6dCk4Gz0Zq5b8p1bQ5r0m2kq1s": {3, 32},
		"0190A5F2-0000-7000-8000-000000000001":        {3, 27}, // which it could be as well
		"AABB":                                        {3, 3},
		"some id":                                     {0, 7},
		"a":                                           {0, 1},
		strings.Repeat("ä", 10):                       {0, 20},
	} {
		if form, raw := session.PackID(id); form != want.form || len(raw) != want.size {
			t.Errorf("%s: form %d, %d bytes; want %+v", id, form, len(raw), want)
		}
		in := whole()
		in.TokenID = id
		out, err := session.Decode(session.Encode(in))
		if err != nil || out.TokenID != id {
			t.Errorf("%s came back as %s: %v", id, out.TokenID, err)
		}
	}
	// In another form than ours, an id is refused.
	good := session.Encode(whole())
	packed := append([]byte{16, 1, 16}, 0x01, 0x90, 0xa5, 0xf2)
	if !bytes.Contains(good, packed) {
		t.Fatal("the token id is written otherwise")
	}
	raw := good[bytes.Index(good, packed)+3:][:16]
	whole := append([]byte{16, 1, 16}, raw...)
	for name, other := range map[string][]byte{
		"bytes as a text":    append([]byte{16, 0, 16}, raw...),
		"a form to come":     append([]byte{16, 4, 16}, raw...),
		"a UUID as a text":   append([]byte{16, 0, 36}, "0190a5f2-0000-7000-8000-000000000001"...),
		"hex as a text":      append([]byte{16, 0, 4}, "aabb"...),
		"hex as base64":      append([]byte{16, 3, 3}, 0x69, 0xa6, 0xdb),
		"a UUID that is cut": append([]byte{16, 1, 15}, raw[:15]...),
		"empty hex":          {16, 2, 0},
		"no form":            {16},
	} {
		if s, err := session.Decode(bytes.Replace(good, whole, other, 1)); err == nil {
			t.Errorf("%s: %q", name, s.TokenID)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(session.Encode(whole()))
	small := whole()
	small.Values, small.Tags, small.Policy, small.TokenID, small.KID, small.Tenant = nil, nil, "", "a b", "k", ""
	f.Add(session.Encode(small))
	f.Add([]byte{})
	f.Add([]byte{1, 1, 'a', 2, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := session.Decode(b)
		if err != nil {
			return
		}
		if err := session.Check(s); err != nil {
			t.Fatalf("%x was read, and Mint would refuse it: %v", b, err)
		}
		if again := session.Encode(s); !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
	})
}

func FuzzOpen(f *testing.F) {
	r := newRig(f)
	c, minted := r.mint(f, whole())
	id, token := c.AccessKeyID, c.SessionToken.Reveal()
	f.Add(id, token)
	f.Add(id, token[1:])
	f.Add(id, "AQ"+token[2:])
	f.Add("AKIA"+id[4:], token)
	f.Add("", "")
	f.Add(id, textOf(append([]byte{1}, make([]byte, 60)...)))
	f.Fuzz(func(t *testing.T, someID, someToken string) {
		opened, secret, err := r.Open(someID, secretOf(someToken))
		if err != nil {
			if !secret.IsZero() || opened.Role != "" {
				t.Fatal("a refused token gave something away")
			}
			return
		}
		if someID != id || someToken != token || !secret.Equal(c.SecretAccessKey) || !cmp.Equal(minted, opened) {
			t.Fatalf("%q was opened with %q", someToken, someID)
		}
	})
}

// FuzzMintOpen holds Open(Mint(x)) == x.
func FuzzMintOpen(f *testing.F) {
	r := newRig(f)
	f.Add("writer", "alice", "arn:aws:iam::1:root", "v", "a", "b", "0011", uint16(900), byte(0))
	f.Add("a", "\x00", "https://idp", "", "ä", "", "0190a5f2-0000-7000-8000-000000000001", uint16(43200), byte(1))
	f.Add("", "", "", "", "", "", "", uint16(0), byte(2))
	f.Fuzz(func(t *testing.T, role, subject, issuer, policy, name, value, id string, life uint16, kind byte) {
		s := session.Session{
			Role: role, RoleUID: id, Name: subject, Issuer: issuer, Subject: subject, Fingerprint: id, Policy: policy,
			Tags: map[string]string{name: value}, Values: map[string]string{value: name, name + "x": id},
			TokenID: id, KID: policy, IssuedAt: start, ExpiresAt: start.Add(time.Duration(life) * time.Second),
		}
		switch kind % 3 {
		case 0:
			s.Kind, s.IssuerUID = session.OIDC, id
		case 1:
			s.Kind, s.AWSAccount = session.AWS, value
		case 2:
			s.Kind, s.Service, s.ServiceUID = session.Service, role, id
		}
		c, minted, err := r.Mint(s)
		if err != nil {
			return
		}
		if len(c.SessionToken.Reveal()) > session.MaxTokenBytes {
			t.Fatalf("a token of %d bytes", len(c.SessionToken.Reveal()))
		}
		opened, secret, err := r.Open(c.AccessKeyID, c.SessionToken)
		if err != nil || !secret.Equal(c.SecretAccessKey) {
			t.Fatalf("Open: %v", err)
		}
		s.AccessKeyID, s.SealedBy = c.AccessKeyID, minted.SealedBy
		if diff := cmp.Diff(s, opened); diff != "" {
			t.Fatalf("(-want +got): %s", diff)
		}
	})
}

// RULES D5, by the standard library's HKDF: separate labels; access key id and deployment id
// in the info; version, key id and both in the additional data.
func TestRuleD5DerivedByHKDF(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, minted := r.mint(t, whole())
	raw := rawOf(t, c.SessionToken)
	key, ok := r.ring.SealingKey(minted.SealedBy)
	if !ok || raw[0] != 1 || textOf(raw[1:13]) != minted.SealedBy {
		t.Fatalf("version %d, key %s of %s", raw[0], textOf(raw[1:13]), minted.SealedBy)
	}
	parts := func(parts ...string) string {
		var b []byte
		for _, part := range parts {
			b = append(append(b, byte(len(part))), part...)
		}
		return string(b)
	}
	derive := func(label string, n int) []byte {
		out, err := hkdf.Key(sha256.New, key, raw[13:29], parts(label, c.AccessKeyID, "test"), n)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if textOf(derive("secret/v1", 30)) != c.SecretAccessKey.Reveal() {
		t.Error("the secret access key is another one")
	}
	block, err := aes.NewCipher(derive("seal/v1", 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	bound := append(slices.Clone(raw[:13]), parts(c.AccessKeyID, "test")...)
	plain, err := aead.Open(nil, make([]byte, 12), raw[29:], bound)
	if err != nil || !bytes.Equal(plain, session.Encode(minted)) {
		t.Errorf("it does not open: %v", err)
	}
}
