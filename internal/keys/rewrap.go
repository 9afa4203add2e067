package keys

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

const (
	// metaMasterCheck holds a value derived from the master key, so that another one is
	// noticed before it seals anything. It gives nothing away: HKDF is one-way.
	metaMasterCheck = "master_key_check"
	// metaSecretKey holds the key of the client secrets' hashes, sealed.
	metaSecretKey = "client_secret_key"
	// sealedSecretKey is its purpose and id as a sealed value.
	sealedSecretKey = "client-secret"
)

// unseal opens a value with the master key or the one before, and tells which did.
//
// Errors: countersign.BadSignature.
func (cfg Config) unseal(purpose, id string, sealed []byte) (plain []byte, current bool, err error) {
	plain, err = cfg.Master.Unseal(purpose, id, cfg.DeploymentID, sealed)
	if err == nil || cfg.PreviousMaster == nil {
		return plain, err == nil, err
	}
	plain, err = cfg.PreviousMaster.Unseal(purpose, id, cfg.DeploymentID, sealed)
	return plain, false, err
}

func (cfg Config) check(m *Master) string {
	return base64.RawURLEncoding.EncodeToString(m.Derive(labelMasterCheck, cfg.DeploymentID))
}

// checkMaster refuses a master key that is neither that of the store nor, with the
// store's as the previous one, its successor.
func (cfg Config) checkMaster(ctx context.Context) error {
	stored, err := cfg.Store.SetMetaIfAbsent(ctx, metaMasterCheck, cfg.check(cfg.Master))
	if err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	if !cfg.knows(stored) {
		return countersign.NewError(countersign.Invalid, "",
			"the master key is not the one that this store was made with: put that one back")
	}
	return nil
}

// checkMasterIn refuses to seal when another process has rewrapped everything since our
// start: with a master key that we don't have, nobody would open what we make. After
// Serialize that can't happen any more.
func (cfg Config) checkMasterIn(ctx context.Context) error {
	stored, err := cfg.Store.Meta(ctx, metaMasterCheck)
	if err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	if !cfg.knows(stored) {
		return countersign.NewError(countersign.Invalid, "",
			"the master key was replaced while this process ran: start it with the new one")
	}
	return nil
}

// knows reports whether a check is that of one of our master keys.
func (cfg Config) knows(check string) bool {
	return check == cfg.check(cfg.Master) || cfg.PreviousMaster != nil && check == cfg.check(cfg.PreviousMaster)
}

// secretKey returns the key of the client secrets' hashes. It is a sealed value of its own,
// so that it outlives the master key. A store from before has hashes under a key that was
// derived from that.
func (cfg Config) secretKey(ctx context.Context, before bool) ([]byte, error) {
	text, err := cfg.Store.Meta(ctx, metaSecretKey)
	if errors.Is(err, countersign.NotFound) {
		text, err = cfg.makeSecretKey(ctx, before)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of client secrets: %w", err)
	}
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, countersign.WrapError(countersign.Invalid, "", "the key of client secrets can't be read", err)
	}
	key, _, err := cfg.unseal(sealedSecretKey, sealedSecretKey, sealed)
	if err != nil || len(key) != masterBytes {
		return nil, countersign.WrapError(countersign.Invalid, "", "the key of client secrets does not open", err)
	}
	return key, nil
}

// makeSecretKey stores one unless another process was faster, and returns what is stored.
func (cfg Config) makeSecretKey(ctx context.Context, before bool) (string, error) {
	key := make([]byte, masterBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
	if before {
		origin := cfg.Master
		stored, err := cfg.Store.Meta(ctx, metaMasterCheck)
		if err != nil {
			return "", err //nolint:wrapcheck // the caller does
		}
		if stored != cfg.check(cfg.Master) {
			origin = cfg.PreviousMaster
		}
		key = origin.Derive(labelClientSecret, cfg.DeploymentID)
	}
	sealed, err := cfg.Master.Seal(sealedSecretKey, sealedSecretKey, cfg.DeploymentID, key)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return cfg.Store.SetMetaIfAbsent(ctx, metaSecretKey, base64.RawStdEncoding.EncodeToString(sealed)) //nolint:wrapcheck // the caller does
}

// RewrapIn seals under the master key everything that the previous one sealed, and returns
// how many values that were (RULES B8). After it the previous one is not needed any more.
//
// Errors: countersign.Invalid (a value that neither opens), Unavailable.
func (r *Ring) RewrapIn(ctx context.Context, tx store.Tx) (count int, err error) {
	if err := tx.Serialize(ctx); err != nil {
		return 0, fmt.Errorf("rewrap: %w", err)
	}
	for _, p := range purposes {
		rows, err := tx.SigningKeys(ctx, string(p))
		if err != nil {
			return 0, fmt.Errorf("read %s keys: %w", p, err)
		}
		for _, row := range rows {
			sealed, err := r.cfg.reseal(string(p), row.KID, row.Sealed)
			switch {
			case err != nil:
				return 0, fmt.Errorf("rewrap %s key %s: %w", p, row.KID, err)
			case sealed == nil:
				continue
			}
			if err := tx.ResealSigningKey(ctx, row.KID, sealed); err != nil {
				return 0, fmt.Errorf("rewrap %s key %s: %w", p, row.KID, err)
			}
			count++
		}
	}
	accessKeys, err := r.rewrapAccessKeys(ctx, tx)
	if err != nil {
		return 0, err
	}
	again, err := r.rewrapSecretKey(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("rewrap the key of client secrets: %w", err)
	}
	if err := tx.SetMeta(ctx, metaMasterCheck, r.cfg.check(r.cfg.Master)); err != nil {
		return 0, fmt.Errorf("note the master key: %w", err)
	}
	return count + accessKeys + again, nil
}

// reseal returns the value under the master key; nil when it is so already.
func (cfg Config) reseal(purpose, id string, sealed []byte) ([]byte, error) {
	plain, current, err := cfg.unseal(purpose, id, sealed)
	if err != nil {
		return nil, countersign.WrapError(countersign.Invalid, "", "it does not open", err)
	}
	defer clear(plain)
	if current {
		return nil, nil
	}
	return cfg.Master.Seal(purpose, id, cfg.DeploymentID, plain)
}

func (r *Ring) rewrapSecretKey(ctx context.Context, tx store.Tx) (int, error) {
	text, err := r.cfg.Store.Meta(ctx, metaSecretKey)
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller does
	}
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return 0, countersign.WrapError(countersign.Invalid, "", "it can't be read", err)
	}
	again, err := r.cfg.reseal(sealedSecretKey, sealedSecretKey, sealed)
	if err != nil || again == nil {
		return 0, err
	}
	return 1, tx.SetMeta(ctx, metaSecretKey, base64.RawStdEncoding.EncodeToString(again)) //nolint:wrapcheck // the caller does
}
