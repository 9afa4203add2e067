package audit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// HeadSigner signs the heads of the chain; package keys provides it. It must be safe
// for concurrent use.
type HeadSigner interface {
	// SignHead returns the key id and a signature over message.
	SignHead(message []byte) (kid string, signature []byte, err error)
	// VerifyHead reports whether signature is kid's over message.
	VerifyHead(kid string, message, signature []byte) bool
}

// Config of a [Log]. Store, Replica and Signer are required.
type Config struct {
	Store store.Store
	// Replica names this process's chain; one writer at a time. At most 255 bytes.
	Replica string
	Signer  HeadSigner
	// HeadFile keeps a copy of the newest signed head outside the database, so that a
	// cut of the database's tail is found; "" = none. Its folder must exist.
	HeadFile string
	// Spool is a folder (0700, made by Open if it is missing) for the blocks that an
	// unavailable store can't take: they are durable there before Commit returns, and
	// are stored in order when the store is back. "" = none: then an unavailable store
	// refuses commits. It must outlive the process, and belong to one at a time.
	Spool string
	// SpoolMax bounds the spool, in bytes; 0 = 256 MiB. The last fifth is kept for
	// commits. When it is full commits are refused.
	SpoolMax int64
	// Now is the clock of events and heads; nil = time.Now. Intervals are measured by
	// the runtime's timers.
	Now func() time.Time
	// Logger; nil = discard.
	Logger *slog.Logger
	// Observer counts what happens, for metrics; nil = nobody. It may be a
	// [SpoolObserver] too.
	Observer Observer
}

const (
	// flushEvery is how long a queued event waits at most; "within a second" leaves
	// the rest for the disk.
	flushEvery = 900 * time.Millisecond
	// writeTimeout bounds one transaction, however the store hangs.
	writeTimeout = 10 * time.Second
	// recordTimeout bounds how long RecordDetached waits for room in the queue.
	recordTimeout = 5 * time.Second
)

// Log is the audit log of this process. Safe for concurrent use.
//
// The goroutines that belong to it: the writer, which stores what waits, the sealer,
// which signs heads, and with a spool the one that stores it. Close ends them.
type Log struct {
	cfg      Config
	in       *intake
	refused  *refusals
	buffers  sync.Pool     // *[]byte, for encoding outside every lock
	kick     chan struct{} // a commit waits
	queued   chan struct{} // a recorded event waits
	grown    chan struct{} // the chain grew
	outage   chan struct{} // the store can't be written
	stop     chan struct{} // closed by Close
	running  sync.WaitGroup
	closing  sync.Once
	closeErr error

	// turn holds one token. Who has it may append to the chain, and owns the fields below.
	turn    chan struct{}
	doubt   *draft // a block of which we don't know whether it was stored
	failing bool   // the last write failed

	spool    *spool      // nil = none
	spooling atomic.Bool // blocks go to the spool; set and cleared under the turn

	state chainState
	found []Finding // what Open found; never changes afterwards
}

// Open reads the tail of the chain and starts the writer; Close ends it.
//
// If a signed head says that the chain was longer than what is stored, the chain goes
// on behind that head: the hole stays a finding of Verify for ever. The tail is
// signed at once, so that what a crash left unsigned is covered from now on.
//
// What an earlier process left in the spool is stored first.
//
// Errors: [countersign.Invalid] for a bad Config, [countersign.Unavailable] when the
// store, the head file or the spool can't be read or written.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Store == nil || cfg.Signer == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "audit: Store and Signer are required")
	}
	if cfg.Replica == "" || len(cfg.Replica) > maxReplicaName || !utf8.ValidString(cfg.Replica) {
		return nil, countersign.NewError(countersign.Invalid, "", "audit: Replica must have 1 to 255 bytes of UTF-8")
	}
	if cfg.SpoolMax < 0 {
		return nil, countersign.NewError(countersign.Invalid, "", "audit: SpoolMax must not be negative")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Observer == nil {
		cfg.Observer = unobserved{}
	}
	l := &Log{
		cfg: cfg, in: newIntake(), refused: newRefusals(),
		kick: make(chan struct{}, 1), queued: make(chan struct{}, 1), grown: make(chan struct{}, 1),
		outage: make(chan struct{}, 1),
		stop:   make(chan struct{}), turn: make(chan struct{}, 1),
	}
	l.buffers.New = func() any { b := make([]byte, 0, 1024); return &b }
	l.turn <- struct{}{}
	if err := l.openSpool(ctx); err != nil {
		return nil, err
	}
	if err := l.recover(ctx); err != nil {
		return nil, errors.Join(err, l.closeSpool())
	}
	l.running.Go(l.write)
	l.running.Go(l.seal)
	if l.spool != nil {
		l.running.Go(l.restore)
	}
	return l, nil
}

