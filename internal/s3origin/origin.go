package s3origin

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/s3api"
)

// How long a store may take for what has no end of its own.
const (
	// headerTimeout bounds the wait for an answer to a request without a body.
	headerTimeout = 60 * time.Second
	// slowTimeout bounds it where the store copies, or puts an object together, and after a
	// body.
	slowTimeout = 10 * time.Minute
	// stallTimeout bounds the wait for the next bytes of an answer.
	stallTimeout = 60 * time.Second
)

// Store is where the objects of a bucket are.
type Store struct {
	// Endpoint is the base URL of an S3 service, without a path: https, or http to a
	// loopback; with AllowPrivateAddresses http to private addresses too.
	Endpoint string
	// Bucket and Region are the store's; "" = us-east-1.
	Bucket, Region string
	// Prefix comes before each key; "" or text that ends in a slash.
	Prefix string
	// VirtualHost asks for BUCKET.HOST and not for HOST/BUCKET.
	VirtualHost bool
	// NoTrailers is for a store that does not know STREAMING-UNSIGNED-PAYLOAD-TRAILER: bodies
	// go out without chunks, and checksums that clients send behind them are checked by us
	// and not kept. Such a store has to know by itself that a body that ends before its
	// Content-Length is none.
	NoTrailers bool
}

// OriginConfig of an [Origin]. Store, Bucket, Credentials and Transport are required.
type OriginConfig struct {
	Store Store
	// Bucket is the bucket's name at the gateway, and URL the gateway's own, for the
	// Location of an object that was put together; "" = a path alone.
	Bucket, URL string
	Credentials Credentials
	Transport   *egress.Stream
	// Now is the clock of signatures; nil = time.Now.
	Now func() time.Time
}

// Origin is a bucket of an S3-compatible store, as an s3api.Origin.
type Origin struct {
	store       Store
	base        url.URL // scheme and host
	path        string  // before the key, with a slash at the end
	plain       bool    // the network sees what is sent
	bucket, url string
	credentials Credentials
	transport   *egress.Stream
	now         func() time.Time
	// The constants of that name.
	headerTimeout, stallTimeout, patience time.Duration
}

// New returns an origin; it asks nobody.
//
// Errors: countersign.Invalid.
func New(cfg OriginConfig) (*Origin, error) {
	u, err := url.Parse(cfg.Store.Endpoint)
	if err != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery {
		return nil, invalid("the endpoint of an origin is a URL without a path")
	}
	if cfg.Credentials == nil || cfg.Transport == nil || cfg.Bucket == "" {
		return nil, invalid("an origin needs a name, credentials and a transport")
	}
	if err := cfg.Transport.CheckURL(u); err != nil {
		return nil, err
	}
	plain, err := egress.IsPlain(u)
	if err != nil {
		return nil, err
	}
	if !isBucket(cfg.Store.Bucket) || cfg.Store.VirtualHost && strings.Contains(cfg.Store.Bucket, ".") && u.Scheme == "https" {
		return nil, invalid("the origin's bucket is none of S3, or can't be the name of a host")
	}
	if err := checkPrefix(cfg.Store.Prefix); err != nil {
		return nil, err
	}
	o := &Origin{
		store: cfg.Store, base: url.URL{Scheme: u.Scheme, Host: u.Host}, path: "/" + cfg.Store.Bucket + "/", plain: plain,
		headerTimeout: headerTimeout, stallTimeout: stallTimeout, patience: patience,
		bucket: cfg.Bucket, url: strings.TrimSuffix(cfg.URL, "/"), credentials: cfg.Credentials, transport: cfg.Transport, now: cfg.Now,
	}
	if cfg.Store.VirtualHost {
		o.base.Host, o.path = cfg.Store.Bucket+"."+u.Host, "/"
	}
	if o.store.Region == "" {
		o.store.Region = "us-east-1"
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o, nil
}

// isBucket: the name becomes a segment of a path, or the start of a host.
func isBucket(name string) bool {
	return len(name) >= 3 && len(name) <= 255 && name[0] != '.' && s3api.EscapeKey(name) == name && !strings.ContainsAny(name, "/~")
}

// Do implements s3api.Origin. A copy is carried out by the store, where source and target
// are at the same store with the same credentials; else it is NotImplemented. An answer with
// ContentLength -1 may come in pieces that are meant to be sent on as they come. After Do has
// returned no read of the request's body begins; one that waits for the client may still
// run.
//
// Errors: those of s3api.Origin.
func (o *Origin) Do(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	c, err := o.call(r)
	if err != nil {
		return nil, err
	}
	if c.op.slow {
		return o.doSlow(ctx, c)
	}
	return o.do(ctx, c)
}

func (o *Origin) do(ctx context.Context, c *call) (*s3api.Response, error) {
	defer c.payload.from.stop()
	resp, err := o.send(ctx, c)
	if err != nil {
		return nil, err
	}
	return o.answer(c, resp)
}

// sameStore reports whether the store can copy from another origin to this one.
func (o *Origin) sameStore(other *Origin) bool {
	return o.store.Endpoint == other.store.Endpoint && o.store.Region == other.store.Region &&
		o.credentials.Identity() == other.credentials.Identity()
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
}

var _ s3api.Origin = (*Origin)(nil)
