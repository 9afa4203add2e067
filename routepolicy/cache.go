package routepolicy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// cached is the cache file: what was fetched, with the keys that signed it.
type cached struct {
	Keys     json.RawMessage `json:"keys"`
	Policies string          `json:"policies"`
}

// fromCache takes over what an earlier process kept. A file that is not ours, or that
// others can write, is not believed.
func (f *Follower) fromCache() {
	if f.cfg.CacheFile == "" {
		return
	}
	if err := f.readCache(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.cfg.OnError(fmt.Errorf("cached route policies: %w", err))
	}
}

func (f *Follower) readCache() error {
	info, err := os.Lstat(f.cfg.CacheFile)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() > 2*maxPolicyBytes {
		return errDocument
	}
	text, err := os.ReadFile(f.cfg.CacheFile)
	if err != nil {
		return err
	}
	var kept cached
	if err := strict(text, &kept); err != nil {
		return errDocument
	}
	keys, err := parseKeys(kept.Keys)
	if err != nil {
		return err
	}
	f.keys, f.keysText = keys, kept.Keys
	return f.take(kept.Policies, false)
}

// toCache replaces the file: a crash leaves the old one or the new one.
func (f *Follower) toCache(signed string) {
	if f.cfg.CacheFile == "" {
		return
	}
	text, err := json.Marshal(cached{Keys: f.keysText, Policies: signed})
	if err == nil {
		temp := f.cfg.CacheFile + ".new"
		if err = os.WriteFile(temp, text, 0o600); err == nil {
			err = os.Rename(temp, f.cfg.CacheFile)
		}
	}
	if err != nil {
		f.cfg.OnError(fmt.Errorf("keep route policies: %w", err))
	}
}
