package store

import (
	"context"
	"time"
)

// LoginCode is a code that is good for one login (RULES G2). The code itself is not here.
type LoginCode struct {
	// Hash is the SHA-256 of the code.
	Hash []byte
	// CreatedBy is who asked for it, as in audit.Event.Actor.
	CreatedBy            string
	CreatedAt, ExpiresAt time.Time
}

// Login is an administrator at another machine, who proves itself by a key of its own.
type Login struct {
	ID string
	// Public is the Ed25519 public key.
	Public []byte
	// Label is what the machine calls itself; it proves nothing.
	Label string
	// CreatedBy is who made the code.
	CreatedBy            string
	CreatedAt, ExpiresAt time.Time
}

// MaxLogins bounds the codes, and the logins, that are alive.
const MaxLogins = 100

// Logins reads logins.
type Logins interface {
	// Login returns one, or NotFound; also an ended one that is not forgotten yet.
	Login(ctx context.Context, id string) (Login, error)
	// LoginCodeKnown reports whether there is a code with that hash that ends after now.
	LoginCodeKnown(ctx context.Context, hash []byte, now time.Time) (bool, error)
	// Logins returns those that end after now, the oldest first.
	Logins(ctx context.Context, now time.Time) ([]Login, error)
}

// LoginWriter writes codes and logins.
type LoginWriter interface {
	// PutLoginCode stores a code, or Throttled when there are MaxLogins; it forgets those that
	// have ended at c.CreatedAt.
	PutLoginCode(ctx context.Context, c LoginCode) error
	// UseLoginCode takes the code with that hash away and returns it: NotFound if there is
	// none, or it has ended at now. Of several that try at once one succeeds.
	UseLoginCode(ctx context.Context, hash []byte, now time.Time) (LoginCode, error)
	// CreateLogin inserts, or Throttled when there are MaxLogins; it forgets those that have
	// ended at l.CreatedAt.
	CreateLogin(ctx context.Context, l Login) error
	// DeleteLogin removes it, or NotFound.
	DeleteLogin(ctx context.Context, id string) error
	// EndLogins removes every code, and every login too unless codesOnly.
	EndLogins(ctx context.Context, codesOnly bool) error
}
