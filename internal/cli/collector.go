package cli

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A server with few services has a heap of some MiB, and at Go's usual setting spends
// a tenth of its time collecting it over and over. While the live heap is small it may
// grow to four times its size before the next collection; a large one keeps the usual
// setting, so that memory stays within twice of what is live.
const (
	smallHeap       = 64 << 20
	smallHeapGrowth = 300
	usualGrowth     = 100
	collectorTick   = 5 * time.Second
)

// tuneCollector keeps the setting in step with the heap until ctx ends. Whoever has
// set GOGC is left alone.
func tuneCollector(ctx context.Context, p *Process) {
	if p.getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	current := smallHeapGrowth
	debug.SetGCPercent(current)
	ticker := time.NewTicker(collectorTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(live)
		wanted := smallHeapGrowth
		if live[0].Value.Uint64() > smallHeap {
			wanted = usualGrowth
		}
		if wanted != current {
			current = wanted
			debug.SetGCPercent(current)
		}
	}
}
