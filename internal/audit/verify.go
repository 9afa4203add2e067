package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Finding is one thing that is wrong with a chain.
type Finding struct {
	Replica string `json:"replica"`
	// Seq is the block it is about: for a gap the first one that is missing; 0 = none.
	Seq int64 `json:"seq"`
	// Problem: "edited", "removed", "cut", "head_forged", "head_mismatch", "unreadable".
	Problem string `json:"problem"`
	Detail  string `json:"detail"`
}

// The problems.
const (
	edited       = "edited"        // a column is not what the block's hash covers
	removed      = "removed"       // a block, or a head that this process stored, is not there
	cutOff       = "cut"           // the chain is shorter than a head or this process knows
	headForged   = "head_forged"   // a head's signature is not ours
	headMismatch = "head_mismatch" // a head tells of another block than the stored one
	unreadable   = "unreadable"    // a block's events can't be decoded or counted
)

const maxFindings = 100

// Report is the outcome of Verify.
type Report struct {
	OK       bool      `json:"ok"`
	Chains   int       `json:"chains"`
	Blocks   int64     `json:"blocks"`
	Events   int64     `json:"events"`
	Heads    int64     `json:"heads"`
	Findings []Finding `json:"findings"`
}

func (r *Report) add(f Finding) {
	r.OK = false
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// known is what a chain must hold beside being consistent in itself.
type known struct {
	replica string
	heads   []store.AuditHead // from the database, by Seq, with good signatures
	// until is the last block that is looked at: what comes after it was written
	// while Verify ran.
	until int64
	// own: this is our chain, whose last block is (until, hash), and whose head row
	// was stored.
	own  bool
	hash []byte
	row  store.AuditHead
	// filed is what the head file says of this chain; Seq 0 = nothing.
	filed store.AuditHead
}

// Verify walks every chain from its first block to its newest head. At most 100
// findings are returned. Writing goes on meanwhile: what is stored after the start
// is left to the next Verify. The package's documentation says what it can't find.
//
// Errors: [countersign.Unavailable] when the store can't be read.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	report := Report{OK: true, Findings: []Finding{}}
	for _, f := range slices.Concat(l.found, l.state.damages()) {
		report.add(f)
	}
	// The order matters: what the heads say is asked for first, how long the chains
	// are afterwards, so that growth between the two is no finding.
	filed := l.verifyHeadFile(&report)
	replicas, err := l.cfg.Store.AuditReplicas(ctx)
	if err != nil {
		return Report{}, unavailableRead(err)
	}
	_, row := l.state.heads()
	if seq, _ := l.state.last(); seq > 0 {
		replicas = append(replicas, l.cfg.Replica)
	}
	if filed.Seq > 0 {
		replicas = append(replicas, filed.Replica)
	}
	slices.Sort(replicas)
	replicas = slices.Compact(replicas)
	report.Chains = len(replicas)
	for _, replica := range replicas {
		k := known{replica: replica, own: replica == l.cfg.Replica}
		if filed.Replica == replica {
			k.filed = filed
		}
		if k.own {
			k.row = row
		}
		if err := l.verifyChain(ctx, &k, &report); err != nil {
			return Report{}, unavailableRead(err)
		}
	}
	return report, nil
}

// verifyHeadFile returns the head file's head if it can be trusted; the zero head
// otherwise. This process wrote the file, unless it has not signed anything yet.
func (l *Log) verifyHeadFile(report *Report) store.AuditHead {
	if l.cfg.HeadFile == "" {
		return store.AuditHead{}
	}
	sealed, _ := l.state.heads() // before the file: it may only be newer
	finding := Finding{Replica: l.cfg.Replica, Seq: sealed.Seq, Problem: headForged}
	h, err := readHeadFile(l.cfg.HeadFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if sealed.Seq == 0 {
			return store.AuditHead{}
		}
		finding.Problem, finding.Detail = headMismatch, "the head file is missing"
	case err != nil:
		finding.Detail = "the head file can't be read"
	case !l.signedBy(&h):
		finding.Detail = "the head file has a bad signature"
	case sealed.Seq > 0 && (h.Replica != l.cfg.Replica || h.Seq < sealed.Seq):
		finding.Problem = headMismatch
		finding.Detail = fmt.Sprintf("the head file says block %d of %q", h.Seq, h.Replica)
	default:
		return h
	}
	report.add(finding)
	return store.AuditHead{}
}

func (l *Log) verifyChain(ctx context.Context, k *known, report *Report) error {
	if err := l.verifyHeads(ctx, k, report); err != nil {
		return err
	}
	if err := l.bound(ctx, k, report); err != nil {
		return err
	}
	w := walk{known: k, report: report, prev: genesis()}
	pages := pager{store: l.cfg.Store, replica: k.replica}
	for w.seq < k.until {
		blocks, err := pages.next(ctx, w.seq)
		if err != nil {
			return err
		}
		for i := range blocks {
			if blocks[i].Seq > k.until {
				blocks = nil
				break
			}
			w.block(&blocks[i])
		}
		if len(blocks) == 0 {
			break
		}
	}
	w.end()
	return nil
}

