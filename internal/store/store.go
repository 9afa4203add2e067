package store

import (
	"context"
	"time"
)

// DefaultLimit and MaxLimit are those of every list: a limit of 0 means the
// default, one that is negative or above the maximum is countersign.Invalid.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Page asks for rows after a name or sequence number, at most Limit of them
// (1 to 1000; 0 = 100).
type Page struct {
	After string
	Limit int
	// Tenant leaves out what belongs to others and to the platform; "" = nothing is left out.
	Tenant string
	// Platform leaves out the services and objects of tenants; Tenant is "" then.
	Platform bool
}

// Services reads services.
type Services interface {
	// Service returns the service of that name, or NotFound.
	Service(ctx context.Context, name string) (Service, error)
	// Services returns services in order of name.
	Services(ctx context.Context, page Page) ([]Service, error)
	// ClientSecrets returns a service's secrets, oldest first, expired ones included.
	ClientSecrets(ctx context.Context, serviceUID string) ([]ClientSecret, error)
}

// SigningKeys reads signing keys.
type SigningKeys interface {
	// SigningKeys returns all keys of a purpose, oldest first.
	SigningKeys(ctx context.Context, purpose string) ([]SigningKey, error)
}

// Revocations reads revocations.
type Revocations interface {
	// Revocations returns those with Seq > after that expire later than alive (or
	// never), in order of Seq, at most limit (as in Page).
	Revocations(ctx context.Context, after int64, alive time.Time, limit int) ([]Revocation, error)
}

// Objects reads the resources that have no table of their own.
type Objects interface {
	// Object returns the object of that kind and name, or NotFound.
	Object(ctx context.Context, kind, name string) (Object, error)
	// Objects returns the objects of a kind in order of name.
	Objects(ctx context.Context, kind string, page Page) ([]Object, error)
}

// Feed is how processes that share a database learn of each other's changes.
type Feed interface {
	// FeedHead returns the last number that was given, and the store's clock.
	FeedHead(ctx context.Context) (FeedHead, error)
	// Mark returns the random text that was drawn when a number was given; "" = that is not
	// known any more, or never was. A database that lost its last numbers gives them anew, with
	// other marks: two processes that know the same mark of a number have the same history up
	// to it.
	Mark(ctx context.Context, seq int64) (string, error)
	// Changes returns those with Seq > after in order of Seq, at most limit (as in
	// Page), but never a part of one transaction's: a last number that would be cut is
	// left out, unless it is the only one. Changes older than a day are forgotten.
	Changes(ctx context.Context, after int64, limit int) ([]Change, error)
	// Hints returns a channel of size one that hears, soon and now and then wrongly,
	// that there is something new; nil where nobody else writes to the database.
	Hints() <-chan struct{}
}

// SingleUse remembers what may be used once only, over all processes and restarts.
type SingleUse interface {
	// UseOnce stores the key until the time given, durably, and reports whether it was
	// not there: true for exactly one caller. Key is at most 128 bytes. Keys whose time
	// is over at now are forgotten now and then.
	UseOnce(ctx context.Context, key string, until, now time.Time) (first bool, err error)
}

// Quotas hands out shares of what all processes may use together.
type Quotas interface {
	// LeaseQuota takes up to want of a service's quota in the window that begins at
	// window, and returns how much it got: 0 when limit is used up.
	LeaseQuota(ctx context.Context, serviceUID string, window time.Time, want, limit int64) (int64, error)
}

// AuditRange selects blocks of one replica: Seq > After, oldest first, at most
// Limit (1 to 1000; 0 = 100). Since and Until, where set, leave out blocks that
// have no event in [Since, Until].
type AuditRange struct {
	Replica      string
	After        int64
	Since, Until time.Time
	Limit        int
}

// AuditReader reads the audit chains.
type AuditReader interface {
	// AuditReplicas returns the names of the chains, sorted; it takes both tables
	// into account, so that a chain whose blocks are all gone is still named.
	AuditReplicas(ctx context.Context) ([]string, error)
	AuditBlocks(ctx context.Context, r AuditRange) ([]AuditBlock, error)
	// AuditTail returns the last block of a chain, or NotFound.
	AuditTail(ctx context.Context, replica string) (AuditBlock, error)
	// AuditHeads returns the signed heads of a chain in order of Seq.
	AuditHeads(ctx context.Context, replica string) ([]AuditHead, error)
}

