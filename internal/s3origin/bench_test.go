package s3origin_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
)

const benchBytes = 64 << 20

// benchStore takes and gives 64 MiB without a look at them.
func benchStore(b *testing.B) *httptest.Server {
	b.Helper()
	chunk := make([]byte, 256<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			buffer := make([]byte, 256<<10)
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, buffer)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(benchBytes))
		for range benchBytes / len(chunk) {
			_, _ = w.Write(chunk)
		}
	}))
	b.Cleanup(server.Close)
	return server
}

// zeros yields bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func BenchmarkGet64MiB(b *testing.B) {
	server := benchStore(b)
	buffer := make([]byte, 64<<10)
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(benchBytes)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := http.Get(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buffer)
			resp.Body.Close()
		}
	})
	b.Run("origin", func(b *testing.B) {
		o := benchOrigin(b, server.URL)
		b.SetBytes(benchBytes)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := o.Do(b.Context(), request(s3api.GetObject, "a"))
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buffer)
			if n != benchBytes || err != nil {
				b.Fatal(n, err)
			}
			resp.Body.Close()
		}
	})
}

func BenchmarkPut64MiB(b *testing.B) {
	server := benchStore(b)
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(benchBytes)
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequest(http.MethodPut, server.URL, io.LimitReader(zeros{}, benchBytes))
			r.ContentLength = benchBytes
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
	})
	forms := map[string]func(*s3api.Request){
		"chunks with a checksum": func(*s3api.Request) {},
		"as it is":               func(p *s3api.Request) { p.Header.Set("Content-Md5", "x") },
	}
	for name, change := range forms {
		b.Run(name, func(b *testing.B) {
			o := benchOrigin(b, server.URL)
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			for b.Loop() {
				p := withBody(request(s3api.PutObject, "a"), io.LimitReader(zeros{}, benchBytes), benchBytes)
				change(p)
				if _, err := o.Do(b.Context(), p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet1KiB(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1024)) }))
	b.Cleanup(server.Close)
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resp, err := http.Get(server.URL)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	b.Run("origin", func(b *testing.B) {
		o := benchOrigin(b, server.URL)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := o.Do(b.Context(), request(s3api.GetObject, "a"))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}

func BenchmarkList1000(b *testing.B) {
	var page strings.Builder
	page.WriteString(`<?xml version="1.0" encoding="UTF-8"?><ListBucketResult ` + namespace + `><Name>real-bucket</Name><Prefix>team/</Prefix>`)
	for i := range 1000 {
		page.WriteString(`<Contents><Key>team/folder/object-` + strconv.Itoa(i) + `</Key><LastModified>2026-11-26T15:00:00.000Z</LastModified>` +
			`<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass></Contents>`)
	}
	page.WriteString(`</ListBucketResult>`)
	text := []byte(page.String())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	b.Cleanup(server.Close)
	o := benchOrigin(b, server.URL)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		resp, err := o.Do(b.Context(), request(s3api.ListObjectsV2, "", "list-type", "2"))
		if err != nil {
			b.Fatal(err)
		}
		if got, _ := io.ReadAll(resp.Body); !bytes.Contains(got, []byte("<Key>folder/object-999</Key>")) {
			b.Fatal("not rewritten")
		}
	}
}

func benchOrigin(b *testing.B, url string) *s3origin.Origin {
	b.Helper()
	stream := egress.NewStream(egress.StreamConfig{})
	b.Cleanup(stream.CloseIdleConnections)
	o, err := s3origin.New(s3origin.OriginConfig{
		Store: s3origin.Store{Endpoint: url, Bucket: "real-bucket", Prefix: "team/"}, Bucket: "documents", Transport: stream,
		Credentials: &keys{now: pair(keyID, secret)},
	})
	if err != nil {
		b.Fatal(err)
	}
	return o
}
