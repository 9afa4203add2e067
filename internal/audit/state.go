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
	// durable and durableHash are seq and hash as far as the database has the chain: less
	// while blocks wait in the spool.
	durable     int64
	durableHash []byte
	// open: behind a change of which we don't know whether it was stored lie blocks that
	// may get other numbers. They are not signed.
	open    bool
	changed chan struct{} // closed when durable changes; nil = nobody waits
	lost    []Finding     // records of the spool that are damaged
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
	s.storedToLocked(seq, hash)
}

// spool makes a block the last one that is not in the database.
func (s *chainState) spool(seq int64, hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq, s.hash = seq, hash
}

// storedTo notes that the chain is in the database up to a block.
func (s *chainState) storedTo(seq int64, hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storedToLocked(seq, hash)
}

// storedAll notes that the whole chain is in the database.
func (s *chainState) storedAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	s.storedToLocked(s.seq, s.hash)
}

// leaveOpen notes that what is appended from now on may get other numbers, until all
// is stored.
func (s *chainState) leaveOpen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
}

// final is last for who wants to sign it; ok = false: not now.
func (s *chainState) final() (seq int64, hash []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, s.hash, !s.open
}

func (s *chainState) storedToLocked(seq int64, hash []byte) {
	s.durable, s.durableHash = seq, hash
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// inStore returns the number and the hash up to which the chain is in the database.
func (s *chainState) inStore() (seq int64, hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable, s.durableHash
}

// rebase moves the end of the chain, which lay in the spool, behind block to, which
// somebody else wrote or whose answer got lost.
func (s *chainState) rebase(to, seq int64, hash []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable, s.seq, s.hash = to, seq, hash
}

// damaged notes a damaged record and reports whether it was not known.
func (s *chainState) damaged(f Finding) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lost) >= maxFindings || slices.Contains(s.lost, f) {
		return false
	}
	s.lost = append(s.lost, f)
	return true
}

// damages returns the damaged records that were found.
func (s *chainState) damages() []Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lost)
}

// skip goes on behind block to without its hash, and returns the last number before.
func (s *chainState) skip(to int64) (from int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, s.seq = s.seq, to
	s.durable = to
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

// watch returns the last stored block's number and a channel that is closed at the next one.
func (s *chainState) watch() (seq int64, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.durable, s.changed
}
