package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// HeadSigner signs the heads of the chain; package keys provides it.
type HeadSigner interface {
	// SignHead returns the key id and a signature over message.
	SignHead(message []byte) (kid string, signature []byte, err error)
	// VerifyHead reports whether signature is kid's over message.
	VerifyHead(kid string, message, signature []byte) bool
}

// Config of a [Log]. Store, Replica and Signer are required.
type Config struct {
	Store store.Store
	// Replica names this process's chain; one writer at a time.
	Replica string
	Signer  HeadSigner
	// HeadFile keeps a copy of the newest signed head outside the database, so that a
	// cut of the database's tail is found; "" = none.
	HeadFile string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Log is the audit log of this process. Safe for concurrent use.
type Log struct{}

// Open reads the tail of the chain and starts the writer; Close ends it.
func Open(ctx context.Context, cfg Config) (*Log, error) { panic("contract") }

// Commit makes e durable before it returns nil (group commit: events that arrive
// while a commit is on its way share the next one).
//
// Errors: [countersign.Unavailable] when it could not be stored; then the decision
// that it tells of must not take effect.
func (l *Log) Commit(ctx context.Context, e Event) error { panic("contract") }

// Record queues e; it is stored within a second, and at Close. It waits only while
// the bounded queue is full.
func (l *Log) Record(ctx context.Context, e Event) { panic("contract") }

// Transact runs fn in a store transaction and appends the events that it returns in
// the same transaction: the change and its events become durable together, or
// neither does. fn may run once only.
//
// Errors: those of fn, and as Commit.
func (l *Log) Transact(ctx context.Context, fn func(ctx context.Context, tx store.Tx) ([]Event, error)) error {
	panic("contract")
}

// Query selects events; see its fields. Zero values select everything.
type Query struct {
	Since, Until                              time.Time
	Service, User, Target, Action, Reason, ID string
	Decision                                  Decision
	// After is the cursor of an earlier answer; "" = from the start.
	After string
	// Limit is 1 to 1000; 0 = 100. Newest: the last Limit events instead of the first.
	Limit  int
	Newest bool
}

// Result is what Query found, oldest first, and the cursor after it.
type Result struct {
	Events []Event `json:"events"`
	After  string  `json:"after"`
}

// Query returns matching events of all chains. Events that were recorded before the
// call and not yet stored are stored first.
func (l *Log) Query(ctx context.Context, q Query) (Result, error) { panic("contract") }

// Wait returns when there may be events after the cursor, or when ctx or d ends.
func (l *Log) Wait(ctx context.Context, after string, d time.Duration) { panic("contract") }

// Finding is one thing that is wrong with a chain.
type Finding struct {
	Replica string `json:"replica"`
	Seq     int64  `json:"seq"`
	// Problem: "edited", "removed", "cut", "head_forged", "head_mismatch", "unreadable".
	Problem string `json:"problem"`
	Detail  string `json:"detail"`
}

// Report is the outcome of Verify.
type Report struct {
	OK       bool      `json:"ok"`
	Chains   int       `json:"chains"`
	Blocks   int64     `json:"blocks"`
	Events   int64     `json:"events"`
	Heads    int64     `json:"heads"`
	Findings []Finding `json:"findings"`
}

// Verify walks every chain from its first block to its newest head. At most 100
// findings are returned.
func (l *Log) Verify(ctx context.Context) (Report, error) { panic("contract") }

// Close stores what is queued, signs the head and ends the writer.
func (l *Log) Close(ctx context.Context) error { panic("contract") }
