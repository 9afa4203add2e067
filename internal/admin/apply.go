package admin

import (
	"context"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// defaultMaxPrune is how many objects may be deleted without having said so (RULES A9).
const defaultMaxPrune = 10

// File is one file of resource documents: YAML or JSON, several documents each.
type File struct {
	Name    string
	Content []byte
}

// ApplyRequest is a set of documents that shall hold.
type ApplyRequest struct {
	Files []File
	// Owner is the label of the pipeline: it is set on every object that is written, and
	// objects of another owner are refused. "" = none. FromConfig has one of its own.
	Owner string
	// Prune deletes the objects of Owner that the files don't name. Disabled services
	// stay: deleting one and applying it again would clear an operator's lock (RULES A9).
	Prune bool
	// MaxPrune is how many may be deleted at most; 0 = 10; -1 = any number.
	MaxPrune int
	// DryRun reports what would be done and does nothing; MaxPrune does not matter then.
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
	// Warnings are what package lint found in the document.
	Warnings []lint.Finding
}

// ObjectDetail is one object of any kind.
type ObjectDetail struct {
	Kind, Name, UID, Tenant, Owner string
	Revision                       int64
	CreatedAt, UpdatedAt           time.Time
	// Document is canonical YAML that can be applied again.
	Document []byte
	// State is that of an access key: live, revoked, expired or ended; "" for other kinds.
	State string
}

// Apply makes the documents of r hold, all or none of them, in one transaction with an
// audit event for each object that it changed. What package lint calls an error is refused
// (RULES D10). Whether a service is disabled and what is
// revoked it never touches (RULES A9). A service that loses a scope or an audience, or
// is pruned, loses its live tokens.
//
// The result is in the order of the documents, what is pruned behind them.
//
// Errors: countersign.Invalid ([*resource.Error] in the chain when it is the documents),
// Denied (RULES A4, A7, A8; or the object comes from the server's configuration),
// Conflict (another owner's object, or too many to prune), Unavailable.
func (a *Admin) Apply(ctx context.Context, actor Actor, r ApplyRequest) ([]Applied, error) {
	c := &change{actor: actor, action: "apply", several: true}
	documents, err := a.checkApply(actor, &r)
	if err != nil {
		return nil, a.refused(ctx, c, err)
	}
	if r.DryRun {
		p := &plan{admin: a, actor: actor, request: r, documents: documents}
		if err := p.make(ctx, a.store); err != nil {
			return nil, a.refused(ctx, c, err)
		}
		return p.applied(), nil
	}
	// Before anything is locked; once more under the lock if the issuers are others then.
	early, err := a.lint(ctx, a.store, documents, func(string, string) bool { return false }, nil)
	if err != nil {
		return nil, a.refused(ctx, c, err)
	}
	var made []Applied
	err = a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		p := &plan{admin: a, actor: actor, request: r, documents: documents, linted: early}
		if err := p.make(ctx, tx); err != nil {
			return err
		}
		if err := p.checkPrune(); err != nil {
			return err
		}
		if err := p.write(ctx, tx, c); err != nil {
			return err
		}
		made = p.applied()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.FromConfig {
		a.configured.add(documents)
	}
	return made, nil
}

// checkApply checks what needs no database.
func (a *Admin) checkApply(actor Actor, r *ApplyRequest) ([]resource.Document, error) {
	switch {
	case r.FromConfig:
		r.Owner = ownerConfig
	case actor.Owner != "" && r.Owner == "":
		r.Owner = actor.Owner
	case r.Owner != "" && !countersign.ValidName(r.Owner):
		return nil, invalid(countersign.ReasonNameInvalid, "an owner is written like a name")
	case r.Prune && r.Owner == "":
		return nil, invalid(countersign.ReasonParameterMissing, "pruning needs an owner: only objects of the same owner are deleted")
	}
	if r.MaxPrune < -1 {
		return nil, invalid(countersign.ReasonParameterInvalid, "the most that may be pruned is a number, or -1 for any")
	}
	files := make([]resource.File, 0, len(r.Files))
	for _, f := range r.Files {
		files = append(files, resource.File(f))
	}
	documents, err := resource.Parse(files)
	if err != nil {
		return nil, err
	}
	for i := range documents {
		if err := mayApply(actor, r.FromConfig, &documents[i]); err != nil {
			return nil, err
		}
		if err := a.checkPaths(&documents[i]); err != nil {
			return nil, err
		}
	}
	for i := range documents {
		d := &documents[i]
		if err := actor.mayBegin(d.Kind); err != nil && !r.FromConfig {
			return nil, err
		}
	}
	// Documents are not needed to prune, nor to do nothing, and either takes the lock.
	if !r.FromConfig && !slices.ContainsFunc(resource.Kinds(), func(kind string) bool { return actor.mayBegin(kind) == nil }) {
		return nil, notAdministrator()
	}
	if r.Prune && !r.FromConfig && actor.Owner != "" && actor.Owner != r.Owner {
		return nil, countersign.NewError(countersign.Denied, countersign.ReasonOwnerMismatch, "you prune objects of the owner "+actor.Owner+" only")
	}
	return documents, nil
}

// mayApply decides about the fields that not everybody may write (RULES A4, A7, A8).
func mayApply(actor Actor, fromConfig bool, d *resource.Document) error {
	deny := func(path string, reason countersign.Reason, msg string) error {
		return countersign.NewError(countersign.Denied, reason, d.Problem(path, msg).String())
	}
	if d.Issuer != nil && !fromConfig {
		for _, path := range d.Issuer.ConfigOnlyFields() {
			return deny(path, countersign.ReasonScopeNotGranted,
				"super-admin and s2s:internal may be asserted only where a file of the server's configuration says so")
		}
	}
	if fromConfig || actor.SuperAdmin {
		return nil
	}
	var host []string
	switch {
	case d.Issuer != nil:
		host = d.Issuer.HostFields()
	case d.Service != nil:
		host = d.Service.HostFields()
	case d.Role != nil:
		host = d.Role.HostFields()
	case d.Bucket != nil:
		host = d.Bucket.HostFields()
	}
	if len(host) > 0 {
		msg := "only a super-admin may name plain http and private addresses"
		switch {
		case d.Role != nil:
			msg = "only a super-admin may broker credentials of a real cloud"
		case d.Bucket != nil:
			msg = "only a super-admin may say where a bucket reaches the server's machine, its network and its credentials"
		}
		return deny(host[0], countersign.ReasonNotAdministrator, msg)
	}
	if d.Service != nil {
		for i, scope := range d.Service.Scopes {
			if policy.SuperAdminScope(scope) {
				return deny("scopes", countersign.ReasonScopeNotGranted, "only a super-admin may grant "+d.Service.Scopes[i])
			}
		}
		for _, audience := range d.Service.Audiences {
			if policy.SuperAdminAudience(audience) {
				return deny("audiences", countersign.ReasonAudienceNotGranted, "only a super-admin may grant "+audience)
			}
		}
	}
	return nil
}

// checkPaths refuses paths outside of the configuration's allowed_paths, whoever writes them
// (RULES A8).
func (a *Admin) checkPaths(d *resource.Document) error {
	for _, p := range d.HostPaths() {
		if _, err := a.paths.Check(p.Path); err != nil {
			return countersign.WrapError(countersign.Denied, countersign.ReasonPathNotAllowed,
				d.Problem(p.Field, countersign.MessageOf(err)).String(), err)
		}
	}
	return nil
}

// actionOf is the audit event's action of what became of an object of a kind.
func actionOf(kind string, action ApplyAction) string {
	word := map[string]string{
		resource.KindService: "service", resource.KindIssuer: "issuer", resource.KindRoutePolicy: "route-policy",
		resource.KindRole: "role", resource.KindTenant: "tenant", resource.KindUserRole: "user-role",
		resource.KindBucket: "bucket", resource.KindAccessKey: "access-key",
	}[kind]
	verb := map[ApplyAction]string{ApplyCreated: "create", ApplyChanged: "change", ApplyPruned: "delete"}[action]
	return word + "." + verb
}

// objectEvent tells of one object of a change.
func (a *Admin) objectEvent(c *change, kind, name string, action ApplyAction, detail string) audit.Event {
	told := *c
	told.action, told.name, told.detail = actionOf(kind, action), name, detail
	return a.event(&told, audit.Changed, countersign.ReasonOK)
}
