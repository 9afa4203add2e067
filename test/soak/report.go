package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// report counts what was done and what went wrong.
type report struct {
	requests, bytes atomic.Int64

	mu         sync.Mutex
	done       map[string]int // by operation
	tolerated  map[string]int // failures while the origin was away, by what they were
	violations []string
	more       int
}

func newReport() *report {
	return &report{done: make(map[string]int), tolerated: make(map[string]int)}
}

// shown bounds the violations that are printed.
const shown = 50

func (r *report) violation(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.violations) == shown {
		r.more++
		return
	}
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
}

func (r *report) did(operation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[operation]++
}

func (r *report) tolerate(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tolerated[what]++
}

// print says what was seen, and whether it was good.
func (r *report) print(took time.Duration, l *leaks, o *outages) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	requests := r.requests.Load()
	fmt.Printf("%d requests in %s: %.0f a second, %.1f GiB of objects\n", requests, took.Round(time.Second),
		float64(requests)/took.Seconds(), float64(r.bytes.Load())/(1<<30))
	for _, name := range slices.Sorted(maps.Keys(r.done)) {
		fmt.Printf("  %-34s %8d\n", name, r.done[name])
	}
	fmt.Printf("the origin was away %d times; what failed then:\n", o.count())
	for _, name := range slices.Sorted(maps.Keys(r.tolerated)) {
		fmt.Printf("  %-34s %8d\n", name, r.tolerated[name])
	}
	early, late := l.memory()
	fmt.Printf("before the load: %s\nafter it:        %s\nunder load:      %.0f MiB early, %.0f MiB late\n", l.before, l.behind, early, late)
	if len(r.violations) == 0 {
		fmt.Println("soak: no wrong byte, no wrong answer, no leak")
		return true
	}
	fmt.Printf("soak: %d VIOLATIONS\n", len(r.violations)+r.more)
	for _, violation := range r.violations {
		fmt.Println("  " + violation)
	}
	return false
}

// outages are when the origin was away.
type outages struct {
	mu    sync.Mutex
	spans []span
}

type span struct{ from, to time.Time }

// settling is how long after its return requests may still fail: connections that were
// its old self's are found to be dead when they are used.
const settling = 2 * time.Second

// begin marks that it goes away; what it returns, that it is back.
func (o *outages) begin() (end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spans = append(o.spans, span{from: time.Now()})
	i := len(o.spans) - 1
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.spans[i].to = time.Now().Add(settling)
	}
}

// touched reports whether it was away at any time since from.
func (o *outages) touched(from time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.spans, func(s span) bool { return s.to.IsZero() || s.to.After(from) })
}

func (o *outages) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.spans)
}
