package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// assumer does the unavoidable work of AssumeRoleWithWebIdentity: one signature to check,
// one session to seal, one event to make durable.
type assumer struct {
	key     any
	sealing []byte
	log     *appender
	n       atomic.Int64
}

func newAssumer(path string, log *appender) (*assumer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	a := &assumer{key: key, sealing: make([]byte, 32), log: log}
	_, _ = rand.Read(a.sealing)
	return a, nil
}

// session is as long as a typical one is when it is sealed.
const session = `0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789` +
	`0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789`

func (a *assumer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "read", http.StatusBadRequest)
		return
	}
	// The token is the last parameter, and nothing in it is escaped.
	_, token, _ := strings.Cut(string(body), "&WebIdentityToken=")
	if !a.verified(token) {
		http.Error(w, "verify", http.StatusForbidden)
		return
	}
	sealed, secret, err := a.seal()
	if err != nil {
		http.Error(w, "seal", http.StatusInternalServerError)
		return
	}
	id := strconv.FormatInt(a.n.Add(1), 10)
	if a.log != nil {
		if err := a.log.append(record(id)); err != nil {
			http.Error(w, "append", http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`+
		`<AssumeRoleWithWebIdentityResult><SubjectFromWebIdentityToken>build:main</SubjectFromWebIdentityToken>`+
		`<Audience>sts-clients</Audience><AssumedRoleUser><AssumedRoleId>AROA00000000000000000:job-7</AssumedRoleId>`+
		`<Arn>arn:aws:sts::000000000000:assumed-role/writer/job-7</Arn></AssumedRoleUser><Credentials>`+
		`<AccessKeyId>ASIA0000000000000000</AccessKeyId><SecretAccessKey>`+secret+`</SecretAccessKey><SessionToken>`+sealed+
		`</SessionToken><Expiration>2026-03-01T12:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>`+
		`<ResponseMetadata><RequestId>`+id+`</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`)
}

// verified checks the signature, as ES256 or RS256 by the type of the key.
func (a *assumer) verified(token string) bool {
	dot := strings.LastIndexByte(token, '.')
	if dot < 0 {
		return false
	}
	signed, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(token[:dot]))
	switch key := a.key.(type) {
	case *ecdsa.PublicKey:
		return len(signed) == 64 && ecdsa.VerifyASN1(key, digest[:], asn1(signed))
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signed) == nil
	}
	return false
}

// asn1 is the form that the standard library takes.
func asn1(signed []byte) []byte {
	out := []byte{0x30, 0}
	for _, number := range [][]byte{signed[:32], signed[32:]} {
		for len(number) > 1 && number[0] == 0 {
			number = number[1:]
		}
		if number[0] >= 0x80 {
			out = append(out, 2, byte(len(number)+1), 0) //nolint:gosec // G115: at most 33
		} else {
			out = append(out, 2, byte(len(number))) //nolint:gosec // G115: at most 32
		}
		out = append(out, number...)
	}
	out[1] = byte(len(out) - 2) //nolint:gosec // G115: at most 70
	return out
}

// seal derives a key and a secret of this session alone, and seals the session.
func (a *assumer) seal() (token, secret string, err error) {
	salt := make([]byte, 16, 16+len(session)+16)
	_, _ = rand.Read(salt)
	derived, err := hkdf.Key(sha256.New, a.sealing, salt, "seal", 32+30)
	if err != nil {
		return "", "", err
	}
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return "", "", err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return "", "", err
	}
	sealed := aead.Seal(salt, make([]byte, aead.NonceSize()), []byte(session), salt) //nolint:gosec // G407: the key is of this session alone
	return base64.RawURLEncoding.EncodeToString(sealed), base64.RawURLEncoding.EncodeToString(derived[32:]), nil
}
