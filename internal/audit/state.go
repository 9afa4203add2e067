package audit

import (
	"slices"
	"sync"

	"github.com/countersign/countersign/internal/store"
)

// chainState is what this process knows about its own chain. It changes only under
// the turn, and is read without it. Safe for concurrent use.
type chainState struct {
	mu   sync.Mutex
	seq  int64  // of the last block; 0 = none
	hash []byte // of the last block that is ours
	// sealed is the newest signed head; row the newest one that is in the database;
	// staged waits for the next block's transaction. Seq 0 and nil = none.
	sealed, row store.AuditHead
	staged      *store.AuditHead
	changed     chan struct{} // closed at the next change; nil = nobody waits
}

// last returns the last block's number and hash.
func (s *chainState) last() (seq int64, hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, s.hash
}

// next returns the number of the next block, the Prev of it, and the head that waits
// for a transaction.
func (s *chainState) next() (seq int64, prev []byte, staged *store.AuditHead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq + 1, s.hash, s.staged
}

func (s *chainState) isTail(seq int64, hash []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq == seq && slices.Equal(s.hash, hash)
}

// advance makes a block the last one; head, where there is one, was stored with it.
func (s *chainState) advance(seq int64, hash []byte, head *store.AuditHead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq, s.hash = seq, hash
	s.storedLocked(head)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// skip goes on behind block to without its hash, and returns the last number before.
func (s *chainState) skip(to int64) (from int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, s.seq = s.seq, to
	return from
}

// stored notes that a head is in the database.
func (s *chainState) stored(head *store.AuditHead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storedLocked(head)
}

func (s *chainState) storedLocked(head *store.AuditHead) {
	if head == nil {
		return
	}
	s.row = *head
	if s.staged == head {
		s.staged = nil
	}
}

// seal notes a newly signed head, and has it wait for a transaction if row is set.
func (s *chainState) seal(head store.AuditHead, row bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = head
	if row {
		s.staged = &head
	}
}

// heads returns the newest signed head and the newest one in the database.
func (s *chainState) heads() (sealed, row store.AuditHead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealed, s.row
}

// watch returns the last block's number and a channel that is closed at the next one.
func (s *chainState) watch() (seq int64, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.seq, s.changed
}
