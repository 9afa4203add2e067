package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/audit"
)

// parallel runs op b.N times on c goroutines and reports operations a second.
func parallel(b *testing.B, c int, op func() error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range c {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

var concurrencies = []int{1, 16, 64, 256}

// BenchmarkCommit is the price of one durable event. Its floor is BenchmarkRawAppend.
func BenchmarkCommit(b *testing.B) {
	for _, c := range concurrencies {
		b.Run(fmt.Sprintf("c=%d", c), func(b *testing.B) {
			w := newWorld(b)
			e := event("01980000-0000-7000-8000-000000000000")
			e.ServiceUID, e.TraceID, e.TokenID = "3f6d6a0b8c0d4a51", "4bf92f3577b34da6a3ce929d0e0e4736", e.ID
			before := w.disk.updates.Load()
			parallel(b, c, func() error { return w.log.Commit(context.Background(), e) })
			b.ReportMetric(float64(b.N)/float64(w.disk.updates.Load()-before), "events/block")
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	w := newWorld(b)
	e := event("01980000-0000-7000-8000-000000000000")
	parallel(b, 16, func() error {
		w.log.Record(context.Background(), e)
		return nil
	})
}

func BenchmarkRecordRefused(b *testing.B) {
	w := newWorld(b)
	e := refusal("document-service", "192.0.2.1")
	e.ID = "01980000-0000-7000-8000-000000000000"
	parallel(b, 16, func() error {
		w.log.RecordRefused(context.Background(), e)
		return nil
	})
}

// BenchmarkRawAppend is the floor: 400 bytes, appended to a file and on disk before
// the call returns, those that come together by one fsync.
func BenchmarkRawAppend(b *testing.B) {
	for _, c := range concurrencies {
		b.Run(fmt.Sprintf("c=%d", c), func(b *testing.B) {
			file, err := os.Create(filepath.Join(b.TempDir(), "append"))
			if err != nil {
				b.Fatal(err)
			}
			a := &appender{file: file, kick: make(chan struct{}, 1), next: newAppend()}
			ended := make(chan struct{})
			go func() { a.run(); close(ended) }()
			record := make([]byte, 400)
			parallel(b, c, func() error { return a.append(record) })
			close(a.kick)
			<-ended
			if err := file.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// appender appends to a file with group commit.
type appender struct {
	file *os.File
	kick chan struct{}
	mu   sync.Mutex
	next *oneAppend
}

type oneAppend struct {
	text []byte
	done chan struct{}
	err  error
}

func newAppend() *oneAppend { return &oneAppend{done: make(chan struct{})} }

func (a *appender) append(record []byte) error {
	a.mu.Lock()
	group := a.next
	group.text = append(group.text, record...)
	a.mu.Unlock()
	select {
	case a.kick <- struct{}{}:
	default:
	}
	<-group.done
	return group.err
}

func (a *appender) run() {
	for range a.kick {
		a.mu.Lock()
		group := a.next
		a.next = newAppend()
		a.mu.Unlock()
		if len(group.text) == 0 {
			close(group.done)
			continue
		}
		if _, group.err = a.file.Write(group.text); group.err == nil {
			group.err = a.file.Sync()
		}
		close(group.done)
	}
}

func BenchmarkQuery(b *testing.B) {
	b.ReportAllocs()
	w := newWorld(b)
	for i := range 9_000 {
		w.log.Record(context.Background(), event(fmt.Sprint("e", i)))
	}
	for name, q := range map[string]audit.Query{
		"first 100": {}, "newest 100": {Newest: true}, "one id": {ID: "e4500"}, "none": {Service: "nobody"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.log.Query(context.Background(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	for i := range 9_000 {
		w.log.Record(context.Background(), event(fmt.Sprint("e", i)))
	}
	w.all(audit.Query{ID: "none"}) // stores what is queued
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.log.Verify(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
