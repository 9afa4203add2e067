package s3origin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/sigv4"
)

var start = time.Unix(1_800_000_000, 0).UTC()

const (
	keyID  = "AKIDSTORE"
	secret = "secret-of-the-store"
)

// seen is a request as the store got it.
type seen struct {
	method, path, query string // as they came
	host                string
	header              http.Header
	body                string
	bodyErr             error
}

// fakeStore verifies signatures as S3 does, then answers what a test says.
type fakeStore struct {
	*httptest.Server
	clock *fixture.Clock

	mu      sync.Mutex
	seen    []seen
	secrets map[string]string // by access key id
	answer  http.HandlerFunc
}

// do is called with the request's body read.
func newStore(t testing.TB, answer http.HandlerFunc) *fakeStore {
	t.Helper()
	s := &fakeStore{clock: fixture.NewClock(start), answer: answer, secrets: map[string]string{keyID: secret}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	got := seen{method: r.Method, path: path, query: query, host: r.Host, header: r.Header}
	body, err := s.verify(r)
	got.body, got.bodyErr = string(body), err
	s.mu.Lock()
	s.seen = append(s.seen, got)
	answer := s.answer
	s.mu.Unlock()
	if err != nil && countersign.CodeOf(err) == countersign.BadSignature {
		refuseWith(http.StatusForbidden, "SignatureDoesNotMatch")(w, r)
		return
	}
	if err != nil {
		refuseWith(http.StatusBadRequest, "IncompleteBody")(w, r)
		return
	}
	answer(w, r)
}

// verify checks a request with another view of it than the one that signed: package sigv4's
// server side, and the decoder of its chunks.
func (s *fakeStore) verify(r *http.Request) ([]byte, error) {
	q, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	secret := countersign.NewSecret(s.secrets[q.AccessKeyID])
	s.mu.Unlock()
	err = q.Verify(sigv4.VerifyOptions{
		Secret: secret, Now: s.clock.Now(), Service: "s3", BodyLater: true, AllowStreaming: true, AllowUnsigned: true,
	})
	if err != nil {
		return nil, countersign.WrapError(countersign.BadSignature, "", "", err)
	}
	o := sigv4.BodyOptions{Secret: secret, DecodedLength: max(r.ContentLength, 0), Trailer: r.Header.Get("X-Amz-Trailer")}
	if text := r.Header.Get("X-Amz-Decoded-Content-Length"); text != "" {
		o.DecodedLength = parseInt(text)
	}
	if checksum, ok := s3api.ChecksumOfHeader(o.Trailer); ok {
		o.Checksum = checksum.New()
	}
	b, err := q.Body(r.Body, o)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(b)
}

func parseInt(text string) (n int64) {
	for _, c := range text {
		n = n*10 + int64(c-'0')
	}
	return n
}

// last is what came last.
func (s *fakeStore) last(t testing.TB) seen {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		t.Fatal("the store was not asked")
	}
	return s.seen[len(s.seen)-1]
}

func (s *fakeStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *fakeStore) set(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func refuseWith(status int, code string) http.HandlerFunc {
	return answerWith(status, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>real-bucket/team/x is not yours</Message><Key>team/x</Key></Error>`)
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("X-Amz-Request-Id", "R1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"e"`) }

// keys are credentials that a test changes.
type keys struct {
	mu      sync.Mutex
	now     sigv4.Credentials
	next    sigv4.Credentials // what Refused brings
	refused int
	err     error
	name    string
}

func (k *keys) Get(context.Context) (sigv4.Credentials, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now, k.err
}

func (k *keys) Refused(sigv4.Credentials) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused++
	if k.next.AccessKeyID != "" {
		k.now = k.next
	}
}
func (k *keys) Identity() string { return k.name }
func (k *keys) Close() error     { return nil }

func pair(id, secret string) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: id, SecretAccessKey: countersign.NewSecret(secret)}
}

type rig struct {
	*s3origin.Origin
	store *fakeStore
	keys  *keys
}

// newRig returns an origin below team/ of real-bucket; change changes what it is made of.
func newRig(t testing.TB, answer http.HandlerFunc, change ...func(*s3origin.OriginConfig)) *rig {
	t.Helper()
	store := newStore(t, answer)
	return newRigOf(t, store, change...)
}

