package iamclient

import "time"

// Tenant is a tenant: GET /tenants/ID.
type Tenant struct {
	// ID is its name, by which everything refers to it; UID is never given twice.
	ID          string `json:"id"`
	UID         string `json:"uid"`
	DisplayName string `json:"display_name"`
	Owner       string `json:"owner,omitempty"`
	// Revision is the ETag without its quotes.
	Revision  int64     `json:"revision"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// PutTenant is the body of PUT /tenants/ID.
type PutTenant struct {
	DisplayName string `json:"display_name"`
}

// TenantList is one page of tenants in order of id.
type TenantList struct {
	Items []Tenant `json:"items"`
	// NextPageToken asks for the page after this one; "" = this is the last.
	NextPageToken string `json:"next_page_token"`
}

// User is what is known of a user in one tenant, or on the platform.
type User struct {
	// ID follows from Issuer and Subject.
	ID      string `json:"id"`
	UID     string `json:"uid"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Tenant is "" for the platform.
	Tenant string `json:"tenant"`
	// Roles are those that were assigned here; what a token says comes on top.
	Roles    []string `json:"roles"`
	Disabled bool     `json:"disabled"`
	// Username, Email and DisplayName are for users of the local directory.
	Username    string    `json:"username,omitempty"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name,omitempty"`
	Revision    int64     `json:"revision"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// UserList is one page of users in order of id.
type UserList struct {
	Items         []User `json:"items"`
	NextPageToken string `json:"next_page_token"`
}

// AddUser is the body of POST /admin/users: who becomes a member of the tenant that the
// request is about.
type AddUser struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// Me is who calls: GET /me.
type Me struct {
	// ID, Issuer and Subject are the user; empty for the local administrator.
	ID      string `json:"id,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// LocalAdministrator is "local:UID" on the server's own machine.
	LocalAdministrator string `json:"local_administrator,omitempty"`
	// Login is that of an administrator at another machine, who came by a code.
	Login string `json:"login,omitempty"`
	// Service is the service that passed the user's token on; "" = none.
	Service string `json:"service,omitempty"`
	// Tenant is the active one; "" = none, or the platform.
	Tenant     string   `json:"tenant"`
	Roles      []string `json:"roles"`
	SuperAdmin bool     `json:"super_admin"`
	// Permissions are what the roles let do in the active tenant; of a super-admin, all.
	Permissions []string     `json:"permissions"`
	Tenants     []Membership `json:"tenants"`
}

// Membership is that a user belongs to a tenant.
type Membership struct {
	Tenant string   `json:"tenant"`
	Roles  []string `json:"roles"`
}

// MembershipList answers GET /me/tenants.
type MembershipList struct {
	Items []Membership `json:"items"`
}

// Enrich is the body of POST /system/enrich.
type Enrich struct {
	// Token is the user's, as it came.
	Token string `json:"token"`
	// Tenant is the hint; "" = none.
	Tenant string `json:"tenant,omitempty"`
}

// Enriched is what is verified of a user.
type Enriched struct {
	UserID  string `json:"user_id"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Tenant is the verified one; "" = the user has none, or no one more than others.
	Tenant      string       `json:"tenant"`
	Roles       []string     `json:"roles"`
	Permissions []string     `json:"permissions"`
	Scopes      []string     `json:"scopes"`
	SuperAdmin  bool         `json:"super_admin"`
	Tenants     []Membership `json:"tenants"`
	// ExpiresAt is when the user's token ends.
	ExpiresAt time.Time `json:"expires_at"`
}

// Session is one of temporary credentials that may be alive, as the audit log knows it.
type Session struct {
	// AccessKeyID is what [Revoke].Session takes.
	AccessKeyID string    `json:"access_key_id"`
	Role        string    `json:"role"`
	Service     string    `json:"service,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	Subject     string    `json:"subject,omitempty"`
	IssuedAt    time.Time `json:"issued_at"`
}

// SessionList is one page of sessions, the oldest first.
type SessionList struct {
	Items         []Session `json:"items"`
	NextPageToken string    `json:"next_page_token"`
}

// QueryUsers is the body of POST /system/users/query: either people by Ids, Emails and
// Usernames, or those who fit Filter, a page at a time.
type QueryUsers struct {
	// IDs are user ids as everywhere in this API, or the subjects of an upstream directory.
	IDs       []string `json:"ids,omitempty"`
	Emails    []string `json:"emails,omitempty"`
	Usernames []string `json:"usernames,omitempty"`
	// Filter: all must hold. Directory names one where there are several.
	Filter    []UserFilter `json:"filter,omitempty"`
	Directory string       `json:"directory,omitempty"`
	// Tenant is for services of the platform; one of a tenant asks for its own alone.
	Tenant    string `json:"tenant,omitempty"`
	PageSize  int    `json:"page_size,omitempty"`
	PageToken string `json:"page_token,omitempty"`
}

// UserFilter is one condition: field is subject, username, email, display_name or enabled;
// op is eq or prefix.
type UserFilter struct {
	Field string `json:"field"`
	Op    string `json:"op"`
	Value string `json:"value"`
}

// DirectoryUser is what a directory says of somebody.
type DirectoryUser struct {
	ID      string `json:"id"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Directory is where it was found; "" = nothing but the id is known.
	Directory   string `json:"directory"`
	Username    string `json:"username,omitempty"`
	Email       string `json:"email,omitempty"`
	DisplayName string `json:"display_name,omitempty"`
	Enabled     bool   `json:"enabled"`
	Tenant      string `json:"tenant,omitempty"`
}

// UserResult answers one value: exactly one of ID, Email and Username is set.
type UserResult struct {
	ID       string `json:"id,omitempty"`
	Email    string `json:"email,omitempty"`
	Username string `json:"username,omitempty"`
	// Users have the value; by an address there may be several.
	Users []DirectoryUser `json:"users"`
	// Error is "not_found", or "upstream_unavailable" where a directory did not answer: then
	// Users may be incomplete.
	Error string `json:"error,omitempty"`
}

// QueriedUsers answers [QueryUsers]. Results are in the order of the request: ids, emails,
// usernames; Users are those of a search, and there, though empty, when it found nobody.
type QueriedUsers struct {
	Results       []UserResult    `json:"results,omitzero"`
	Users         []DirectoryUser `json:"users,omitzero"`
	NextPageToken string          `json:"next_page_token"`
}
