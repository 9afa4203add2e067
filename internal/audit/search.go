package audit

import (
	"context"
	"slices"

	"github.com/countersign/countersign/internal/store"
)

// search is one Query on its way through the chains.
type search struct {
	log    *Log
	filter *filter
	from   cursor           // where to begin; in the end, where to go on
	tails  map[string]int64 // where each chain ends
	limit  int
	scan   int // how many blocks may still be looked at
}

// stream gives the matching events of one chain, block by block.
type stream struct {
	search  *search
	replica string
	pages   pager
	tail    int64
	at      position // everything before it was looked at
	blocks  []store.AuditBlock
	events  []Event // of the block at hand, blocks[0]
	head    hit     // the next event, if any; it lies behind at
	ready   bool
}

// oldest merges the chains, the earliest event first, until the limit.
func (s *search) oldest(ctx context.Context) ([]hit, error) {
	streams := make([]*stream, 0, len(s.tails))
	for _, replica := range sortedKeys(s.tails) {
		streams = append(streams, &stream{
			search: s, replica: replica, tail: s.tails[replica], at: s.from[replica],
			pages: pager{store: s.log.cfg.Store, replica: replica, since: s.filter.q.Since, until: s.filter.q.Until},
		})
	}
	var hits []hit
	for len(hits) < s.limit && s.scan > 0 {
		var first *stream
		for _, stream := range streams {
			if err := stream.advance(ctx); err != nil {
				return nil, err
			}
			if stream.ready && (first == nil || compareHits(&stream.head, &first.head) < 0) {
				first = stream
			}
		}
		if first == nil || s.scan <= 0 {
			break
		}
		hits = append(hits, first.take())
	}
	for _, stream := range streams {
		s.from[stream.replica] = stream.at
	}
	return hits, nil
}

// advance finds the next matching event, unless there is one already, the chain ends
// or the scan is used up.
func (s *stream) advance(ctx context.Context) error {
	for !s.ready {
		if len(s.blocks) == 0 {
			if s.at.done >= s.tail || s.search.scan <= 0 {
				return nil
			}
			if err := s.page(ctx); err != nil {
				return err
			}
			continue
		}
		index := s.at.skip
		if index >= int64(len(s.events)) {
			s.at = position{done: s.blocks[0].Seq}
			s.open(s.blocks[1:])
			continue
		}
		if e := s.events[index]; s.search.filter.match(&e) {
			s.head = hit{event: e, replica: s.replica, seq: s.blocks[0].Seq, index: index}
			s.ready = true
			return nil
		}
		s.at.skip++
	}
	return nil
}

func (s *stream) take() hit {
	s.ready = false
	s.at.skip++
	return s.head
}

// page reads the next blocks. Those that the store leaves out, because of their time,
// are as good as read.
func (s *stream) page(ctx context.Context) error {
	blocks, err := s.pages.next(ctx, s.at.done)
	if err != nil {
		return unavailableRead(err)
	}
	s.search.scan -= len(blocks)
	blocks = slices.DeleteFunc(blocks, func(b store.AuditBlock) bool { return b.Seq > s.tail })
	if len(blocks) == 0 {
		s.at = position{done: s.tail}
		return nil
	}
	before := s.at
	s.open(blocks)
	if s.at.done == before.done {
		s.at.skip = before.skip
	}
	return nil
}

// open makes blocks[0] the block at hand.
func (s *stream) open(blocks []store.AuditBlock) {
	s.blocks, s.events = blocks, nil
	if len(blocks) > 0 {
		s.at = position{done: blocks[0].Seq - 1}
		s.events = s.search.filter.events(&blocks[0])
	}
}

// newest collects the last matching events of every chain; the caller's sort and the
// cut here give the last of all.
func (s *search) newest(ctx context.Context) ([]hit, error) {
	var hits []hit
	share := max(s.scan/max(len(s.tails), 1), maxPage)
	for _, replica := range sortedKeys(s.tails) {
		found, err := s.backwards(ctx, replica, share)
		if err != nil {
			return nil, err
		}
		hits = append(hits, found...)
		s.from[replica] = position{done: max(s.tails[replica], s.from[replica].done)}
	}
	slices.SortFunc(hits, func(a, b hit) int { return compareHits(&a, &b) })
	return hits[max(len(hits)-s.limit, 0):], nil
}

// backwards reads a chain from its end, window by window, until it has enough, has
// looked at scan blocks, or is where the cursor begins.
func (s *search) backwards(ctx context.Context, replica string, scan int) ([]hit, error) {
	begin := s.from[replica]
	pages := pager{store: s.log.cfg.Store, replica: replica, since: s.filter.q.Since, until: s.filter.q.Until, size: firstPage}
	var hits []hit
	for end := s.tails[replica]; end > begin.done && scan > 0 && len(hits) < s.limit; {
		after := max(end-int64(pages.size), begin.done)
		blocks, err := pages.next(ctx, after)
		if err != nil {
			return nil, unavailableRead(err)
		}
		scan -= int(end - after)
		for i := len(blocks) - 1; i >= 0; i-- {
			if blocks[i].Seq <= end {
				hits = append(hits, s.reversed(&blocks[i], begin)...)
			}
		}
		end = after
	}
	return hits, nil
}

// reversed returns the matching events of a block that lie behind begin, last first.
func (s *search) reversed(b *store.AuditBlock, begin position) []hit {
	var hits []hit
	events := s.filter.events(b)
	for i := len(events) - 1; i >= 0; i-- {
		if b.Seq == begin.done+1 && int64(i) < begin.skip {
			break
		}
		if s.filter.match(&events[i]) {
			hits = append(hits, hit{event: events[i], replica: b.Replica, seq: b.Seq, index: int64(i)})
		}
	}
	return hits
}
