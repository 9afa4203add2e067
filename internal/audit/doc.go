// Package audit keeps one event per decision, so that later anybody can tell who
// was let in, who was not and why, and whether the record was changed since.
//
// # Writing
//
// [Log.Commit] returns when the event is on disk; events that arrive together share
// one transaction. [Log.Record] is for the many small decisions that may take a
// second. [Log.RecordRefused] merges what comes before authentication, so that
// nobody fills the disk by being refused. [Log.Transact] makes a change of the state
// and its events durable together.
//
// # Outages
//
// With Config.Spool an unavailable store refuses no commit: the block goes to a file
// there, fsynced, and the chain goes on in memory as if it had been stored. When the
// store is back the blocks are stored in order, and only then new ones go to the
// store again. A block whose answer got lost is recognised by its number and hash.
// Changes ([Log.Transact]) fail meanwhile. Events in the spool are not found by
// [Log.Query] and not covered by [Log.Verify] until they are stored; the head file
// covers them, except behind a change whose answer got lost.
//
// # The chain
//
// Each group commit appends one block to the chain of this process. A block holds
// events as JSON Lines and the SHA-256 of the block before it; its own hash covers
// every column. At most once a second the newest hash is signed with a key that
// serves nothing else: the head. Heads lie in the database and, the newest one, in a
// file beside it.
//
// # What [Log.Verify] finds, and what it can't
//
// It finds every edited column, every removed, swapped or replaced block, and a cut
// tail, as long as one signed head (a row, the file, or this process's memory) tells
// of it. It can't find:
//   - what was changed after the last head and before a restart, by somebody who
//     recomputes the hashes: at most the last second of a process that was killed;
//   - older heads that were removed while a newer one is there: nothing else is lost
//     with them, since the newest head covers the whole chain;
//   - the database and the head file being put back together to an earlier state:
//     that needs a witness outside this machine;
//   - lies told by who holds the signing key.
//
// It does not decide anything about callers, holds no secret and no token, and does
// not prune old blocks.
//
// Layer 2. Start at [Open].
package audit
