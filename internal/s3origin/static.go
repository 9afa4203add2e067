package s3origin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

const (
	// lookEvery is how often a file of a secret is looked at.
	lookEvery = 5 * time.Second
	// maxSecretFile bounds it.
	maxSecretFile = 4 << 10
)

var errSecretFile = errors.New("the file holds no secret")

// static are long-lived credentials, with a secret from a file.
type static struct {
	id, file string
	now      func() time.Time

	mu     sync.Mutex
	secret countersign.Secret
	looked time.Time
	seen   fileState
}

// fileState tells two contents of a file apart without reading them.
type fileState struct {
	modified time.Time
	size     int64
}

// NewStatic returns credentials with an access key id and the secret that a file holds; it
// is read now, and again when it changes. While it can't be read the last one is used.
//
// Errors: countersign.Invalid.
func NewStatic(accessKeyID, secretFile string, now func() time.Time) (Credentials, error) {
	s := &static{id: accessKeyID, file: secretFile, now: now}
	if s.now == nil {
		s.now = time.Now
	}
	s.looked = s.now()
	if accessKeyID == "" || s.read() != nil {
		return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonParameterInvalid,
			"the credentials of the origin have no access key id, or the file of the secret can't be read", errSecretFile)
	}
	return s, nil
}

// Get implements Credentials.
func (s *static) Get(context.Context) (sigv4.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		_ = s.read() // the last one goes on
	}
	return sigv4.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret}, nil
}

// read takes the secret from the file if that has changed.
func (s *static) read() error {
	file, err := os.Open(s.file)
	if err != nil {
		return withoutPath(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return withoutPath(err)
	}
	state := fileState{info.ModTime(), info.Size()}
	if !s.secret.IsZero() && state == s.seen {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return withoutPath(err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || len(text) > maxSecretFile || strings.ContainsAny(secret, " \t\r\n\x00") {
		return errSecretFile
	}
	s.secret, s.seen = countersign.NewSecret(secret), state
	return nil
}

func withoutPath(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}

// Refused implements Credentials.
func (s *static) Refused(sigv4.Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked, s.seen = time.Time{}, fileState{}
}

// Identity implements Credentials.
func (s *static) Identity() string {
	sum := sha256.Sum256([]byte(s.file))
	return "static " + s.id + " " + hex.EncodeToString(sum[:8])
}

// Close implements Credentials.
func (s *static) Close() error { return nil }
