package s3origin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/sigv4"
)

// Credentials that the store does not take are asked for anew, once, if the request can be
// sent again.
func TestCredentialsThatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"} {
		r := newRig(t, ok)
		r.store.set(func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.Header.Get("Authorization"), "AKIDNEW") {
				ok(w, q)
				return
			}
			refuseWith(http.StatusForbidden, code)(w, q)
		})
		r.store.secrets["AKIDNEW"] = "new"
		for _, make := range []func() *s3api.Request{
			func() *s3api.Request { return request(s3api.GetObject, "a") },
			func() *s3api.Request { return put("a", []byte("in memory")) },
		} {
			r.keys.now, r.keys.next, r.keys.refused = pair(keyID, secret), pair("AKIDNEW", "new"), 0
			before := r.store.count()
			r.do(t, make())
			if r.keys.refused != 1 || r.store.count() != before+2 {
				t.Errorf("%s: refused %d times, asked %d times", code, r.keys.refused, r.store.count()-before)
			}
		}
		// The same again: once is enough, and the client's words are not about it.
		r.keys.now, r.keys.next, r.keys.refused = pair(keyID, secret), sigv4.Credentials{}, 0
		before := r.store.count()
		r.fails(t, countersign.Upstream, request(s3api.GetObject, "a"))
		if r.keys.refused != 1 || r.store.count() != before+1 {
			t.Errorf("%s: refused %d times, asked %d times", code, r.keys.refused, r.store.count()-before)
		}
		// A stream that was begun is not sent again; the next request has the new ones.
		r.keys.now, r.keys.next = pair(keyID, secret), pair("AKIDNEW", "new")
		part := withBody(request(s3api.UploadPart, "a", "uploadId", "u", "partNumber", "1"), strings.NewReader(string(large[:200<<10])), 200<<10)
		r.fails(t, countersign.Upstream, part)
		r.do(t, request(s3api.GetObject, "a"))
	}
	r := newRig(t, ok)
	r.keys.err = countersign.NewError(countersign.Unavailable, "", "no signer")
	r.fails(t, countersign.Unavailable, request(s3api.GetObject, "a"))
}

func TestSecretIsReadAgain(t *testing.T) {
	t.Parallel()
	clock := fixture.NewClock(start)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", " \n", "two words", "a\nb", "a\x00b", strings.Repeat("x", 5000)} {
		write(text)
		if _, err := s3origin.NewStatic("AKID", file, os.ReadFile, clock.Now); countersign.CodeOf(err) != countersign.Unavailable {
			t.Errorf("a secret of %q: %v", text, err)
		}
	}
	if _, err := s3origin.NewStatic("", file, os.ReadFile, nil); countersign.CodeOf(err) != countersign.Invalid {
		t.Errorf("no id: %v", err)
	}
	write("one\n")
	c, err := s3origin.NewStatic("AKID", file, os.ReadFile, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	want := func(secret string) {
		t.Helper()
		if got, err := c.Get(t.Context()); err != nil || got.SecretAccessKey.Reveal() != secret || got.AccessKeyID != "AKID" {
			t.Errorf("%v, want the secret %s (%v)", got.SecretAccessKey.Reveal(), secret, err)
		}
	}
	want("one")
	write("two")
	want("one")
	clock.Advance(5 * time.Second)
	want("two")
	write("three")
	c.Refused(pair("AKID", "two"))
	want("three")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	clock.Advance(5 * time.Second)
	want("three")
	write("not one")
	clock.Advance(5 * time.Second)
	want("three")
}

// chain is the AWS chain of a test.
type chain struct {
	calls atomic.Int64
	mu    sync.Mutex
	life  time.Duration
	err   error
	wait  chan struct{} // nil = answer at once
	clock *fixture.Clock
}

