package store

import (
	"context"
	"time"
)

// User is what is known here of a user in one tenant, or on the platform. The same user has
// a record for each tenant; none of them says anything about another.
type User struct {
	// ID follows from Issuer and Subject (RULES A1). Tenant is "" for the platform.
	ID, Tenant string
	// UID is random and immutable (RULES A5).
	UID string
	// Issuer is the exact issuer URL, Subject the issuer's id for the person.
	Issuer, Subject string
	// Roles are those that were assigned here; sorted, distinct.
	Roles []string
	// Disabled is an operator's lock: in this tenant or, on the platform, everywhere.
	Disabled bool
	// Username, Email and DisplayName are for users of the local directory alone; everybody
	// else's stay upstream. Email is in lower case.
	Username, Email, DisplayName string
	// Revision starts at 1 and grows by one with each change: the ETag.
	Revision             int64
	CreatedAt, UpdatedAt time.Time
}

// UserField is a field by which users are found.
type UserField string

// The fields.
const (
	UserID       UserField = "id"
	UserUsername UserField = "username"
	UserEmail    UserField = "email"
)

// MaxUserValues bounds the values of one FindUsers.
const MaxUserValues = 1000

// Users reads the records of users.
type Users interface {
	// User returns the record of a user in a tenant, or NotFound.
	User(ctx context.Context, id, tenant string) (User, error)
	// UserRecords returns a user's records in order of tenant, at most MaxLimit.
	UserRecords(ctx context.Context, id string) ([]User, error)
	// TenantUsers returns the records of a tenant in order of id.
	TenantUsers(ctx context.Context, tenant string, page Page) ([]User, error)
	// FindUsers returns the records that have one of the values, of every tenant, in order
	// of id and tenant; at most MaxUserValues values.
	FindUsers(ctx context.Context, field UserField, values []string) ([]User, error)
	// RoleHolder returns a record that has the role, or NotFound.
	RoleHolder(ctx context.Context, role string) (User, error)
}

// UserWriter writes the records of users.
type UserWriter interface {
	// CreateUser inserts u with Revision 1, or Conflict if there is one.
	CreateUser(ctx context.Context, u User) error
	// UpdateUser writes u where the row has u.ID, u.Tenant, u.UID and Revision u.Revision-1,
	// or Conflict; NotFound if there is no such UID.
	UpdateUser(ctx context.Context, u User) error
	// DeleteUser removes the record, or NotFound.
	DeleteUser(ctx context.Context, uid string) error
}
