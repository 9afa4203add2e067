// Command soak holds the S3 gateway under a mixed load for a long time, while the S3 server
// behind it dies and comes back, and ends with exit code 1 if a byte was wrong, an answer was
// one that must not be, or something leaked.
//
// Each of -clients has keys of its own, below one prefix of one bucket, and knows what each of
// them may hold: what it wrote last or, where a write broke off with the origin, what it held
// before too. They put, get, list, copy and delete, with AWS's Go SDK, with requests signed
// by this repository in each form that S3 has, by presigned links and in parts; some go away
// in the middle, some send other bytes than they signed, some ask for what is not theirs.
//
// What is done is a function of -seed, but for the order in which the clients get ahead.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"time"
)

type options struct {
	countersign, versitygw      string
	requests, clients, restarts int
	seed                        uint64
	// direct is the soak's own test.
	direct bool
}

func main() {
	var o options
	flag.StringVar(&o.countersign, "countersign", "./countersign", "the release build")
	flag.StringVar(&o.versitygw, "versitygw", ".tools/bin/versitygw", "the S3 server behind the gateway")
	flag.IntVar(&o.requests, "requests", 200_000, "how many requests in all")
	flag.IntVar(&o.clients, "clients", 200, "how many at a time")
	flag.IntVar(&o.restarts, "restarts", 2, "how often the origin dies and comes back")
	flag.Uint64Var(&o.seed, "seed", 0, "what the load is made of; 0 = another one each time")
	flag.BoolVar(&o.direct, "direct", false, "without the gateway: what the origin itself gets wrong is not the gateway's")
	flag.Parse()
	if o.seed == 0 {
		o.seed = rand.Uint64() //nolint:gosec // G404: a load that can be had again
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	folder, err := os.MkdirTemp("", "countersign-soak-")
	if err != nil {
		log.Fatal(err)
	}
	good, err := soak(ctx, o, folder)
	if good {
		_ = os.RemoveAll(folder)
	} else {
		fmt.Println("the files stay in", folder)
	}
	if err != nil {
		log.Fatal(err)
	}
	if !good {
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: it was stopped
	}
}

// soak runs the whole thing and prints what it saw.
func soak(ctx context.Context, o options, folder string) (good bool, err error) {
	fmt.Printf("%d requests by %d clients, %d restarts of the origin, -seed %d\n", o.requests, o.clients, o.restarts, o.seed)
	origin, err := startOrigin(o.versitygw, folder)
	if err != nil {
		return false, err
	}
	defer origin.end()
	if o.direct {
		return direct(ctx, o, origin)
	}
	server, err := startGateway(o.countersign, folder, origin)
	if err != nil {
		return false, err
	}
	defer server.end()
	sessions, err := server.assume(o.countersign, 8)
	if err != nil {
		return false, err
	}
	run := &run{o: o, gateway: server.s3, bucket: "documents", report: newReport(), outages: new(outages)}
	before, err := server.sample()
	if err != nil {
		return false, err
	}
	leaks := &leaks{server: server, before: before}
	began := time.Now()
	if err := run.all(ctx, sessions, func(ctx context.Context) error { return run.disturb(ctx, origin, leaks.during) }); err != nil {
		return false, err
	}
	took := time.Since(began)
	if err := leaks.after(ctx, run.report); err != nil {
		return false, err
	}
	return run.report.print(took, leaks, run.outages), nil
}

// direct runs the load against the origin.
func direct(ctx context.Context, o options, origin *origin) (bool, error) {
	run := &run{o: o, gateway: "http://" + origin.address, bucket: "storage", report: newReport(), outages: new(outages)}
	began := time.Now()
	err := run.all(ctx, []session{{AccessKeyID: originKey, SecretAccessKey: originSecret}}, func(ctx context.Context) error {
		return run.disturb(ctx, origin, func(int64, int64) error { return nil })
	})
	return err == nil && run.report.print(time.Since(began), new(leaks), run.outages), err
}

// run is one soak under way.
type run struct {
	o       options
	gateway string
	bucket  string
	report  *report
	outages *outages
}

// all runs the clients and, beside them, what disturbs them.
func (r *run) all(ctx context.Context, sessions []session, disturb func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	for i := range r.o.clients {
		c := newClient(r, i, sessions[i%len(sessions)])
		clients.Go(func() { c.work(ctx) })
	}
	disturbed := make(chan error, 1)
	go func() { disturbed <- disturb(ctx) }()
	clients.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	cancel()
	return <-disturbed
}

// disturb restarts the origin as the load gets on, once by killing it and once by asking it
// to end, in turns. It takes samples of the gateway too.
func (r *run) disturb(ctx context.Context, origin *origin, sample func(done, all int64) error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	restarts := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		done := r.report.requests.Load()
		if err := sample(done, int64(r.o.requests)); err != nil {
			return err
		}
		if restarts == r.o.restarts || done < int64(r.o.requests)*int64(restarts+1)/int64(r.o.restarts+1) {
			continue
		}
		restarts++
		end := r.outages.begin()
		if err := origin.restart(restarts%2 == 1, time.Second); err != nil {
			return err
		}
		end()
	}
}
