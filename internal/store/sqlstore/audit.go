package sqlstore

import (
	"context"
	"math"

	"github.com/countersign/countersign/internal/store"
)

const (
	blockColumns = `replica, seq, first_at, last_at, event_count, prev, hash, events`
	headColumns  = `replica, seq, hash, signed_at, kid, signature`
)

const (
	insertBlock = `INSERT INTO audit_block (` + blockColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)` + unlessTaken

	upsertHead = `INSERT INTO audit_head (` + headColumns + `) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (replica, seq) DO UPDATE SET hash = excluded.hash, signed_at = excluded.signed_at,
kid = excluded.kid, signature = excluded.signature`
)

// The recursion hops from chain to chain by the index instead of reading it all.
var selectReplicas = query[string]{"list audit chains", `WITH RECURSIVE chain (replica) AS (
SELECT MIN(replica) FROM audit_block
UNION ALL
SELECT (SELECT MIN(b.replica) FROM audit_block b WHERE b.replica > chain.replica) FROM chain WHERE chain.replica IS NOT NULL)
SELECT replica FROM chain WHERE replica IS NOT NULL
UNION SELECT replica FROM audit_head ORDER BY replica`, scanText}

var selectBlocks = query[store.AuditBlock]{"list audit blocks", `SELECT ` + blockColumns + ` FROM audit_block
WHERE replica = $1 AND seq > $2 AND last_at >= $3 AND first_at <= $4 ORDER BY seq LIMIT $5`, scanBlock}

var selectTail = query[store.AuditBlock]{"read the last audit block", `SELECT ` + blockColumns + ` FROM audit_block WHERE replica = $1 ORDER BY seq DESC LIMIT 1`, scanBlock}

var selectHeads = query[store.AuditHead]{"list audit heads", `SELECT ` + headColumns + ` FROM audit_head WHERE replica = $1 ORDER BY seq`, scanHead}

func scanBlock(r row) (store.AuditBlock, error) {
	var (
		b           store.AuditBlock
		first, last int64
	)
	if err := r.Scan(&b.Replica, &b.Seq, &first, &last, &b.Count, &b.Prev, &b.Hash, &b.Events); err != nil {
		return store.AuditBlock{}, err
	}
	b.First, b.Last = moment(first), moment(last)
	b.Prev, b.Hash, b.Events = bytesOf(b.Prev), bytesOf(b.Hash), bytesOf(b.Events)
	return b, nil
}

func scanHead(r row) (store.AuditHead, error) {
	var (
		h  store.AuditHead
		at int64
	)
	if err := r.Scan(&h.Replica, &h.Seq, &h.Hash, &at, &h.KID, &h.Signature); err != nil {
		return store.AuditHead{}, err
	}
	h.At = moment(at)
	h.Hash, h.Signature = bytesOf(h.Hash), bytesOf(h.Signature)
	return h, nil
}

// AuditReplicas implements store.AuditReader.
func (s *session) AuditReplicas(ctx context.Context) ([]string, error) {
	return selectReplicas.list(ctx, s)
}

// AuditBlocks implements store.AuditReader.
func (s *session) AuditBlocks(ctx context.Context, r store.AuditRange) ([]store.AuditBlock, error) {
	n, err := limit(r.Limit)
	if err != nil {
		return nil, err
	}
	since, until := int64(math.MinInt64), int64(math.MaxInt64)
	if !r.Since.IsZero() {
		since = micros(r.Since)
	}
	if !r.Until.IsZero() {
		until = micros(r.Until)
	}
	return selectBlocks.list(ctx, s, r.Replica, r.After, since, until, n)
}

// AuditTail implements store.AuditReader.
func (s *session) AuditTail(ctx context.Context, replica string) (store.AuditBlock, error) {
	return selectTail.one(ctx, s, replica)
}

// AuditHeads implements store.AuditReader.
func (s *session) AuditHeads(ctx context.Context, replica string) ([]store.AuditHead, error) {
	return selectHeads.list(ctx, s, replica)
}

// AppendAuditBlock implements store.AuditWriter.
func (t *tx) AppendAuditBlock(ctx context.Context, b store.AuditBlock) error {
	return t.create(ctx, "append an audit block", insertBlock, b.Replica, b.Seq, micros(b.First), micros(b.Last), b.Count,
		blob(b.Prev), blob(b.Hash), string(b.Events))
}

// PutAuditHead implements store.AuditWriter.
func (t *tx) PutAuditHead(ctx context.Context, h store.AuditHead) error {
	_, err := t.exec(ctx, "put an audit head", upsertHead, h.Replica, h.Seq, blob(h.Hash), micros(h.At), h.KID, blob(h.Signature))
	return err
}
