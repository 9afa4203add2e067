package s3origin_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/hostpath"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
)

type poolRig struct {
	*s3origin.Pool
	store   *fakeStore
	allowed string
}

func newPool(t *testing.T) poolRig {
	t.Helper()
	r := poolRig{store: newStore(t, ok), allowed: t.TempDir()}
	var err error
	r.Pool, err = s3origin.NewPool(s3origin.Config{
		Paths: hostpath.Paths{Allowed: []string{r.allowed}, Forbidden: []string{filepath.Join(r.allowed, "data")}}, Now: r.store.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (r poolRig) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(r.allowed, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// static is a bucket of the store, with a secret in a file.
func (r poolRig) static(file string, revision int64) *registry.Bucket {
	return &registry.Bucket{UID: "s", Name: "documents", Revision: revision, Origin: resource.Origin{S3: &resource.S3Origin{
		Endpoint: r.store.URL, Bucket: "real-bucket", Region: "us-east-1",
		Credentials: resource.Credentials{Static: &resource.StaticCredentials{AccessKeyID: keyID, SecretAccessKeyFile: file}},
	}}}
}

func (r poolRig) dir(name string, revision int64) *registry.Bucket {
	return &registry.Bucket{UID: "d-" + name, Name: name, Revision: revision, Origin: resource.Origin{Dir: filepath.Join(r.allowed, name)}}
}

func (r poolRig) origin(t *testing.T, b *registry.Bucket) s3api.Origin {
	t.Helper()
	o, err := r.Origin(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPoolKeepsAnOriginForARevision(t *testing.T) {
	t.Parallel()
	r := newPool(t)
	b := r.static(r.file(t, "secret", secret), 1)
	first := r.origin(t, b)
	if _, err := first.Do(t.Context(), request(s3api.GetObject, "a")); err != nil {
		t.Fatal(err)
	}
	if r.origin(t, b) != first {
		t.Error("made twice for one revision")
	}
	changed := *b
	changed.Revision = 2
	second := r.origin(t, &changed)
	if second == first || r.Len() != 1 {
		t.Errorf("the revision did not matter; %d are kept", r.Len())
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if o, err := r.Origin(t.Context(), &changed); err != nil || o != second {
				t.Errorf("at the same time: %v", err)
			}
		})
	}
	all.Wait()
}

func TestRuleA8PoolOpensAllowedPathsOnly(t *testing.T) {
	t.Parallel()
	r := newPool(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(r.allowed, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.allowed, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*registry.Bucket{
		"a secret elsewhere":         r.static(outside, 1),
		"a link to one":              r.static(filepath.Join(r.allowed, "link"), 1),
		"a secret in the data":       r.static(r.file(t, "data/secret", secret), 1),
		"a path that climbs":         r.static(r.allowed+"/../secret", 1),
		"a folder elsewhere":         {UID: "x", Name: "x", Origin: resource.Origin{Dir: filepath.Dir(outside)}},
		"the data folder":            r.dir("data", 1),
		"a folder in it":             r.dir("data/x", 1),
		"a folder around it":         {UID: "y", Name: "y", Origin: resource.Origin{Dir: r.allowed}},
		"a folder that is a symlink": r.dir("link", 1),
	} {
		if _, err := r.Origin(t.Context(), b); countersign.CodeOf(err) != countersign.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r.Len() != 0 {
		t.Errorf("%d failures are kept", r.Len())
	}
}

func TestPoolTriesAgainWhatFailed(t *testing.T) {
	t.Parallel()
	r := newPool(t)
	b := r.static(filepath.Join(r.allowed, "later"), 1)
	if _, err := r.Origin(t.Context(), b); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("no file yet: %v", err)
	}
	r.file(t, "later", secret)
	r.origin(t, b)
	for name, o := range map[string]resource.Origin{"nothing": {}, "no credentials": {S3: &resource.S3Origin{Endpoint: r.store.URL, Bucket: "real-bucket"}}} {
		if _, err := r.Origin(t.Context(), &registry.Bucket{UID: name, Origin: o}); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	r := newPool(t)
	file := r.file(t, "secret", secret)
	for i := range s3origin.MaxOrigins + 10 {
		b := r.static(file, 1)
		b.UID = fmt.Sprint(i)
		r.origin(t, b)
	}
	if r.Len() != s3origin.MaxOrigins {
		t.Errorf("%d are kept", r.Len())
	}
}

// A folder is closed when its bucket has changed and nobody is in it any more.
func TestFoldersOfThePool(t *testing.T) {
	t.Parallel()
	r := newPool(t)
	first, other := r.origin(t, r.dir("one", 1)), r.origin(t, r.dir("two", 1))
	if _, err := first.Do(t.Context(), put("a", []byte("text"))); err != nil {
		t.Fatal(err)
	}
	copied := request(s3api.CopyObject, "b")
	copied.Source = &s3api.Source{Origin: first, Bucket: "one", Key: "a"}
	if _, err := other.Do(t.Context(), copied); err != nil {
		t.Fatalf("a copy between folders: %v", err)
	}
	if copied.Source.Origin != first {
		t.Error("the request was changed")
	}
	second := r.origin(t, r.dir("one", 2))
	if _, err := second.Do(t.Context(), request(s3api.GetObject, "a")); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if _, err := first.Do(t.Context(), request(s3api.GetObject, "a")); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("the old one: %v", err)
	}
	if _, err := other.Do(t.Context(), copied); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("a copy from the old one: %v", err)
	}
	_ = r.Close()
	if _, err := r.Origin(t.Context(), r.dir("one", 2)); countersign.CodeOf(err) != countersign.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	if _, err := second.Do(t.Context(), request(s3api.GetObject, "a")); err == nil || errors.Is(err, fs.ErrClosed) {
		t.Errorf("the folder after Close: %v", err)
	}
}

func TestRuleC2OriginsThatMayNotBeAsked(t *testing.T) {
	t.Parallel()
	clock := fixture.NewClock(start)
	make := func(endpoint string, private bool) (*s3origin.Origin, error) {
		stream := egress.NewStream(egress.StreamConfig{AllowPrivateAddresses: private})
		return s3origin.New(s3origin.OriginConfig{
			Store: s3origin.Store{Endpoint: endpoint, Bucket: "real-bucket"}, Bucket: "documents", Transport: stream, Now: clock.Now,
			Credentials: &keys{now: pair(keyID, secret)},
		})
	}
	for _, endpoint := range []string{
		"", "s3.example.com", "ftp://s3.example.com", "https://user:password@s3.example.com", "https://s3.example.com/path",
		"https://s3.example.com?x", "https://s3.example.com?", "http://s3.example.com", "http://10.0.0.1:9000", "https://s3.example.com#x",
	} {
		if _, err := make(endpoint, false); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	for endpoint, private := range map[string]bool{
		"https://169.254.169.254": true, "http://169.254.169.254": true, "https://10.0.0.1": false, "https://0.0.0.0": true,
		"http://8.8.8.8": true, "https://[fd00:ec2::254]": true, "https://[::ffff:127.0.0.1]:1": false,
	} {
		o, err := make(endpoint, private)
		if err != nil {
			t.Errorf("%s: %v", endpoint, err)
			continue
		}
		if _, err := o.Do(t.Context(), request(s3api.GetObject, "a")); !errors.Is(err, egress.ErrAddress) || countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}
