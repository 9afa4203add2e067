package admin

import (
	"context"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// File is one file of resource documents: YAML or JSON, several documents each.
type File struct {
	Name    string
	Content []byte
}

// ApplyRequest is a set of documents that shall hold.
type ApplyRequest struct {
	Files []File
	// Owner is set on every object that is written; objects of another owner are refused.
	Owner string
	// Prune deletes the objects of Owner that the files don't name.
	Prune bool
	// MaxPrune is how many may be deleted at most; 0 = 10; -1 = any number.
	MaxPrune int
	// DryRun reports what would be done and does nothing.
	DryRun bool
	// FromConfig tells that the files are the resources of the server's own configuration.
	FromConfig bool
}

// ApplyAction is what became of an object.
type ApplyAction string

// The actions.
const (
	ApplyCreated   ApplyAction = "created"
	ApplyChanged   ApplyAction = "changed"
	ApplyUnchanged ApplyAction = "unchanged"
	ApplyPruned    ApplyAction = "pruned"
)

// Applied is what became of one object.
type Applied struct {
	Kind, Name, Tenant, Owner string
	Action                    ApplyAction
	Revision                  int64
	// File and Line are where the document starts; empty for a pruned object.
	File string
	Line int
	// Before and After are canonical YAML; nil = was or is not there.
	Before, After []byte
}

// ObjectDetail is one object of any kind.
type ObjectDetail struct {
	Kind, Name, UID, Tenant, Owner string
	Revision                       int64
	CreatedAt, UpdatedAt           time.Time
	// Document is canonical YAML that can be applied again.
	Document []byte
}

// RevokeSelector says whose tokens end: exactly one of user (Issuer and Subject), issuer,
// key and everything.
type RevokeSelector struct {
	Issuer, Subject, KID string
	All                  bool
	// Before is until when the tokens were issued; zero = now.
	Before time.Time
}

// Apply makes the documents of r hold, all or none of them.
//
// Errors: countersign.Invalid, Denied, Conflict, Unavailable.
func (a *Admin) Apply(ctx context.Context, actor Actor, r ApplyRequest) ([]Applied, error) {
	return nil, notYet()
}

// Object returns one object of any kind, Service too.
//
// Errors: countersign.NotFound, Unavailable.
func (a *Admin) Object(ctx context.Context, kind, name string) (ObjectDetail, error) {
	return ObjectDetail{}, notYet()
}

// Objects lists the objects of a kind in order of name.
//
// Errors: countersign.Invalid, Unavailable.
func (a *Admin) Objects(ctx context.Context, kind string, page store.Page) ([]ObjectDetail, error) {
	return nil, notYet()
}

// DeleteObject removes one object of any kind.
//
// Errors: countersign.NotFound, Conflict (another revision), Denied, Unavailable.
func (a *Admin) DeleteObject(ctx context.Context, actor Actor, kind, name string, revision int64) error {
	return notYet()
}

// Revoke ends the tokens of a user, of an issuer, under a key, or all of them.
//
// Errors: countersign.Invalid, Denied, Unavailable.
func (a *Admin) Revoke(ctx context.Context, actor Actor, s RevokeSelector) error {
	return notYet()
}

func notYet() error {
	return countersign.NewError(countersign.Unavailable, "", "not in this version yet")
}
