package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/countersign/countersign"
)

// masterBytes is the length of the master key and of every key derived from it.
const masterBytes = 32

// sealVersion is the first byte of what Seal returns.
const sealVersion = 1

// Labels of derived keys. One label, one use.
const (
	labelSeal         = "countersign/seal/v1"
	labelDerive       = "countersign/derive/v1"
	labelClientSecret = "client-secret/v1"
	labelMasterCheck  = "master-key-check/v1"
)

// Master is the master key: it seals private keys at rest and derives others. It is
// never used itself, only keys that are derived from it. Safe for concurrent use.
type Master struct {
	unprintable
	// key returns the bytes; nil in the zero value.
	key func() []byte
}

// ParseMaster reads a master key from text: 32 bytes in hex or in standard base64,
// padded or not, on one line. It is also for keys: {master: {env: NAME}}.
//
// Errors: countersign.Invalid; the text is never in the error.
func ParseMaster(text string) (*Master, error) {
	line := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if line == "" {
		return nil, badMaster("it is empty")
	}
	var raw []byte
	var err error
	if len(line) == hex.EncodedLen(masterBytes) {
		raw, err = hex.DecodeString(line)
	} else {
		raw, err = base64.RawStdEncoding.Strict().DecodeString(strings.TrimSuffix(line, "="))
	}
	// The decoders skip line breaks inside; one line is one line. Their own errors are
	// left out, because they quote the text.
	if err != nil || len(raw) != masterBytes || strings.ContainsAny(line, "\r\n") {
		return nil, badMaster("it is not 32 bytes in base64 or hex on one line")
	}
	if bytes.Count(raw, raw[:1]) == masterBytes {
		return nil, badMaster("all its bytes are the same")
	}
	return &Master{key: func() []byte { return raw }}, nil
}

func badMaster(why string) error {
	return countersign.NewError(countersign.Invalid, "", "the master key can't be used: "+why)
}

// Seal encrypts with AES-256-GCM under a key of its own for each purpose, with a
// random 96-bit nonce; version, purpose, id and deployment are additional data
// (RULES B8). At most 2^32 values may be sealed for one purpose.
func (m *Master) Seal(purpose, id, deployment string, plain []byte) ([]byte, error) {
	aead, err := m.aead(purpose, deployment)
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{sealVersion}, nil, plain, sealedAs(purpose, id, deployment)), nil //nolint:gosec // the mode draws the nonce itself
}

// Unseal is the inverse of Seal.
//
// Errors: countersign.BadSignature if anything differs: the master key, purpose, id,
// deployment, or a bit of sealed.
func (m *Master) Unseal(purpose, id, deployment string, sealed []byte) ([]byte, error) {
	aead, err := m.aead(purpose, deployment)
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 || sealed[0] != sealVersion {
		return nil, countersign.NewError(countersign.BadSignature, "", "a sealed value has an unknown form")
	}
	plain, err := aead.Open(nil, nil, sealed[1:], sealedAs(purpose, id, deployment))
	if err != nil {
		return nil, countersign.WrapError(countersign.BadSignature, "", "a sealed value does not open", err)
	}
	return plain, nil
}

// Derive returns 32 bytes by HKDF-SHA-256 for a label ("client-secret/v1"). Labels of
// Derive and purposes of Seal never give the same key.
//
// Source: RFC 5869.
func (m *Master) Derive(label, deployment string) []byte {
	return m.derive(labelDerive, label, deployment)
}

func (m *Master) derive(parts ...string) []byte {
	key, err := hkdf.Key(sha256.New, m.key(), nil, string(lengthPrefixed(parts...)), masterBytes)
	if err != nil {
		panic("keys: HKDF: " + err.Error()) // only for an output over 8160 bytes
	}
	return key
}

func (m *Master) aead(purpose, deployment string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(m.derive(labelSeal, purpose, deployment))
	if err != nil {
		return nil, fmt.Errorf("make the sealing cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make the sealing mode: %w", err)
	}
	return aead, nil
}

// sealedAs is the additional data of a sealed value.
func sealedAs(purpose, id, deployment string) []byte {
	return append([]byte{sealVersion}, lengthPrefixed(purpose, id, deployment)...)
}

// lengthPrefixed joins parts so that no two lists of parts give the same bytes.
func lengthPrefixed(parts ...string) []byte {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint64(joined, uint64(len(part)))
		joined = append(joined, part...)
	}
	return joined
}
