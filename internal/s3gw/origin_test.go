package s3gw_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3api"
)

// origins are the world outside: objects in memory. Each bucket has one.
type origins struct {
	mu      sync.Mutex
	buckets map[string]*memory
	// fail is what Origin returns; nil = an origin.
	fail error
}

func newOrigins() *origins { return &origins{buckets: make(map[string]*memory)} }

func (o *origins) Origin(_ context.Context, b *registry.Bucket) (s3api.Origin, error) {
	if o.fail != nil {
		return nil, o.fail
	}
	return o.of(b.Name), nil
}

func (o *origins) of(name string) *memory {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buckets[name] == nil {
		o.buckets[name] = &memory{name: name, objects: make(map[string]stored)}
	}
	return o.buckets[name]
}

// calls are those that were carried out, of all buckets.
func (o *origins) calls() (all []call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.buckets {
		m.mu.Lock()
		all = append(all, m.calls...)
		m.mu.Unlock()
	}
	return all
}

func (o *origins) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.buckets {
		m.mu.Lock()
		m.calls = nil
		m.mu.Unlock()
	}
}

// call is a request that was carried out.
type call struct {
	s3api.Request
	bucket  string
	body    []byte
	trailer string
}

type stored struct {
	body   []byte
	header http.Header
}

type memory struct {
	name    string
	mu      sync.Mutex
	objects map[string]stored
	calls   []call
	// answer stands for the origin's own; nil = that.
	answer func(ctx context.Context, r *s3api.Request) (*s3api.Response, error)
}

func (m *memory) Do(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	if m.answer != nil {
		return m.answer(ctx, r)
	}
	c := call{Request: *r, bucket: m.name}
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
		if int64(len(c.body)) != r.ContentLength {
			return nil, errors.New("the body is not as long as it says")
		}
	}
	if r.TrailerValue != nil {
		c.trailer = r.TrailerValue()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
	return m.do(r, c.body)
}

func (m *memory) do(r *s3api.Request, body []byte) (*s3api.Response, error) {
	switch r.Operation {
	case s3api.PutObject:
		m.objects[r.Key] = stored{body, r.Header}
		return reply(http.StatusOK, "", "Etag", `"etag"`), nil
	case s3api.GetObject, s3api.HeadObject, s3api.GetObjectTagging:
		found, ok := m.objects[r.Key]
		if !ok {
			return nil, &s3api.Error{Code: s3api.NoSuchKey, Message: "The specified key does not exist."}
		}
		if r.Operation == s3api.HeadObject {
			return &s3api.Response{Status: http.StatusOK, Header: found.header, ContentLength: int64(len(found.body))}, nil
		}
		answer := reply(http.StatusOK, string(found.body), "X-Secret-Of-Origin", "x", "Etag", `"etag"`)
		return answer, nil
	case s3api.CopyObject:
		from, _ := r.Source.Origin.(*memory)
		if from == nil {
			return nil, &s3api.Error{Code: s3api.NotImplemented}
		}
		found, ok := from.objects[r.Source.Key] // a copy within one bucket has the lock already
		if !ok {
			return nil, &s3api.Error{Code: s3api.NoSuchKey}
		}
		m.objects[r.Key] = found
		return reply(http.StatusOK, `<CopyObjectResult><ETag>"etag"</ETag></CopyObjectResult>`), nil
	case s3api.DeleteObject:
		delete(m.objects, r.Key)
		return reply(http.StatusNoContent, ""), nil
	case s3api.ListObjects, s3api.ListObjectsV2:
		var keys []string
		for key := range m.objects {
			if strings.HasPrefix(key, r.Query.Get("prefix")) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		return reply(http.StatusOK, "<ListBucketResult><Key>"+strings.Join(keys, "</Key><Key>")+"</Key></ListBucketResult>"), nil
	case s3api.DeleteObjects:
		return m.deleteObjects(body)
	}
	return reply(http.StatusOK, "<Done/>"), nil
}

func (m *memory) deleteObjects(body []byte) (*s3api.Response, error) {
	var asked struct {
		Object []struct{ Key, VersionId string } //nolint:revive // S3's spelling
	}
	if err := xml.Unmarshal(body, &asked); err != nil {
		return nil, &s3api.Error{Code: s3api.MalformedXML}
	}
	var out strings.Builder
	out.WriteString(`<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for _, o := range asked.Object {
		delete(m.objects, o.Key)
		out.WriteString("<Deleted><Key>")
		_ = xml.EscapeText(&out, []byte(o.Key))
		out.WriteString("</Key></Deleted>")
	}
	out.WriteString("</DeleteResult>")
	return reply(http.StatusOK, out.String()), nil
}

func reply(status int, body string, header ...string) *s3api.Response {
	h := http.Header{"Content-Type": {"application/xml"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &s3api.Response{Status: status, Header: h, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body))}
}
