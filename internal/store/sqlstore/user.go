package sqlstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// kindUser is the kind of changes of users' records; their name is the user's id.
const kindUser = "User"

const userColumns = `uid, id, tenant, issuer, subject, roles, disabled, username, email, display_name, revision, created_at, updated_at`

const (
	insertUser = `INSERT INTO user_record (` + userColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)` + unlessTaken

	// Who a record is about belongs to a uid for ever, so it is a condition here.
	updateUser = `UPDATE user_record SET roles = $5, disabled = $6, username = $7, email = $8, display_name = $9, revision = $4, updated_at = $10
WHERE uid = $1 AND id = $2 AND tenant = $3 AND revision = CAST($4 AS BIGINT) - 1`

	deleteUser = `DELETE FROM user_record WHERE uid = $1 RETURNING id`

	selectUserFrom = `SELECT ` + userColumns + ` FROM user_record WHERE `
)

var (
	selectUser        = query[store.User]{"read a user", selectUserFrom + `id = $1 AND tenant = $2`, scanUser}
	selectUserUID     = query[store.User]{"change a user", selectUserFrom + `uid = $1`, scanUser}
	selectUserRecords = query[store.User]{"read a user's records", selectUserFrom + `id = $1 ORDER BY tenant LIMIT $2`, scanUser}
	selectTenantUsers = query[store.User]{"list users", selectUserFrom + `tenant = $1 AND id > $2 ORDER BY id LIMIT $3`, scanUser}

	// The roles are a JSON list of names, in which LIKE knows no special character.
	selectRoleHolder = query[store.User]{"look for a role's holder", selectUserFrom + `roles LIKE '%"' || CAST($1 AS TEXT) || '"%' ORDER BY id, tenant LIMIT 1`, scanUser}
)

// findBatch is how many values one statement looks for: one text for any number of them.
const findBatch = 100

var selectUsersBy = map[store.UserField]query[store.User]{
	store.UserID: findUsersBy("id"), store.UserUsername: findUsersBy("username"), store.UserEmail: findUsersBy("email"),
}

func findUsersBy(column string) query[store.User] {
	var in strings.Builder
	for i := range findBatch {
		if i > 0 {
			in.WriteString(", ")
		}
		in.WriteString("$" + strconv.Itoa(i+1))
	}
	return query[store.User]{"find users", selectUserFrom + column + ` IN (` + in.String() + `) AND ` + column + ` <> '' ORDER BY id, tenant`, scanUser}
}

func scanUser(r row) (store.User, error) {
	var (
		u                store.User
		roles            string
		created, updated int64
	)
	err := r.Scan(&u.UID, &u.ID, &u.Tenant, &u.Issuer, &u.Subject, &roles, &u.Disabled, &u.Username, &u.Email, &u.DisplayName,
		&u.Revision, &created, &updated)
	if err != nil {
		return store.User{}, err
	}
	if u.Roles, err = wordsOf(roles); err != nil {
		return store.User{}, err
	}
	u.CreatedAt, u.UpdatedAt = moment(created), moment(updated)
	return u, nil
}

// User implements store.Users.
func (s *session) User(ctx context.Context, id, tenant string) (store.User, error) {
	return selectUser.one(ctx, s, id, tenant)
}

// UserRecords implements store.Users.
func (s *session) UserRecords(ctx context.Context, id string) ([]store.User, error) {
	return selectUserRecords.list(ctx, s, id, store.MaxLimit)
}

// TenantUsers implements store.Users.
func (s *session) TenantUsers(ctx context.Context, tenant string, page store.Page) ([]store.User, error) {
	n, err := limit(page.Limit)
	if err != nil {
		return nil, err
	}
	return selectTenantUsers.list(ctx, s, tenant, page.After, n)
}

// FindUsers implements store.Users.
func (s *session) FindUsers(ctx context.Context, field store.UserField, values []string) ([]store.User, error) {
	find, known := selectUsersBy[field]
	if !known || len(values) > store.MaxUserValues {
		return nil, invalid("users are found by id, username or email, at most 1000 at a time")
	}
	var found []store.User
	for batch := range slices.Chunk(values, findBatch) {
		args := make([]any, findBatch)
		for i := range args {
			args[i] = "" // nobody has it
			if i < len(batch) {
				args[i] = batch[i]
			}
		}
		some, err := find.list(ctx, s, args...)
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// RoleHolder implements store.Users.
func (s *session) RoleHolder(ctx context.Context, role string) (store.User, error) {
	if !countersign.ValidName(role) {
		return store.User{}, notFound("look for a role's holder")
	}
	return selectRoleHolder.one(ctx, s, role)
}

// CreateUser implements store.UserWriter.
func (t *tx) CreateUser(ctx context.Context, u store.User) error {
	if u.UID == "" || u.ID == "" || u.Issuer == "" || u.Subject == "" {
		return invalid("a user needs a uid, an id, an issuer and a subject")
	}
	roles, err := words(u.Roles)
	if err != nil {
		return err
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	err = t.create(ctx, "create a user", insertUser, u.UID, u.ID, u.Tenant, u.Issuer, u.Subject, roles, flag(u.Disabled),
		u.Username, u.Email, u.DisplayName, int64(1), micros(u.CreatedAt), micros(u.UpdatedAt))
	if err != nil {
		return err
	}
	return t.note(ctx, kindUser, u.ID)
}

// UpdateUser implements store.UserWriter.
func (t *tx) UpdateUser(ctx context.Context, u store.User) error {
	roles, err := words(u.Roles)
	if err != nil {
		return err
	}
	if err := t.claim(ctx); err != nil {
		return err
	}
	changed, err := t.exec(ctx, "change a user", updateUser, u.UID, u.ID, u.Tenant, u.Revision, roles, flag(u.Disabled),
		u.Username, u.Email, u.DisplayName, micros(u.UpdatedAt))
	if err != nil {
		return err
	}
	if changed == 1 {
		return t.note(ctx, kindUser, u.ID)
	}
	if _, err := selectUserUID.one(ctx, &t.session, u.UID); err != nil {
		return err // NotFound: no such uid
	}
	return conflict("change a user: another revision or user")
}

// DeleteUser implements store.UserWriter.
func (t *tx) DeleteUser(ctx context.Context, uid string) error {
	if err := t.claim(ctx); err != nil {
		return err
	}
	id, err := returning[string](ctx, &t.session, "delete a user", deleteUser, uid)
	if err != nil {
		return err
	}
	return t.note(ctx, kindUser, id)
}
