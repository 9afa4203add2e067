package audit

import (
	"context"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// Pages are sized by what the last one held: blocks have from one event to
// thousands, and a page must neither fill the memory nor be a page of one.
const (
	firstPage = 4
	maxPage   = 256
	smallPage = 512 << 10 // bytes; the next page is twice as long
	largePage = 4 << 20   // bytes; the next page is half as long
)

// pager reads the blocks of one chain, page by page.
type pager struct {
	store        store.Store
	replica      string
	since, until time.Time
	size         int
}

func (p *pager) next(ctx context.Context, after int64) ([]store.AuditBlock, error) {
	if p.size == 0 {
		p.size = firstPage
	}
	blocks, err := p.store.AuditBlocks(ctx, store.AuditRange{
		Replica: p.replica, After: after, Since: p.since, Until: p.until, Limit: p.size,
	})
	if err != nil {
		return nil, err
	}
	total := 0
	for i := range blocks {
		total += len(blocks[i].Events)
	}
	switch {
	case total < smallPage:
		p.size = min(2*p.size, maxPage)
	case total > largePage:
		p.size = max(p.size/2, 1)
	}
	return blocks, nil
}
