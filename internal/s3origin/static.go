package s3origin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

const (
	// lookEvery is how often a file of a secret is read.
	lookEvery = 5 * time.Second
	// maxSecretFile bounds it.
	maxSecretFile = 4 << 10
)

var errSecretFile = errors.New("the file holds no secret")

// static are long-lived credentials, with a secret from a file.
type static struct {
	id, file string
	read     func(path string) ([]byte, error)
	now      func() time.Time

	mu     sync.Mutex
	secret countersign.Secret
	looked time.Time
}

// NewStatic returns credentials with an access key id and the secret that a file holds. The
// file is read now, and again every 5 seconds of use: a new secret needs no restart. While
// it can't be read the last one is used. now may be nil.
//
// Errors: countersign.Invalid for an empty id; countersign.Unavailable when the file holds
// no secret; those of read.
func NewStatic(accessKeyID, file string, read func(path string) ([]byte, error), now func() time.Time) (Credentials, error) {
	if now == nil {
		now = time.Now
	}
	if accessKeyID == "" {
		return nil, invalid("the credentials of an origin have no access key id")
	}
	s := &static{id: accessKeyID, file: file, read: read, now: now, looked: now()}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Get implements Credentials.
func (s *static) Get(context.Context) (sigv4.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		_ = s.load() // the last one goes on
	}
	return sigv4.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret}, nil
}

func (s *static) load() error {
	text, err := s.read(s.file)
	if err != nil {
		return fmt.Errorf("read the origin's secret: %w", err)
	}
	secret := bytes.TrimSpace(text)
	if len(secret) == 0 || len(text) > maxSecretFile || bytes.ContainsAny(secret, " \t\r\n\x00") {
		return countersign.WrapError(countersign.Unavailable, "", "", errSecretFile)
	}
	s.secret = countersign.NewSecret(string(secret))
	return nil
}

// Refused implements Credentials.
func (s *static) Refused(sigv4.Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked = time.Time{}
}

// Identity implements Credentials.
func (s *static) Identity() string {
	sum := sha256.Sum256([]byte(s.file))
	return "static " + s.id + " " + hex.EncodeToString(sum[:])
}

// Close implements Credentials.
func (s *static) Close() error { return nil }
