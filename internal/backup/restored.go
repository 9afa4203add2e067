package backup

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

// Settings of the deployment.
const (
	// MetaEpoch names the count of the feed's numbers.
	MetaEpoch = "epoch"
	// MetaRestored is the newest [Restored], authenticated.
	MetaRestored = "restored"

	labelRestored = "restored/v1"
)

// keepRevocation is how long the revocation of everything is kept: the longest life of a
// session, and the skew that is granted.
const keepRevocation = keys.MaxSessionDuration + 62*time.Second

// Restored is what is said of a restore in the database that it made.
type Restored struct {
	// Epoch is the one that it began.
	Epoch string `json:"epoch"`
	// At is when that was; BackupAt is the moment of the backup.
	At       time.Time `json:"at"`
	BackupAt time.Time `json:"backup_at"`
	// By is who did it: "local:UID".
	By string `json:"by"`
	// KeepSessions: tokens and sessions from before go on.
	KeepSessions bool `json:"keep_sessions,omitempty"`
}

// seal writes r with its MAC before it.
func (r Restored) seal(m *keys.Master, deployment string) (string, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return hex.EncodeToString(restoredMAC(m, deployment, text)) + "." + string(text), nil
}

// ParseRestored reads what a restore wrote. ok = false: who wrote that did not have the master
// key.
func ParseRestored(m *keys.Master, deployment, text string) (r Restored, ok bool) {
	mac, document, found := strings.Cut(text, ".")
	said, err := hex.DecodeString(mac)
	if !found || err != nil || !hmac.Equal(said, restoredMAC(m, deployment, []byte(document))) {
		return Restored{}, false
	}
	if err := json.Unmarshal([]byte(document), &r); err != nil {
		return Restored{}, false
	}
	return r, true
}

func restoredMAC(m *keys.Master, deployment string, text []byte) []byte {
	mac := hmac.New(sha256.New, m.Derive(labelRestored, deployment))
	mac.Write(text)
	return mac.Sum(nil)
}

// Beginning is how a restore ends: it begins another epoch.
type Beginning struct {
	Master       *keys.Master
	File         *File
	By           string
	KeepSessions bool
	Now          time.Time
}

// In writes the beginning of a new epoch in the transaction that makes a restored database
// fit for a server: its name, and unless sessions are kept the end of every key, token and
// session (RULES E6).
//
// Errors: countersign.Unavailable.
func (b Beginning) In(ctx context.Context, tx store.Tx) error {
	if err := tx.Serialize(ctx); err != nil {
		return fmt.Errorf("begin an epoch: %w", err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	r := Restored{
		Epoch: hex.EncodeToString(id[:]), At: b.Now.UTC().Truncate(time.Microsecond), BackupAt: b.File.Header.CreatedAt,
		By: b.By, KeepSessions: b.KeepSessions,
	}
	text, err := r.seal(b.Master, b.File.Header.Deployment)
	if err != nil {
		return err
	}
	for key, value := range map[string]string{MetaEpoch: r.Epoch, MetaRestored: text} {
		if err := tx.SetMeta(ctx, key, value); err != nil {
			return fmt.Errorf("begin an epoch: %w", err)
		}
	}
	// A code that was used since would be good again.
	if err := tx.EndLogins(ctx, b.KeepSessions); err != nil {
		return fmt.Errorf("begin an epoch: %w", err)
	}
	if b.KeepSessions {
		return nil
	}
	if _, err := keys.EndAllIn(ctx, tx, r.At); err != nil {
		return err //nolint:wrapcheck // it has its words
	}
	_, err = tx.PutRevocation(ctx, store.Revocation{All: true, Before: r.At, ExpiresAt: r.At.Add(keepRevocation), CreatedAt: r.At})
	if err != nil {
		return fmt.Errorf("begin an epoch: %w", err)
	}
	return nil
}

// Check refuses a backup that a server with none of these master keys wrote, and returns the
// key that did.
//
// Errors: countersign.Invalid, and as [Open].
func (f *File) Check(masters ...*keys.Master) (*keys.Master, error) {
	for _, m := range masters {
		if m == nil {
			continue
		}
		if ok, err := f.Authentic(m); ok || err != nil {
			return m, err
		}
	}
	return nil, countersign.NewError(countersign.Invalid, countersign.ReasonSignatureInvalid,
		"the backup is not of a server with this master key, or it was changed: put the master key of deployment "+f.Header.Deployment+" in place")
}