func newRigOf(t testing.TB, store *fakeStore, change ...func(*s3origin.OriginConfig)) *rig {
	t.Helper()
	r := &rig{store: store, keys: &keys{now: pair(keyID, secret), name: "k"}}
	stream := egress.NewStream(egress.StreamConfig{})
	t.Cleanup(stream.CloseIdleConnections)
	cfg := s3origin.OriginConfig{
		Store:  s3origin.Store{Endpoint: r.store.URL, Bucket: "real-bucket", Prefix: "team/"},
		Bucket: "documents", Credentials: r.keys, Transport: stream, Now: r.store.clock.Now,
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if r.Origin, err = s3origin.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// overNetwork writes the store's address in a way that is not a loopback's.
func overNetwork(cfg *s3origin.OriginConfig) {
	cfg.Transport = egress.NewStream(egress.StreamConfig{AllowPrivateAddresses: true})
	cfg.Store.Endpoint = strings.Replace(cfg.Store.Endpoint, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
}

func noPrefix(cfg *s3origin.OriginConfig) { cfg.Store.Prefix = "" }

var methods = map[s3api.Operation]string{
	s3api.HeadBucket: "HEAD", s3api.HeadObject: "HEAD", s3api.PutObject: "PUT", s3api.DeleteObject: "DELETE", s3api.CopyObject: "PUT",
	s3api.UploadPart: "PUT", s3api.UploadPartCopy: "PUT", s3api.AbortMultipartUpload: "DELETE", s3api.DeleteObjects: "POST",
	s3api.CreateMultipartUpload: "POST", s3api.CompleteMultipartUpload: "POST", s3api.PutObjectTagging: "PUT",
}

// request is one of an operation; pairs are parameters of its query.
func request(operation s3api.Operation, key string, pairs ...string) *s3api.Request {
	r := &s3api.Request{Operation: operation, Method: methods[operation], Key: key, Query: url.Values{}, Header: http.Header{}}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	for i := 0; i < len(pairs); i += 2 {
		r.Query.Set(pairs[i], pairs[i+1])
	}
	return r
}

func withBody(r *s3api.Request, body io.Reader, length int) *s3api.Request {
	r.Body, r.ContentLength = body, int64(length)
	return r
}

func put(key string, body []byte) *s3api.Request {
	return withBody(request(s3api.PutObject, key), bytes.NewReader(body), len(body))
}

func withText(r *s3api.Request, body string) *s3api.Request {
	return withBody(r, strings.NewReader(body), len(body))
}

// do carries out a request that succeeds.
func (r *rig) do(t testing.TB, request *s3api.Request) (*s3api.Response, string) {
	t.Helper()
	resp, err := r.Do(t.Context(), request)
	if err != nil {
		t.Fatalf("%s %s: %v", request.Operation, request.Key, err)
	}
	if resp.Body == nil {
		return resp, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", request.Operation, request.Key, err)
	}
	return resp, string(body)
}

// refused carries out a request that ends in an error of S3 with a code.
func (r *rig) refused(t testing.TB, code string, request *s3api.Request) *s3api.Error {
	t.Helper()
	_, err := r.Do(t.Context(), request)
	var e *s3api.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s %s: %v, want %s", request.Operation, request.Key, err, code)
		return &s3api.Error{}
	}
	if strings.Contains(e.Message, "real-bucket") || strings.Contains(e.Message, "team/") {
		t.Errorf("%s: the message is the store's: %s", code, e.Message)
	}
	return e
}

// fails carries out a request that ends in an error of a class, and returns it.
func (r *rig) fails(t testing.TB, code countersign.Code, request *s3api.Request) error {
	t.Helper()
	resp, err := r.Do(t.Context(), request)
	if err == nil {
		t.Errorf("%s %s: %d, want %s", request.Operation, request.Key, resp.Status, code)
		return nil
	}
	if got := countersign.CodeOf(err); got != code {
		t.Errorf("%s %s: %s (%v), want %s", request.Operation, request.Key, got, err, code)
	}
	if msg := countersign.MessageOf(err); strings.Contains(msg, "real-bucket") || strings.Contains(msg, "team/") {
		t.Errorf("the message names what the client is not to see: %s", msg)
	}
	return err
}
