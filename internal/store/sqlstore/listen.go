package sqlstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// channel is where a transaction that took a number of the feed is announced.
	channel = "countersign"

	notify = `SELECT pg_notify('` + channel + `', '')`
)

// Between these the time grows after which a lost connection is made again. Hints are
// missing meanwhile; whoever follows the feed asks for itself too.
const (
	minListenPause = 100 * time.Millisecond
	maxListenPause = 5 * time.Second
)

// listenCheck is after how long without a word the connection is tried.
const listenCheck = 10 * time.Second

// listener hears of other processes' commits, on a connection of its own. It belongs
// to the Store, whose Close ends and awaits it.
type listener struct {
	config *pgx.ConnConfig
	hints  chan struct{} // of size one, never closed
	cancel context.CancelFunc
	done   chan struct{}
}

func listen(config *pgx.ConnConfig) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{config: config, hints: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	go l.run(ctx)
	return l
}

func (l *listener) close() {
	l.cancel()
	<-l.done
}

func (l *listener) run(ctx context.Context) {
	defer close(l.done)
	for pause := minListenPause; ; pause = min(2*pause, maxListenPause) {
		if l.follow(ctx) {
			pause = minListenPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// follow connects and passes on what it hears, until the connection is lost or ctx
// ends. It reports whether there was a connection at all.
func (l *listener) follow(ctx context.Context) (connected bool) {
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return false
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bounded)
	}()
	bounded, stop := context.WithTimeout(ctx, l.config.ConnectTimeout)
	defer stop()
	if _, err := conn.Exec(bounded, `LISTEN `+channel); err != nil {
		return false
	}
	l.hint() // for what was not heard before
	for ctx.Err() == nil {
		if !l.wait(ctx, conn) {
			return true
		}
	}
	return true
}

// wait passes on one word, and reports whether the connection is still good.
func (l *listener) wait(ctx context.Context, conn *pgx.Conn) bool {
	quiet, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	_, err := conn.WaitForNotification(quiet)
	if err == nil {
		l.hint()
		return true
	}
	if !pgconn.Timeout(err) || conn.IsClosed() {
		return false
	}
	bounded, stop := context.WithTimeout(ctx, l.config.ConnectTimeout)
	defer stop()
	return conn.Ping(bounded) == nil
}

// hint never waits: a hint that is there already says the same.
func (l *listener) hint() {
	select {
	case l.hints <- struct{}{}:
	default:
	}
}
