package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// Actor is who administers: what it may do, and who it is for the audit event.
type Actor struct {
	// ID is "local:UID" and so on, as in audit.Event.Actor. RequestID becomes the event's id.
	ID, RequestID, ClientAddr, Proof string
	// UserIssuer and User are the user, Service and ServiceUID the service that calls, alone
	// or for the user.
	UserIssuer, User, Service, ServiceUID string
	// SuperAdmin may do everything, and alone may grant what RULES A7 reserves.
	SuperAdmin bool
	// Rights are what everybody else may do.
	Rights policy.Rights
	// Tenant is the one that a request is about where nothing else says it; "" = the platform,
	// or none.
	Tenant string
	// Owner is the one label of a service that applies documents: it writes no object of
	// another (RULES G4). "" = every label.
	Owner string
	// Scopes and Audiences are what the actor holds, and may pass on (RULES A7).
	Scopes, Audiences []string
	// Again says anew who this is and what it may, from what is known then, or refuses as the
	// door would; it asks nobody outside of the deployment. It is called while nobody else can
	// change anything, before the first write. nil = nothing can be taken from this one: it is
	// the server itself, or the user that it runs as.
	Again func(ctx context.Context) (Actor, error)
}

// Collections are the names of the kinds in paths and in permissions.
var Collections = map[string]string{
	resource.KindService: "services", resource.KindIssuer: "issuers", resource.KindRole: "roles",
	resource.KindRoutePolicy: "route-policies", resource.KindTenant: "tenants", resource.KindUserRole: "user-roles",
	resource.KindBucket: "buckets", resource.KindAccessKey: "access-keys",
}

// May reports whether the actor holds a permission in a tenant; "" is the platform.
func (a Actor) May(permission, tenant string) bool {
	return a.SuperAdmin || a.Rights.May(permission, tenant)
}

// Anywhere reports whether the actor holds a permission in some tenant.
func (a Actor) Anywhere(permission string) bool {
	return a.SuperAdmin || a.Rights.Anywhere(permission)
}

// MayRead reports whether the actor may see an object of a kind. A Tenant is its own home.
func (a Actor) MayRead(kind, name, tenant string) bool {
	return a.May(policy.Read(Collections[kind]), home(kind, name, tenant))
}

// covers reports whether the actor holds everything that permissions say in a tenant.
func (a Actor) covers(permissions []string, tenant string) bool {
	return a.SuperAdmin || a.Rights.Cover(permissions, tenant)
}

func home(kind, name, tenant string) string {
	if kind == resource.KindTenant {
		return name
	}
	return tenant
}

// mayBegin refuses who holds the permission to write objects of a kind nowhere, before
// anything is looked up.
func (a Actor) mayBegin(kind string) error {
	if a.Anywhere(policy.Write(Collections[kind])) {
		return nil
	}
	return notAdministrator()
}

// target is an object that is to be written.
type target struct{ kind, name, tenant, owner string }

func serviceTarget(s store.Service) target {
	return target{resource.KindService, s.Name, s.Tenant, s.Owner}
}

// mayWrite decides about a write to an object that is there. What the actor may not even see
// does not exist for it (RULES A6).
func (a Actor) mayWrite(t target) error {
	tenant := home(t.kind, t.name, t.tenant)
	switch {
	case a.SuperAdmin:
		return nil
	case !a.May(policy.Write(Collections[t.kind]), tenant):
		if a.MayRead(t.kind, t.name, t.tenant) {
			return notAdministrator()
		}
		return Unseen()
	case a.Owner != "" && t.owner != a.Owner:
		return countersign.NewError(countersign.Denied, countersign.ReasonOwnerMismatch, "it belongs to another owner")
	}
	return nil
}

// mayCreate decides about an object that is not there: the platform's and tenants make
// super-admins only (RULES A6).
func (a Actor) mayCreate(t target) error {
	switch {
	case a.SuperAdmin:
		return nil
	case t.kind == resource.KindTenant, !a.May(policy.Write(Collections[t.kind]), t.tenant):
		return notAdministrator()
	case a.Owner != "" && t.owner != a.Owner:
		return countersign.NewError(countersign.Denied, countersign.ReasonOwnerMismatch, "you write with the owner "+a.Owner+" only")
	}
	return nil
}

// tenantThere refuses what is to be made in a tenant that is not there, inside the transaction:
// the view by which the actor came in may not know that it was deleted, and what is left in it
// would belong to whoever gets a tenant of that name next (RULES A5). Super-admins may use one
// without a document.
func tenantThere(ctx context.Context, in store.Objects, actor Actor, tenant string) error {
	if actor.SuperAdmin || tenant == "" {
		return nil
	}
	_, err := in.Object(ctx, resource.KindTenant, tenant)
	if errors.Is(err, countersign.NotFound) {
		return unknownTenant()
	}
	return err
}

// mayDelete is mayWrite, but tenants end by super-admins only.
func (a Actor) mayDelete(t target) error {
	if err := a.mayWrite(t); err != nil {
		return err
	}
	if t.kind == resource.KindTenant && !a.SuperAdmin {
		return notAdministrator()
	}
	return nil
}

// mayTake refuses to end a user role that holds more than the actor does (RULES A7).
func (a Actor) mayTake(r *row) error {
	if d := r.document; d.UserRole != nil && !a.covers(d.UserRole.Permissions, d.Tenant) {
		return notHeld(countersign.ReasonNotHeld, "the role holds more than you do")
	}
	return nil
}

// holdsScope reports whether the actor may give a scope to a service (RULES A7).
func (a Actor) holdsScope(scope string) bool {
	return a.SuperAdmin || !policy.SuperAdminScope(scope) && slices.Contains(a.Scopes, scope)
}

// holdsAudience reports whether the actor may give an audience to a service of a tenant:
// one of its own, or a service that belongs to the tenant or is shared with it.
func (a Actor) holdsAudience(audience, tenant string, named *resource.Document) bool {
	switch {
	case a.SuperAdmin:
		return true
	case policy.SuperAdminAudience(audience):
		return false
	case slices.Contains(a.Audiences, audience):
		return true
	}
	return named != nil && tenant != "" && (named.Tenant == tenant || slices.Contains(named.SharedWith(), tenant))
}

// Unseen is what there is of an object that somebody may not see: nothing, in the words that
// the store has for that.
func Unseen() error {
	return countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such object")
}

func notAdministrator() error {
	return countersign.NewError(countersign.Denied, countersign.ReasonNotAdministrator, "you may not do this")
}

func notHeld(reason countersign.Reason, msg string) error {
	return countersign.NewError(countersign.Denied, reason, msg)
}

// mayChange decides about what concerns the whole platform: keys, and revocations of users,
// issuers and everything. Super-admins only.
func mayChange(actor Actor) error {
	if actor.SuperAdmin {
		return nil
	}
	return notAdministrator()
}
