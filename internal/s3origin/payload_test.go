package s3origin_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/sigv4"
)

var large = bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB

func trailing(p *s3api.Request, body []byte) *s3api.Request {
	sum := s3api.CRC64NVME.New()
	_, _ = sum.Write(body)
	p.Trailer, p.TrailerValue = s3api.CRC64NVME.Header(), func() string { return s3api.CRC64NVME.Encode(sum.Sum(nil)) }
	return p
}

// TestPayloadForms: how a body is sent and signed, on a network that sees it and where it
// does not, below and above what is held in memory.
func TestPayloadForms(t *testing.T) {
	t.Parallel()
	small := []byte("hello")
	hashed := func(p *s3api.Request, body []byte) *s3api.Request { p.PayloadHash = sigv4.HashPayload(body); return p }
	as := func(p *s3api.Request, _ []byte) *s3api.Request { return p }
	stated := func(p *s3api.Request, _ []byte) *s3api.Request { p.Header.Set("Content-Md5", "x"); return p }
	part := func(p *s3api.Request, _ []byte) *s3api.Request {
		p.Operation = s3api.UploadPart
		p.Query.Set("uploadId", "u")
		p.Query.Set("partNumber", "1")
		return p
	}
	const crc32, crc64 = "x-amz-checksum-crc32", "x-amz-checksum-crc64nvme"
	for name, test := range map[string]struct {
		body           []byte
		change         func(*s3api.Request, []byte) *s3api.Request
		want, trailer  string
		plain, oldTime bool
	}{
		"empty":                       {body: []byte{}, change: as, want: sigv4.EmptyPayloadHash},
		"small":                       {body: small, change: as, want: sigv4.HashPayload(small)},
		"small, hashed":               {body: small, change: hashed, want: sigv4.HashPayload(small)},
		"small, trailer":              {body: small, change: trailing, want: sigv4.HashPayload(small)},
		"small, over a network":       {body: small, change: as, want: sigv4.HashPayload(small), plain: true},
		"large, hashed":               {body: large, change: hashed, want: sigv4.HashPayload(large)},
		"large, hashed, network":      {body: large, change: hashed, want: sigv4.HashPayload(large), plain: true},
		"large":                       {body: large, change: as, want: sigv4.StreamingUnsignedTrailer, trailer: crc32},
		"large, network":              {body: large, change: as, want: sigv4.StreamingPayload, plain: true},
		"large, trailer":              {body: large, change: trailing, want: sigv4.StreamingUnsignedTrailer, trailer: crc64},
		"large, trailer, network":     {body: large, change: trailing, want: sigv4.StreamingPayloadTrailer, trailer: crc64, plain: true},
		"large, with an MD5":          {body: large, change: stated, want: sigv4.UnsignedPayload},
		"large part":                  {body: large, change: part, want: sigv4.UnsignedPayload},
		"large part, network":         {body: large, change: part, want: sigv4.StreamingPayload, plain: true},
		"old store, large":            {body: large, change: as, want: sigv4.UnsignedPayload, oldTime: true},
		"old store, trailer":          {body: large, change: trailing, want: sigv4.UnsignedPayload, oldTime: true},
		"old store, trailer, network": {body: large, change: trailing, want: sigv4.StreamingPayload, oldTime: true, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ok, func(cfg *s3origin.OriginConfig) {
				cfg.Store.NoTrailers = test.oldTime
				if test.plain {
					overNetwork(cfg)
				}
			})
			p := test.change(put("a", test.body), test.body)
			p.Header.Set("Content-Encoding", "gzip")
			r.do(t, p)
			got := r.store.last(t)
			if got.bodyErr != nil || got.body != string(test.body) {
				t.Errorf("the store got %d bytes, %v", len(got.body), got.bodyErr)
			}
			if sent := got.header.Get("X-Amz-Content-Sha256"); sent != test.want {
				t.Errorf("sent as %s, want %s", sent, test.want)
			}
			if sent := got.header.Get("X-Amz-Trailer"); sent != test.trailer {
				t.Errorf("trailer %q, want %q", sent, test.trailer)
			}
			coding, decoded := "gzip", ""
			if strings.HasPrefix(test.want, "STREAMING") {
				coding, decoded = "aws-chunked,gzip", strconv.Itoa(len(test.body))
			}
			if got.header.Get("Content-Encoding") != coding || got.header.Get("X-Amz-Decoded-Content-Length") != decoded {
				t.Errorf("header: %v", got.header)
			}
			if name == "small, trailer" && got.header.Get("X-Amz-Checksum-Crc64nvme") == "" {
				t.Error("the checksum is gone")
			}
		})
	}
}