// verifyHeads checks the signatures and keeps the good heads.
func (l *Log) verifyHeads(ctx context.Context, k *known, report *Report) error {
	heads, err := l.cfg.Store.AuditHeads(ctx, k.replica)
	if err != nil {
		return err
	}
	report.Heads += int64(len(heads))
	ours := k.row.Seq == 0
	for i := range heads {
		if !l.signedBy(&heads[i]) {
			report.add(Finding{k.replica, heads[i].Seq, headForged, "a stored head has a bad signature"})
			continue
		}
		k.heads = append(k.heads, heads[i])
		ours = ours || heads[i].Seq == k.row.Seq && bytes.Equal(heads[i].Hash, k.row.Hash)
	}
	if !ours {
		report.add(Finding{k.replica, k.row.Seq, removed, "a head that this process stored is missing"})
	}
	slices.SortFunc(k.heads, func(a, b store.AuditHead) int { return cmp.Compare(a.Seq, b.Seq) })
	return nil
}

// bound fixes how far the chain is looked at.
func (l *Log) bound(ctx context.Context, k *known, report *Report) error {
	if k.own {
		// With the turn no block is on its way, so a longer chain is somebody else's doing.
		if err := l.lockTurn(ctx); err != nil {
			return err
		}
		defer l.unlockTurn()
	}
	tail, err := l.cfg.Store.AuditTail(ctx, k.replica)
	if err != nil && !errors.Is(err, countersign.NotFound) {
		return err
	}
	k.until = tail.Seq
	if !k.own {
		return nil
	}
	seq, hash := l.state.last()
	if tail.Seq > seq && l.doubt == nil && !l.Degraded() {
		report.add(Finding{k.replica, seq + 1, edited, "a block that this process did not write"})
	}
	if l.Degraded() {
		seq, hash = l.state.inStore()
	}
	k.until, k.hash = seq, hash
	return nil
}

// walk is the state between two blocks.
type walk struct {
	known  *known
	report *Report
	seq    int64
	prev   []byte // Hash of block seq, as its own columns give it
	broken bool   // block seq was found edited: the next one's Prev says nothing new
	head   int    // the next of known.heads
}

func (w *walk) find(seq int64, problem, format string, args ...any) {
	w.report.add(Finding{w.known.replica, seq, problem, fmt.Sprintf(format, args...)})
}

func (w *walk) block(b *store.AuditBlock) {
	w.report.Blocks++
	whole := bytes.Equal(blockHash(b), b.Hash)
	switch {
	case b.Seq > w.seq+1:
		w.find(w.seq+1, removed, "blocks %d to %d are missing", w.seq+1, b.Seq-1)
	case !bytes.Equal(b.Prev, w.prev) && whole && !w.broken:
		w.find(b.Seq, removed, "block %d does not follow block %d", b.Seq, w.seq)
	}
	if whole {
		w.events(b)
	} else {
		w.find(b.Seq, edited, "block %d is not what was written", b.Seq)
		w.report.Events += max(b.Count, 0)
	}
	for ; w.head < len(w.known.heads) && w.known.heads[w.head].Seq <= b.Seq; w.head++ {
		if whole {
			w.against(&w.known.heads[w.head], b, "a signed head")
		}
	}
	if whole {
		w.against(&w.known.filed, b, "the head file")
	}
	w.seq, w.prev, w.broken = b.Seq, b.Hash, !whole
}

// against compares a head with the block that it names.
func (w *walk) against(h *store.AuditHead, b *store.AuditBlock, what string) {
	if h.Seq == b.Seq && !bytes.Equal(h.Hash, b.Hash) {
		w.find(b.Seq, headMismatch, "%s tells of another block %d", what, b.Seq)
	}
}

// events checks that the events can be read and are as many as Count says.
func (w *walk) events(b *store.AuditBlock) {
	rest, count := b.Events, int64(0)
	for len(rest) > 0 {
		var text []byte
		text, rest = cutLine(rest)
		if _, err := decodeEvent(text); err != nil {
			w.find(b.Seq, unreadable, "event %d of block %d can't be read", count+1, b.Seq)
			w.report.Events += max(b.Count, 0)
			return
		}
		count++
	}
	w.report.Events += count
	if count != b.Count {
		w.find(b.Seq, unreadable, "block %d holds %d events and says %d", b.Seq, count, b.Count)
	}
}

// end compares the chain's length with what is known of it.
func (w *walk) end() {
	k := w.known
	longest, who := k.filed.Seq, "the head file"
	if n := len(k.heads); n > 0 && k.heads[n-1].Seq > longest && !k.own {
		longest, who = k.heads[n-1].Seq, "a signed head"
	}
	if k.own {
		longest, who = k.until, "this process"
	}
	switch {
	case longest > w.seq:
		w.find(w.seq+1, cutOff, "%s knows of block %d, the chain ends with block %d", who, longest, w.seq)
	case k.own && w.seq == k.until && k.until > 0 && !w.broken && !bytes.Equal(w.prev, k.hash):
		w.find(w.seq, edited, "the last block is not the one that this process wrote")
	}
}
