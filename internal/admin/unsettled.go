package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// unsettled are the changes whose revocation holds in this process and is not in the
// store: its commit failed, or was slow, or it was made here alone. There is at most one for
// each such change. With a file they outlive the process too.
type unsettled struct {
	turn chan struct{} // holds one token: who has it settles

	mu      sync.Mutex
	file    string // "" = none
	changes []*change
}

// pendingDocument is the file: JSON, nothing in it is secret.
type pendingDocument struct {
	Changes []pendingChange `json:"changes"`
}

type pendingChange struct {
	Actor       string              `json:"actor"`
	Proof       string              `json:"proof"`
	TokenID     string              `json:"token_id,omitempty"`
	Widened     bool                `json:"widened,omitempty"`
	Revocations []pendingRevocation `json:"revocations"`
}

// pendingRevocation is a store.Revocation without the number that it does not have yet.
type pendingRevocation struct {
	JTI        string    `json:"jti,omitempty"`
	Service    string    `json:"service,omitempty"`
	ServiceUID string    `json:"service_uid,omitempty"`
	Issuer     string    `json:"issuer,omitempty"`
	Subject    string    `json:"subject,omitempty"`
	KID        string    `json:"kid,omitempty"`
	All        bool      `json:"all,omitempty"`
	Role       string    `json:"role,omitempty"`
	RoleUID    string    `json:"role_uid,omitempty"`
	Session    string    `json:"session,omitempty"`
	Before     time.Time `json:"before,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
}

// newUnsettled reads what an earlier process left in the file.
func newUnsettled(file string) (*unsettled, error) {
	u := &unsettled{turn: make(chan struct{}, 1), file: file}
	u.turn <- struct{}{}
	if file == "" {
		return u, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	var doc pendingDocument
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		// To go on without it would revive what somebody revoked.
		return nil, countersign.WrapError(countersign.Invalid, "", file+" can't be read: it holds revocations that are not stored yet", err)
	}
	for _, p := range doc.Changes {
		c := &change{actor: Actor{ID: p.Actor, Proof: p.Proof}, action: "revoke", tokenID: p.TokenID, widened: p.Widened}
		for _, r := range p.Revocations {
			c.revocations = append(c.revocations, store.Revocation{
				JTI: r.JTI, Service: r.Service, ServiceUID: r.ServiceUID, Issuer: r.Issuer, Subject: r.Subject,
				KID: r.KID, All: r.All, Role: r.Role, RoleUID: r.RoleUID, Session: r.Session,
				Before: r.Before, ExpiresAt: r.ExpiresAt, CreatedAt: r.CreatedAt,
			})
		}
		u.changes = append(u.changes, c)
	}
	return u, nil
}

// add keeps c also when the file can't be written, and says so.
func (u *unsettled) add(c *change) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes = append(u.changes, c)
	return u.write()
}

// all returns what is there; it stays until it is dropped.
func (u *unsettled) all() []*change {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.changes)
}

// drop forgets the first n.
func (u *unsettled) drop(n int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes = slices.Clone(u.changes[n:])
	return u.write()
}

// write replaces the file, durably; without changes there is none.
func (u *unsettled) write() error {
	if u.file == "" {
		return nil
	}
	if len(u.changes) == 0 {
		if err := os.Remove(u.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return notKept(err)
		}
		return nil
	}
	var doc pendingDocument
	for _, c := range u.changes {
		p := pendingChange{Actor: c.actor.ID, Proof: c.actor.Proof, TokenID: c.tokenID, Widened: c.widened}
		for _, r := range c.revocations {
			p.Revocations = append(p.Revocations, pendingRevocation{
				JTI: r.JTI, Service: r.Service, ServiceUID: r.ServiceUID, Issuer: r.Issuer, Subject: r.Subject,
				KID: r.KID, All: r.All, Role: r.Role, RoleUID: r.RoleUID, Session: r.Session,
				Before: r.Before, ExpiresAt: r.ExpiresAt, CreatedAt: r.CreatedAt,
			})
		}
		doc.Changes = append(doc.Changes, p)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return notKept(err)
	}
	if err := replaceFile(u.file, append(text, '\n')); err != nil {
		return notKept(err)
	}
	return nil
}

func notKept(err error) error {
	return countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable,
		"it holds here, but a restart would forget it: the data folder can't be written", err)
}

// replaceFile writes content so that a crash leaves the old file or the new one.
func replaceFile(path string, content []byte) error {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}