// Tx is a write transaction. It reads its own writes. Its methods are for the
// function that Update calls, and only until that returns.
//
// Writing a service, a key or an object notes a [Change] by itself; who writes a secret
// also writes its service.
type Tx interface {
	Services
	SigningKeys
	Objects
	Users
	ServiceWriter
	ObjectWriter
	UserWriter
	AccessKeys
	AccessKeyWriter
	KeyWriter
	LoginWriter
	AuditWriter
	// Serialize makes this transaction run alone among all that call it, of all
	// processes: what it reads from then on stays true until it commits. Call it first.
	Serialize(ctx context.Context) error
	// Meta is that of [Meta].
	Meta(ctx context.Context, key string) (string, error)
	// SetMeta sets a key of [Meta].
	SetMeta(ctx context.Context, key, value string) error
	// PutRevocation stores r under the next sequence number and returns it; Invalid
	// unless r has exactly one selector. It may forget revocations that ended more than
	// a day before r.CreatedAt.
	PutRevocation(ctx context.Context, r Revocation) (int64, error)
}

// ObjectWriter writes objects.
type ObjectWriter interface {
	// CreateObject inserts o with Revision 1, or Conflict if the name is taken.
	CreateObject(ctx context.Context, o Object) error
	// UpdateObject writes tenant, owner, spec and time where the row has o.UID, o.Name
	// and Revision o.Revision-1, or Conflict; NotFound if there is no such UID.
	UpdateObject(ctx context.Context, o Object) error
	// DeleteObject removes the object, or NotFound.
	DeleteObject(ctx context.Context, uid string) error
}

// ServiceWriter writes services and their secrets.
type ServiceWriter interface {
	// CreateService inserts s with Revision 1, or Conflict if the name is taken.
	CreateService(ctx context.Context, s Service) error
	// UpdateService writes s where the row has s.UID and Revision s.Revision-1, or
	// Conflict; NotFound if there is no such UID.
	UpdateService(ctx context.Context, s Service) error
	// DeleteService removes the service and its secrets, or NotFound.
	DeleteService(ctx context.Context, uid string) error
	// PutClientSecret inserts or replaces the secret with that ID; NotFound if there
	// is no such service, Conflict if the ID is another service's.
	PutClientSecret(ctx context.Context, secret ClientSecret) error
	// DeleteClientSecret removes it; no error if it was not there.
	DeleteClientSecret(ctx context.Context, id string) error
	// TouchClientSecret sets LastUsedAt, never to an earlier time; no error if the
	// secret is gone.
	TouchClientSecret(ctx context.Context, id string, at time.Time) error
}

// KeyWriter writes signing keys.
type KeyWriter interface {
	// CreateSigningKey inserts, or Conflict if the KID is taken.
	CreateSigningKey(ctx context.Context, k SigningKey) error
	// ScheduleSigningKey changes UseUntil and KeepUntil, or NotFound.
	ScheduleSigningKey(ctx context.Context, kid string, useUntil, keepUntil time.Time) error
	// ResealSigningKey replaces the sealed private key, or NotFound.
	ResealSigningKey(ctx context.Context, kid string, sealed []byte) error
}

// AuditWriter appends to the audit chains.
type AuditWriter interface {
	// AppendAuditBlock inserts, or Conflict if that Replica and Seq exist.
	AppendAuditBlock(ctx context.Context, b AuditBlock) error
	// PutAuditHead inserts or replaces the head with that Replica and Seq.
	PutAuditHead(ctx context.Context, h AuditHead) error
}

// Meta is what identifies this deployment.
type Meta interface {
	// Meta returns the value of a key, or NotFound.
	Meta(ctx context.Context, key string) (string, error)
	// SetMetaIfAbsent stores value unless the key exists and returns what is stored
	// then. Keys: "deployment_id", "master_key_check",
	// "client_secret_key", "epoch".
	SetMetaIfAbsent(ctx context.Context, key, value string) (string, error)
}

// Store is a whole database. Safe for concurrent use.
type Store interface {
	Services
	Objects
	Users
	AccessKeys
	SigningKeys
	Revocations
	Feed
	SingleUse
	Quotas
	AuditReader
	Meta
	Logins
	// Update runs fn in one transaction and commits it durably (on disk when it
	// returns nil). An error of fn rolls back and is returned as it is. Updates of
	// one process run one after another, so fn must not call Update. A ctx that ends
	// before the commit rolls back: Unavailable, with the context's error in the chain.
	Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// Reads counts the SELECT statements sent so far: tests hold the token path to 0.
	Reads() int64
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Close waits for running transactions and closes.
	Close() error
}
