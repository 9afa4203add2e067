package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

const (
	// version is the first byte of a token. Another one is another form.
	version = 1

	saltBytes   = 16
	headBytes   = 1 + keys.SealingKIDBytes + saltBytes
	tagBytes    = 16
	secretBytes = 30 // 40 characters, as AWS has

	// maxPlainBytes is what fits into MaxTokenBytes of base64url.
	maxPlainBytes = MaxTokenBytes*6/8 - headBytes - tagBytes

	// The labels keep the two derived keys apart. One label, one use.
	labelSeal   = "seal/v1"
	labelSecret = "secret/v1"
)

// envelope is what of a token is not encrypted, and what it is bound to.
type envelope struct {
	head        []byte // version, key id, salt
	kid         string
	accessKeyID string
	deployment  string
}

// newEnvelope draws a salt. It has room for so many bytes to seal.
func newEnvelope(kid, accessKeyID, deployment string, plainBytes int) (envelope, error) {
	id, err := strict.DecodeString(kid)
	if err != nil || len(id) != keys.SealingKIDBytes {
		return envelope{}, countersign.NewError(countersign.Internal, "", "a sealing key has an id of another form")
	}
	head := make([]byte, headBytes, headBytes+plainBytes+tagBytes)
	head[0] = version
	copy(head[1:], id)
	_, _ = rand.Read(head[headBytes-saltBytes:]) // never fails: crypto/rand ends the program instead
	return envelope{head: head, kid: kid, accessKeyID: accessKeyID, deployment: deployment}, nil
}

// parseEnvelope reads the head of a token and returns what is sealed.
func parseEnvelope(token, accessKeyID, deployment string) (e envelope, sealed []byte, err error) {
	if len(token) > MaxTokenBytes {
		return envelope{}, nil, badToken(countersign.ReasonTokenTooLarge, nil)
	}
	// The decoder skips line breaks, and a token has one text only.
	if strings.ContainsAny(token, "\r\n") {
		return envelope{}, nil, badToken(countersign.ReasonTokenMalformed, nil)
	}
	raw, err := strict.DecodeString(token)
	if err != nil || len(raw) <= headBytes+tagBytes || raw[0] != version {
		return envelope{}, nil, badToken(countersign.ReasonTokenMalformed, nil) // the decoder's error quotes the text
	}
	head := raw[:headBytes:headBytes]
	kid := base64.RawURLEncoding.EncodeToString(head[1 : headBytes-saltBytes])
	return envelope{head: head, kid: kid, accessKeyID: accessKeyID, deployment: deployment}, raw[headBytes:], nil
}

// seal returns the token and the secret access key.
func (e envelope) seal(key, plain []byte) (token, secret string, err error) {
	aead, secret, err := e.derive(key)
	if err != nil {
		return "", "", err
	}
	sealed := aead.Seal(e.head, e.nonce(aead), plain, e.bound()) //nolint:gosec // G407: the key is of this token alone, see nonce
	return base64.RawURLEncoding.EncodeToString(sealed), secret, nil
}

// open is the inverse of seal.
//
// Errors: countersign.BadToken.
func (e envelope) open(key, sealed []byte) (plain []byte, secret string, err error) {
	aead, secret, err := e.derive(key)
	if err != nil {
		return nil, "", err
	}
	plain, err = aead.Open(sealed[:0], e.nonce(aead), sealed, e.bound())
	if err != nil {
		return nil, "", badToken(countersign.ReasonSignatureInvalid, err)
	}
	return plain, secret, nil
}

// derive makes the two keys of this token.
//
// Source: RFC 5869 §2.
func (e envelope) derive(key []byte) (aead cipher.AEAD, secret string, err error) {
	extracted, err := hkdf.Extract(sha256.New, key, e.head[headBytes-saltBytes:])
	if err != nil {
		return nil, "", fmt.Errorf("derive the keys of a session: %w", err)
	}
	mac := hmac.New(sha256.New, extracted)
	block, err := aes.NewCipher(e.expand(mac, labelSeal))
	if err != nil {
		return nil, "", fmt.Errorf("make the cipher of a session: %w", err)
	}
	if aead, err = cipher.NewGCM(block); err != nil {
		return nil, "", fmt.Errorf("make the mode of a session: %w", err)
	}
	return aead, base64.RawURLEncoding.EncodeToString(e.expand(mac, labelSecret)[:secretBytes]), nil
}

// expand is HKDF's second step for one block of output, over label, access key id and
// deployment id, which no others give the same bytes as. The package of the standard library
// does the same; it makes the HMAC anew each time, which is a third of the work of Open.
//
// Source: RFC 5869 §2.3.
func (e envelope) expand(mac hash.Hash, label string) []byte {
	info := make([]byte, 0, 96)
	info = appendPart(info, label)
	info = appendPart(info, e.accessKeyID)
	info = appendPart(info, e.deployment)
	mac.Reset()
	_, _ = mac.Write(append(info, 1)) // a hash never fails
	return mac.Sum(nil)
}

// bound is the additional data: version, key id, access key id, deployment id.
func (e envelope) bound() []byte {
	b := make([]byte, 0, 96)
	b = append(b, e.head[:headBytes-saltBytes]...)
	b = appendPart(b, e.accessKeyID)
	return appendPart(b, e.deployment)
}

// nonce is fixed: each token has a key of its own, which seals once.
func (envelope) nonce(aead cipher.AEAD) []byte { return make([]byte, aead.NonceSize()) }

func appendPart(b []byte, part string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}