func (c *chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	n := c.calls.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wait != nil {
		select {
		case <-c.wait:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
	got := aws.Credentials{AccessKeyID: "AKID" + strings.Repeat("X", int(n)), SecretAccessKey: "s", SessionToken: "t"}
	if c.life > 0 {
		got.CanExpire, got.Expires = true, c.clock.Now().Add(c.life)
	}
	return got, c.err
}

func newAmbient(t *testing.T, c *chain) (*s3origin.Pool, s3origin.Credentials) {
	t.Helper()
	p, err := s3origin.NewPool(s3origin.Config{Now: c.clock.Now, Ambient: func(context.Context) (aws.CredentialsProvider, error) {
		return aws.NewCredentialsCache(c), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, p.Ambient()
}

func TestRuleD9AmbientCredentialsAreRenewedInTheBackground(t *testing.T) {
	t.Parallel()
	c := &chain{clock: fixture.NewClock(start), life: 10 * time.Minute}
	p, keys := newAmbient(t, c)
	want := func(id string, calls int64) {
		t.Helper()
		if got, err := keys.Get(t.Context()); err != nil || got.AccessKeyID != id || c.calls.Load() != calls {
			t.Errorf("got %s after %d calls (%v), want %s after %d", got.AccessKeyID, c.calls.Load(), err, id, calls)
		}
	}
	var together sync.WaitGroup
	for range 20 {
		together.Go(func() { _, _ = keys.Get(t.Context()) })
	}
	together.Wait()
	want("AKIDX", 1)
	c.clock.Advance(9*time.Minute - time.Second)
	want("AKIDX", 1)
	// From 60 s before the end on they are renewed, and nobody waits: the chain hangs.
	hang := make(chan struct{})
	c.mu.Lock()
	c.wait = hang
	c.mu.Unlock()
	c.clock.Advance(time.Second)
	for range 3 {
		if got, err := keys.Get(t.Context()); err != nil || got.AccessKeyID != "AKIDX" {
			t.Errorf("while it is renewed: %s, %v", got.AccessKeyID, err)
		}
	}
	close(hang)
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("AKIDXX", 2)
	// Not taken by the store: asked for again, but not those that came meanwhile.
	keys.Refused(pair("AKIDX", "s"))
	want("AKIDXX", 2)
	keys.Refused(pair("AKIDXX", "s"))
	want("AKIDXXX", 3)
	// A failure keeps what is valid to 5 s before its end, and no longer.
	c.mu.Lock()
	c.err = errors.New("no instance profile")
	c.mu.Unlock()
	c.clock.Advance(10*time.Minute - 5*time.Second)
	if got, err := keys.Get(t.Context()); err != nil || got.AccessKeyID != "AKIDXXX" {
		t.Errorf("5 s before the end: %s, %v", got.AccessKeyID, err)
	}
	c.clock.Advance(time.Second)
	if _, err := keys.Get(t.Context()); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("4 s before the end: %v", err)
	}
	c.mu.Lock()
	c.err, c.life = nil, 4*time.Second
	c.mu.Unlock()
	if _, err := keys.Get(t.Context()); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("new ones for 4 s: %v", err)
	}
}

func TestAmbientCredentialsWithoutAnEnd(t *testing.T) {
	t.Parallel()
	c := &chain{clock: fixture.NewClock(start)}
	_, keys := newAmbient(t, c)
	for range 3 {
		if _, err := keys.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.clock.Advance(24 * time.Hour)
	}
	if c.calls.Load() != 1 {
		t.Errorf("asked %d times", c.calls.Load())
	}
}

func TestCallerThatLeavesDoesNotEndTheCall(t *testing.T) {
	t.Parallel()
	c := &chain{clock: fixture.NewClock(start), wait: make(chan struct{})}
	p, keys := newAmbient(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := keys.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(c.wait)
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Get(t.Context()); err != nil || c.calls.Load() != 1 {
		t.Errorf("%v after %d calls", err, c.calls.Load())
	}
	_ = p.Close()
	keys.Refused(pair("AKIDX", "s"))
	if _, err := keys.Get(t.Context()); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

// fakeBroker is the broker of a test.
type fakeBroker struct {
	request broker.Request
	forgot  string
	err     error
}

func (b *fakeBroker) Credentials(_ context.Context, r broker.Request) (broker.Credentials, error) {
	b.request = r
	return broker.Credentials{AccessKeyID: keyID, SecretAccessKey: countersign.NewSecret(secret), SessionToken: countersign.NewSecret("token")}, b.err
}
func (b *fakeBroker) Forget(_ broker.Request, id string) { b.forgot = id }

func webIdentityBucket(store *fakeStore) *registry.Bucket {
	return &registry.Bucket{UID: "u", Name: "documents", Revision: 1, Origin: resource.Origin{S3: &resource.S3Origin{
		Endpoint: store.URL, Bucket: "real-bucket", Region: "us-east-1", Prefix: "team*/",
		Credentials: resource.Credentials{WebIdentity: &resource.AWSBroker{RoleARN: "arn:aws-cn:iam::123456789012:role/Gateway", Region: "cn-north-1"}},
	}}}
}

// The session of an origin is for its bucket, whatever else the role may.
func TestRuleD9WebIdentityIsForTheBucketAlone(t *testing.T) {
	t.Parallel()
	store := newStore(t, ok)
	b := &fakeBroker{}
	p, err := s3origin.NewPool(s3origin.Config{Broker: b, Now: store.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	o, err := p.Origin(t.Context(), webIdentityBucket(store))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Do(t.Context(), request(s3api.GetObject, "a")); err != nil {
		t.Fatal(err)
	}
	if got := store.last(t).header.Get("X-Amz-Security-Token"); got != "token" {
		t.Errorf("token %q", got)
	}
	want := `{"Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws-cn:s3:::real-bucket","arn:aws-cn:s3:::real-bucket/team${*}/*"]},` +
		`{"Effect":"Allow","Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":["*"]}],"Version":"2012-10-17"}`
	if r := b.request; r.Policy != want || r.Bucket != "documents" || r.Subject != "" || r.SessionName != "documents" {
		t.Errorf("asked for %+v", r)
	}
	// Whom AWS does not let in is us, and not who asks.
	for code, want := range map[countersign.Code]countersign.Code{
		countersign.Denied: countersign.Upstream, countersign.TooLarge: countersign.Upstream, countersign.Invalid: countersign.Upstream,
		countersign.Throttled: countersign.Throttled, countersign.Unavailable: countersign.Unavailable,
	} {
		b.err = countersign.NewError(code, "", "of AWS")
		if _, err := o.Do(t.Context(), request(s3api.GetObject, "a")); countersign.CodeOf(err) != want || want == countersign.Upstream && errors.Is(err, code) {
			t.Errorf("%s becomes %v", code, err)
		}
	}
	b.err = nil
	store.set(refuseWith(400, "ExpiredToken"))
	if _, err := o.Do(t.Context(), request(s3api.GetObject, "a")); err == nil || b.forgot != keyID {
		t.Errorf("%v, forgot %q", err, b.forgot)
	}
	none, _ := s3origin.NewPool(s3origin.Config{})
	t.Cleanup(func() { _ = none.Close() })
	if _, err := none.Origin(t.Context(), webIdentityBucket(store)); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("without a broker: %v", err)
	}
}

func TestSlowAndStalledStores(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	r.SetTimeouts(10*time.Millisecond, 10*time.Millisecond)
	r.fails(t, countersign.Upstream, request(s3api.GetObject, "a"))
	r.store.set(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "12345")
		_ = http.NewResponseController(w).Flush()
		<-q.Context().Done()
	})
	r.SetTimeouts(time.Minute, 10*time.Millisecond)
	resp, err := r.Do(t.Context(), request(s3api.GetObject, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); countersign.CodeOf(err) != countersign.Upstream {
		t.Errorf("%v", err)
	}
}