// Commit makes e durable before it returns nil (group commit: events that arrive
// while a commit is on its way share the next one).
//
// When ctx ends first it returns an error at once, although the event may still be
// stored: the log then tells of a decision that did not take effect, never the other
// way round. It must not be called from the function given to Transact.
//
// With a spool an event is durable, too, when it is there; see [Config].
//
// Errors: [countersign.Unavailable] when it could not be stored; then the decision
// that it tells of must not take effect.
func (l *Log) Commit(ctx context.Context, e Event) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	complete(&e, l.cfg.Now())
	buffer, _ := l.buffers.Get().(*[]byte)
	*buffer = appendEvent((*buffer)[:0], &e)
	b, err := l.in.join(ctx, *buffer, e.Time)
	l.buffers.Put(buffer)
	if err != nil {
		return unavailable(err)
	}
	signal(l.kick)
	l.observe(&e)
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
	}
	select {
	case <-b.done: // both at once: the truth is the better answer
		return b.err
	default:
		return unavailable(ctx.Err())
	}
}

// Record queues e; it is stored within a second, and at Close. It waits only while
// the bounded queue is full. An event that finds no room until ctx ends is counted,
// and the count is stored as an event of its own ([ActionDropped]).
func (l *Log) Record(ctx context.Context, e Event) {
	complete(&e, l.cfg.Now())
	if err := l.in.enqueue(ctx, encodeLine(&e), func() { signal(l.kick) }); err != nil {
		l.cfg.Logger.WarnContext(ctx, "an audit event was dropped", "cause", err)
		l.cfg.Observer.AuditDropped(1)
		return
	}
	l.observe(&e)
	signal(l.queued)
}

// RecordDetached is Record for what a request must not hang on: it is tried for 5 s at
// most, and also when the caller has hung up.
func (l *Log) RecordDetached(ctx context.Context, e Event) { l.recordWithin(ctx, e, recordTimeout) }

func (l *Log) recordWithin(ctx context.Context, e Event, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	l.Record(ctx, e)
}

// RecordRefused is Record for refusals before authentication: whoever is refused
// must not be able to fill the disk or the memory (RULES E5). Refusals with the same
// action, reason, client address and service become one event with a Count, within a
// second; ID and the other fields are the first one's. Beyond 1,024 different ones at
// once, or 16 a second in the long run, all others become one event ([ActionRefusals]).
//
// e.Service is a claim that nobody proved: it is kept only if it has the form of a
// service's name, else its hash stands there. It never waits.
func (l *Log) RecordRefused(_ context.Context, e Event) {
	complete(&e, l.cfg.Now())
	l.refused.add(e)
	l.observe(&e)
	signal(l.queued)
}

// Close stores what is queued, signs the head and ends the writer. Commits after it
// are refused. A second Close returns what the first did. In an outage what is queued
// goes to the spool, and the next Open stores it.
//
// Errors: [countersign.Unavailable] when something could not be stored.
func (l *Log) Close(ctx context.Context) error {
	l.closing.Do(func() { l.closeErr = l.shutdown(ctx) })
	return l.closeErr
}

func (l *Log) shutdown(ctx context.Context) error {
	l.in.close()
	close(l.stop)
	ended := make(chan struct{})
	go func() { l.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		return unavailable(ctx.Err()) // the store hangs; the goroutines end with its timeout
	}
	if l.Degraded() {
		_ = l.drainRest(ctx, spoolWriteTimeout) // else the next process does it
	}
	err := l.flush(ctx)
	if err == nil {
		err = l.sealNow(ctx)
	}
	l.failWaiting(err)
	if e := l.closeSpool(); e != nil {
		l.cfg.Logger.WarnContext(ctx, "the audit spool can't be closed", "cause", e)
	}
	if _, queued, dropped := l.in.waiting(); queued > 0 || dropped > 0 {
		l.cfg.Logger.ErrorContext(ctx, "audit events were lost at the end", "queued", queued, "dropped", dropped)
	}
	return err
}

func encodeLine(e *Event) line {
	text := appendEvent(make([]byte, 0, 512), e)
	return line{text: text, at: e.Time}
}

// signal wakes the receiver of a channel of size one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func unavailable(cause error) error {
	return countersign.WrapError(countersign.Unavailable, countersign.ReasonAuditUnavailable,
		"the audit log can't be written now", cause)
}

func unavailableRead(cause error) error {
	return countersign.WrapError(countersign.Unavailable, countersign.ReasonAuditUnavailable,
		"the audit log can't be read now", cause)
}
