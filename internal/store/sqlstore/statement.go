package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// preparer is a *sql.DB (readers) or the *sql.Conn of the writer.
type preparer interface {
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
}

// statements keeps each statement prepared once. Key: the SQL text, all of which
// are constants of this package, so it is bounded by them; lifetime: the pool's or
// the writer connection's.
type statements struct {
	from   preparer
	mu     sync.RWMutex
	byText map[string]*sql.Stmt
}

func newStatements(from preparer) *statements {
	return &statements{from: from, byText: make(map[string]*sql.Stmt)}
}

func (s *statements) get(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt, ok := s.byText[text]
	s.mu.RUnlock()
	if ok {
		return stmt, nil
	}
	// Not under the lock: in an outage, those who wait would wait one after another.
	made, err := s.from.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.byText[text]; ok {
		_ = made.Close() //nolint:sqlclosecheck // somebody else was faster; the one that is kept is closed by close
		return stmt, nil
	}
	s.byText[text] = made
	return made, nil
}

func (s *statements) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stmt := range s.byText {
		_ = stmt.Close()
	}
	clear(s.byText)
}

var errEnded = countersign.NewError(countersign.Internal, countersign.ReasonInternal,
	"a transaction was used after its Update returned")

// ended prepares nothing: it is what is left of a transaction.
type ended struct{}

func (ended) PrepareContext(context.Context, string) (*sql.Stmt, error) { return nil, errEnded }

// storable reports whether every text in args is one that each database can hold.
// PostgreSQL takes neither a NUL nor what is not UTF-8, and says so with an error that
// would look like an outage to a caller who sent such a name.
func storable(args []any) bool {
	for _, arg := range args {
		if text, ok := arg.(string); ok && (!utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0) {
			return false
		}
	}
	return true
}

func unstorable() error { return invalid("a text is not UTF-8, or holds a NUL") }

// limit applies the default and the bound of every list.
func limit(n int) (int, error) {
	switch {
	case n == 0:
		return store.DefaultLimit, nil
	case n < 0 || n > store.MaxLimit:
		return 0, invalid("the limit is not from 1 to 1000")
	default:
		return n, nil
	}
}