var errWrong = errors.New("not what was signed")

// endsBadly yields a body and then an error where its end would be.
type endsBadly struct {
	good io.Reader
	then error
}

func (e endsBadly) Read(p []byte) (int, error) {
	n, err := e.good.Read(p)
	if err == nil || n > 0 {
		return n, nil
	}
	return 0, e.then
}

// The store gets less than was announced of a body that turns out wrong, in every form.
func TestRuleF4StoreNeverHasAllOfAWrongBody(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 1000, len(large)} {
		body := large[:size]
		for name, make := range map[string]func() *s3api.Request{
			"unsigned": func() *s3api.Request { return put("a", body) },
			"hashed":   func() *s3api.Request { p := put("a", body); p.PayloadHash = sigv4.HashPayload(body); return p },
			"trailer":  func() *s3api.Request { return trailing(put("a", body), body) },
		} {
			for _, network := range []bool{false, true} {
				r := newRig(t, ok, func(cfg *s3origin.OriginConfig) {
					if network {
						overNetwork(cfg)
					}
				})
				for wrong, then := range map[string]error{"wrong": errWrong, "short": io.EOF, "none": io.ErrUnexpectedEOF} {
					for _, yields := range []int{0, size / 2, size - 1, size} {
						if wrong == "short" && yields == size {
							continue
						}
						p := make()
						p.Body = endsBadly{bytes.NewReader(body[:yields]), then}
						_, err := r.Do(t.Context(), p)
						if err == nil {
							t.Fatalf("%s, %d of %d bytes, %s: taken", name, yields, size, wrong)
						}
						if wrong == "wrong" && !errors.Is(err, errWrong) {
							t.Errorf("%s, %d of %d bytes: %v hides what was wrong", name, yields, size, err)
						}
						if wrong == "short" {
							var e *s3api.Error
							if !errors.As(err, &e) || e.Code != s3api.IncompleteBody {
								t.Errorf("%s, %d of %d bytes: %v", name, yields, size, err)
							}
						}
					}
				}
				p := make()
				p.Body = io.MultiReader(bytes.NewReader(body), strings.NewReader("x"))
				if _, err := r.Do(t.Context(), p); err == nil {
					t.Fatalf("%s: a body that is too long", name)
				}
				r.store.CloseClientConnections()
				r.store.Close() // waits for what it has begun
				for _, got := range r.store.all() {
					if got.bodyErr == nil {
						t.Errorf("%s of %d bytes: the store had a whole request", name, size)
					}
				}
			}
		}
	}
}

func (s *fakeStore) all() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.seen...)
}

// A request that the client has left ends, and its body is asked no more.
func TestClientThatLeavesEndsTheRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	ctx, cancel := context.WithCancel(t.Context())
	from := &counted{Reader: bytes.NewReader(large), at: len(large) / 2, then: cancel}
	_, err := r.Do(ctx, withBody(request(s3api.PutObject, "a"), from, len(large)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

type counted struct {
	io.Reader
	at   int
	then func()
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.at -= n; c.at <= 0 && c.then != nil {
		c.then()
		c.then = nil
	}
	return n, err
}

// A store that refuses before it has read the body gets none of it: the client is not asked.
func TestLargeBodyWaitsForTheStoresConsent(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	r.store.Config.Handler = refuseWith(http.StatusForbidden, s3api.AccessDenied)
	p := put("a", large)
	p.Body = endsBadly{strings.NewReader(""), errWrong} // fails if it is read
	r.refused(t, s3api.AccessDenied, p)
}

func TestSuccessBeforeTheBodyCameIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	r.store.Config.Handler = http.HandlerFunc(ok)
	body := io.MultiReader(bytes.NewReader(large), &never{done: t.Context().Done()})
	r.fails(t, countersign.Upstream, withBody(request(s3api.PutObject, "a"), body, 2*len(large)))
}

// never yields nothing until the test ends.
type never struct{ done <-chan struct{} }

func (n *never) Read([]byte) (int, error) {
	<-n.done
	return 0, errWrong
}

func TestTrailerThatIsNotKnown(t *testing.T) {
	t.Parallel()
	r := newRig(t, ok)
	p := put("a", large)
	p.Trailer, p.TrailerValue = "x-amz-checksum-xxh3", func() string { return "AA==" }
	r.refused(t, s3api.NotImplemented, p)
	p = put("a", large)
	p.ContentLength = -1
	r.refused(t, "MissingContentLength", p)
}
