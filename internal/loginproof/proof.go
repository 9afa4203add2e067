package loginproof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"

	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// Scheme is that of the Authorization header.
const Scheme = "Countersign-Login"

const (
	typ = "countersign-login+jwt"
	// maxProof bounds a proof, in bytes.
	maxProof = 8 << 10
	// maxAge is how old a proof may be, and how far ahead its clock.
	maxAge = time.Minute
)

type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

// Claims are what a proof says.
type Claims struct {
	// Audience is the issuer URL of the server.
	Audience string `json:"aud"`
	// ID is random: a change is taken once.
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	// Method, Target (path and query as sent), HeaderHash and BodyHash are the request's.
	Method     string `json:"htm"`
	Target     string `json:"htu"`
	HeaderHash string `json:"hh"`
	BodyHash   string `json:"bh"`
}

// Proof is one that was read and not verified.
type Proof struct {
	// Login names whose key must have signed it.
	Login  string
	claims Claims
	signed []byte
	sig    []byte
}

// bound are the headers that change what a request means: whose tenant it is about, which
// revision it may change, and how its body is read.
var bound = []string{"X-Active-Tenant-Id", "If-Match", "If-None-Match", "Content-Type"}

// hashHeaders returns what a proof says of the headers: how many values each has, and each
// value with its length before it, so that no two requests have one hash (RULES C6).
func hashHeaders(h http.Header) string {
	var text []byte
	for _, name := range bound {
		text = binary.BigEndian.AppendUint64(text, uint64(len(h[name])))
		for _, value := range h[name] {
			text = binary.BigEndian.AppendUint64(text, uint64(len(value)))
			text = append(text, value...)
		}
	}
	return HashBody(text)
}

// HashBody returns what a proof says of a body.
func HashBody(body []byte) string {
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Target returns what a proof says of a URL.
func Target(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path
}

// Sign returns the value of the Authorization header for r with that body.
func Sign(key ed25519.PrivateKey, login, audience string, r *http.Request, body []byte, now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	claims := Claims{
		Audience: audience, ID: base64.RawURLEncoding.EncodeToString(id[:]), IssuedAt: now.Unix(),
		Method: r.Method, Target: Target(r.URL), HeaderHash: hashHeaders(r.Header), BodyHash: HashBody(body),
	}
	signed := part(header{"EdDSA", typ, login}) + "." + part(claims)
	return Scheme + " " + signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("loginproof: strings and numbers do not encode: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// Present reports whether a request brings a proof, a good one or not.
func Present(h http.Header) bool {
	for _, value := range h["Authorization"] {
		if scheme, _, _ := strings.Cut(value, " "); strings.EqualFold(scheme, Scheme) {
			return true
		}
	}
	return false
}

// Parse reads the proof of a request.
//
// Errors: countersign.BadHeader, BadToken.
func Parse(h http.Header) (Proof, error) {
	values := h["Authorization"]
	if len(values) != 1 || len(h["Service-Authorization"]) > 0 {
		return Proof{}, countersign.NewError(countersign.BadHeader, countersign.ReasonHeaderDuplicated, "a login's proof comes alone")
	}
	_, text, _ := strings.Cut(values[0], " ")
	pieces := strings.Split(text, ".")
	if len(text) > maxProof || len(pieces) != 3 {
		return Proof{}, malformed(nil)
	}
	var (
		p    Proof
		head header
		err  error
	)
	if err = read(pieces[0], &head); err == nil {
		err = read(pieces[1], &p.claims)
	}
	if err != nil {
		return Proof{}, malformed(err)
	}
	if p.sig, err = base64.RawURLEncoding.Strict().DecodeString(pieces[2]); err != nil {
		return Proof{}, malformed(err)
	}
	switch {
	case head.Algorithm != "EdDSA":
		return Proof{}, countersign.NewError(countersign.BadToken, countersign.ReasonAlgNotAllowed, sayRefused)
	case head.Type != typ:
		return Proof{}, countersign.NewError(countersign.BadToken, countersign.ReasonTypMismatch, sayRefused)
	case head.KeyID == "" || p.claims.ID == "" || len(p.claims.ID) > 64:
		return Proof{}, malformed(nil)
	}
	p.Login, p.signed = head.KeyID, []byte(pieces[0]+"."+pieces[1])
	return p, nil
}

func read(text string, into any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields() // crit, jwk and the like
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("more than one value")
	}
	return nil
}

// Verify holds the proof against the key of its login, the server's issuer, and the request's
// head. What the body must be it returns as BodyHash, with the id.
//
// Errors: countersign.BadToken, Skewed.
func (p Proof) Verify(key ed25519.PublicKey, audience string, r *http.Request, now time.Time) (Claims, error) {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, p.signed, p.sig) {
		return Claims{}, refused(countersign.ReasonSignatureInvalid)
	}
	switch age := now.Sub(time.Unix(p.claims.IssuedAt, 0)); {
	case p.claims.Audience != audience:
		return Claims{}, refused(countersign.ReasonAudMismatch)
	case p.claims.Method != r.Method || p.claims.Target != Target(r.URL) || p.claims.HeaderHash != hashHeaders(r.Header):
		return Claims{}, refused(countersign.ReasonClaimInvalid)
	case age > maxAge || age < -maxAge:
		return Claims{}, countersign.NewError(countersign.Skewed, countersign.ReasonClockSkewed, "the clocks of this server and of the caller are more than a minute apart")
	}
	return p.claims, nil
}

// Ends is until when a proof could be shown again.
func (c Claims) Ends() time.Time { return time.Unix(c.IssuedAt, 0).Add(2 * maxAge) }

const sayRefused = "the login does not prove this request"

func refused(reason countersign.Reason) error {
	return countersign.NewError(countersign.BadToken, reason, sayRefused)
}

func malformed(cause error) error {
	return countersign.WrapError(countersign.BadToken, countersign.ReasonTokenMalformed, sayRefused, cause)
}
