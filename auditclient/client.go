package auditclient

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/tokensource"
)

const (
	eventsPath = "api/iam/v1/system/audit/events"
	audience   = "iam-service"

	maxAnswerBytes = 64 << 10
	postTimeout    = 10 * time.Second

	denialDelay = time.Second     // how long a denial waits for others
	outageDelay = 5 * time.Second // the same while nothing can be sent
	countPeriod = time.Minute
)

// Config of a [Client].
type Config struct {
	// URL is Countersign's base URL. https, or http on loopback. Required.
	URL string
	// Source gives the receiver's own tokens for the audience iam-service, with the scope
	// audit:write. Required.
	Source tokensource.Source
	// SpoolDir is where batches wait through an outage; it is made (0700) if it isn't
	// there, and must not be writable by others. One Client a folder. "" = in memory only.
	SpoolDir string
	// HTTPClient; nil = the guarded client of package egress, which may dial private
	// addresses here, because URL is the program's own configuration. Of another client
	// the transport is used; redirects are never followed.
	HTTPClient *http.Client
	// Logger is told when reports can't be sent, when they can again and what was dropped;
	// nil = slog.Default().
	Logger *slog.Logger
	// Now dates reports; nil = time.Now. Timers and backoff go by the real clock.
	Now func() time.Time
}

// Client reports decisions. It is a [countersign.Recorder], safe for concurrent use.
// Close it: it owns one goroutine.
type Client struct {
	url        string
	source     tokensource.Source
	http       *http.Client
	ownsClient bool
	log        *slog.Logger
	now        func() time.Time

	queue  queue
	wake   chan struct{}      // the queue has something new for the worker; capacity 1
	ctx    context.Context    // of the worker
	cancel context.CancelFunc // ends the worker
	ended  chan struct{}      // closed when the worker has ended
	once   sync.Once          // closes

	// sending is held (capacity 1) by whoever delivers; it guards what follows.
	sending  chan struct{}
	spool    *spool // nil = none
	stuck    *batch // the batch that is to be sent next and is in no spool; nil = none
	failures int
	closed   bool

	backlog backlog
}

// backlog is what the worker has to know of a failed delivery without waiting for one.
type backlog struct {
	mu      sync.Mutex
	waiting bool      // batches wait in the spool or as Client.stuck
	retryAt time.Time // no attempt before this; zero = the last one succeeded
	stuck   bool      // until retryAt there is nowhere to put anything, not even the spool
}

// New checks the configuration, opens the spool and starts the client's goroutine. It
// sends nothing yet but what the spool still holds.
//
// Errors: [countersign.Invalid] (configuration), [countersign.Unavailable] (the spool
// can't be used).
func New(cfg Config) (*Client, error) {
	target, err := eventsURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Source == nil {
		return nil, invalid("Source is required")
	}
	c := &Client{
		url: target, source: cfg.Source, log: cfg.Logger, now: cfg.Now,
		wake: make(chan struct{}, 1), sending: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if cfg.SpoolDir != "" {
		if c.spool, err = openSpool(cfg.SpoolDir); err != nil {
			return nil, countersign.WrapError(countersign.Unavailable, "", "auditclient: the spool can't be used", err)
		}
		c.backlog.waiting = !c.spool.empty()
	}
	c.http, c.ownsClient = egress.ClientOr(cfg.HTTPClient, egress.Config{
		AllowPrivateAddresses: true, Timeout: postTimeout, MaxBodyBytes: maxAnswerBytes,
	})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.work()
	return c, nil
}

func eventsURL(base string) (string, error) {
	if err := egress.CheckURL(base); err != nil {
		return "", invalid("URL: " + countersign.MessageOf(err))
	}
	u, err := url.Parse(base)
	if err != nil || u.RawQuery != "" {
		return "", invalid("URL must not hold a query")
	}
	return u.JoinPath(eventsPath).String(), nil
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "auditclient: "+msg)
}

// Record implements [countersign.Recorder]. It never waits for the network or the disk.
// After Close it does nothing.
func (c *Client) Record(_ context.Context, d countersign.Decision) {
	if c.queue.record(d, c.now) {
		select {
		case c.wake <- struct{}{}:
		default: // the worker will look anyway
		}
	}
}

// Flush sends everything that was recorded before it, counts too, without waiting for
// a backoff to end.
//
// Errors: [countersign.Unavailable], [countersign.Upstream] and those of Source:
// something could not be sent; it is kept and will be sent later.
func (c *Client) Flush(ctx context.Context) error {
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
		if c.closed {
			return countersign.NewError(countersign.Unavailable, "", "auditclient: the client is closed")
		}
		return c.deliver(ctx, true)
	case <-ctx.Done():
		return countersign.WrapError(countersign.Unavailable, "", "auditclient: waiting was given up", context.Cause(ctx))
	}
}

// Close sends what there is, as Flush does, spools what can't be sent, and ends the
// client's goroutine. The second call does nothing.
//
// Errors: [countersign.Unavailable]: reports are lost, because they could neither be
// sent nor spooled.
func (c *Client) Close(ctx context.Context) error {
	var err error
	c.once.Do(func() { err = c.close(ctx) })
	return err
}

func (c *Client) close(ctx context.Context) error {
	c.queue.close()
	c.cancel()
	<-c.ended // soon: its context ends whatever it does
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return countersign.WrapError(countersign.Unavailable, "", "auditclient: a Flush is still under way", context.Cause(ctx))
	}
	c.closed = true
	cause := c.deliver(ctx, true)
	lost := c.queue.len()
	if c.stuck != nil {
		lost += c.stuck.events
	}
	if c.spool != nil {
		c.spool.close()
	}
	if c.ownsClient {
		c.http.CloseIdleConnections()
	}
	if lost > 0 {
		return countersign.WrapError(countersign.Unavailable, "", "auditclient: "+strconv.Itoa(lost)+" reports are lost", cause)
	}
	return nil
}
