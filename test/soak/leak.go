package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// leaks compares what the gateway holds before, during and after the load.
type leaks struct {
	server         *gateway
	before, behind sample
	// loaded are samples under load, one for each twentieth of it.
	loaded []sample
}

const twentieths = 20

// during takes a sample when the next twentieth is done.
func (l *leaks) during(done, all int64) error {
	if int64(len(l.loaded)) >= done*twentieths/all {
		return nil
	}
	s, err := l.server.sample()
	l.loaded = append(l.loaded, s)
	return err
}

// What may stay: a connection of the store, and what the runtime keeps.
const (
	filesLeft, goroutinesLeft = 8, 10
	memoryGrowth, memoryLeft  = 1.25, 32 // ×, MiB
	idle                      = 4 * time.Minute
)

// after waits until connections that are of no use any more have been closed. What is left
// then has leaked.
func (l *leaks) after(ctx context.Context, r *report) (err error) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for end := time.Now().Add(idle); ; {
		if l.behind, err = l.server.sample(); err != nil {
			return err
		}
		settled := l.behind.files <= l.before.files+filesLeft && l.behind.goroutines <= l.before.goroutines+goroutinesLeft
		if settled || time.Now().After(end) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	if l.behind.files > l.before.files+filesLeft {
		r.violation("leak of files: %.0f before, %.0f after", l.before.files, l.behind.files)
	}
	if l.behind.goroutines > l.before.goroutines+goroutinesLeft {
		r.violation("leak of goroutines: %.0f before, %.0f after", l.before.goroutines, l.behind.goroutines)
	}
	if early, late := l.memory(); late > early*memoryGrowth+memoryLeft {
		r.violation("memory grows with the requests: %.0f MiB early, %.0f MiB late", early, late)
	}
	return nil
}

// memory is the median of what was resident in the second quarter of the load, when all
// is warm, and in the last one.
func (l *leaks) memory() (early, late float64) {
	median := func(of []sample) float64 {
		if len(of) == 0 {
			return 0
		}
		of = slices.Clone(of)
		slices.SortFunc(of, func(a, b sample) int { return int(a.resident - b.resident) })
		return of[len(of)/2].resident
	}
	n := len(l.loaded)
	return median(l.loaded[n/4 : n/2]), median(l.loaded[n*3/4:])
}

func (s sample) String() string {
	return fmt.Sprintf("%.0f MiB resident, %.0f goroutines, %.0f open files", s.resident, s.goroutines, s.files)
}
