package keys

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// sealedAccessKey is the purpose of the seal of an access key's secret.
	sealedAccessKey = "access-key"
	// accessKeyPrefix is that of AWS's own long-lived keys: the prefix decides how a request
	// is proven (RULES D5).
	accessKeyPrefix = "AKIA"
	// accessKeyIDBytes are 80 bits, as 16 characters; accessKeySecretBytes 240, as 40.
	accessKeyIDBytes     = 10
	accessKeySecretBytes = 30
)

// ValidAccessKeyID reports whether a text can be the id of a long-lived access key of ours.
// It does not allocate.
func ValidAccessKeyID(id string) bool {
	rest, ok := strings.CutPrefix(id, accessKeyPrefix)
	if !ok || len(rest) != 16 {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// NewAccessKeyIn draws the id and the secret of an access key and returns it with both, the
// secret sealed (RULES F7). Row has everything else.
//
// Errors: countersign.Invalid (the master key was replaced meanwhile), Unavailable.
func (r *Ring) NewAccessKeyIn(ctx context.Context, tx store.Tx, row store.AccessKey) (store.AccessKey, countersign.Secret, error) {
	if err := tx.Serialize(ctx); err != nil {
		return row, countersign.Secret{}, fmt.Errorf("make an access key: %w", err)
	}
	if err := r.cfg.checkMasterIn(ctx); err != nil {
		return row, countersign.Secret{}, err
	}
	drawn := make([]byte, accessKeyIDBytes+accessKeySecretBytes)
	defer clear(drawn)
	_, _ = rand.Read(drawn) // never fails: crypto/rand ends the program instead
	row.ID = accessKeyPrefix + base32.StdEncoding.EncodeToString(drawn[:accessKeyIDBytes])
	secret := base64.StdEncoding.EncodeToString(drawn[accessKeyIDBytes:])
	var err error
	row.Sealed, err = r.cfg.Master.Seal(sealedAccessKey, accessKeyBinding(&row), r.cfg.DeploymentID, []byte(secret))
	if err != nil {
		return row, countersign.Secret{}, fmt.Errorf("seal an access key: %w", err)
	}
	return row, countersign.NewSecret(secret), nil
}

// OpenAccessKey returns the secret of a stored access key. It does not open when the row was
// given to another service, role or trust statement, or got another end.
//
// Errors: countersign.BadSignature.
func (r *Ring) OpenAccessKey(row store.AccessKey) (countersign.Secret, error) {
	plain, _, err := r.cfg.unseal(sealedAccessKey, accessKeyBinding(&row), row.Sealed)
	if err != nil {
		return countersign.Secret{}, fmt.Errorf("open access key %s: %w", row.ID, err)
	}
	defer clear(plain)
	return countersign.NewSecret(string(plain)), nil
}

// accessKeyBinding is what a sealed secret belongs to.
func accessKeyBinding(row *store.AccessKey) string {
	return string(lengthPrefixed(row.ID, row.UID, row.Service, row.ServiceUID, row.Role, row.RoleUID, row.Trust,
		strconv.FormatInt(row.ExpiresAt.UnixMicro(), 10)))
}

// rewrapAccessKeys seals under the master key the access keys that the previous one sealed.
func (r *Ring) rewrapAccessKeys(ctx context.Context, tx store.Tx) (count int, err error) {
	for after := ""; ; {
		page, err := tx.AccessKeys(ctx, store.AccessKeyFilter{}, store.Page{After: after, Limit: store.MaxLimit})
		if err != nil {
			return 0, fmt.Errorf("read access keys: %w", err)
		}
		for _, row := range page {
			after = row.Name
			sealed, err := r.cfg.reseal(sealedAccessKey, accessKeyBinding(&row), row.Sealed)
			switch {
			case err != nil:
				return 0, fmt.Errorf("rewrap access key %s: %w", row.ID, err)
			case sealed == nil:
				continue
			}
			if err := tx.ResealAccessKey(ctx, row.UID, sealed); err != nil {
				return 0, fmt.Errorf("rewrap access key %s: %w", row.ID, err)
			}
			count++
		}
		if len(page) < store.MaxLimit {
			return count, nil
		}
	}
}

// endAccessKeysIn revokes every access key that lives, and returns how many did.
func endAccessKeysIn(ctx context.Context, tx store.Tx, now time.Time) (count int, err error) {
	for after := ""; ; {
		page, err := tx.AccessKeys(ctx, store.AccessKeyFilter{}, store.Page{After: after, Limit: store.MaxLimit})
		if err != nil {
			return 0, fmt.Errorf("read access keys: %w", err)
		}
		for _, row := range page {
			after = row.Name
			if !row.RevokedAt.IsZero() || !now.Before(row.ExpiresAt) {
				continue
			}
			if err := tx.RevokeAccessKey(ctx, row.UID, now); err != nil {
				return 0, fmt.Errorf("end access key %s: %w", row.ID, err)
			}
			count++
		}
		if len(page) < store.MaxLimit {
			return count, nil
		}
	}
}
