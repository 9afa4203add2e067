//go:build clients

package origins

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/test/foreign"
)

var errWrongBody = errors.New("not what was signed")

// broken yields some bytes of a body, then an error.
type broken struct {
	good io.Reader
	then func() error
}

func (b *broken) Read(p []byte) (int, error) {
	if n, err := b.good.Read(p); err == nil || n > 0 {
		return n, nil
	}
	return 0, b.then()
}

// A real store keeps nothing of a body that turns out wrong, in every form in which it is
// sent, also when all of its bytes came and only its end is wrong.
func TestRuleF4RealStoreKeepsNothingOfAWrongBody(t *testing.T) {
	var between *wire
	r := newRigAt(t, func(t *testing.T, folder string) foreign.S3Server {
		server := foreign.VersityGW(t, folder)
		between = newWire(t, strings.TrimPrefix(server.URL, "http://"))
		server.URL = "http://" + between.address
		return server
	})
	r.settled = func() { r.stream.CloseIdleConnections(); between.wait() }
	whole := bytes.Repeat([]byte("0123456789abcdef"), 128<<10) // 2 MiB
	r.do(t, put("victim", []byte("before")))
	for name, change := range map[string]func(*s3api.Request){
		"unsigned": func(*s3api.Request) {},
		"hashed":   func(p *s3api.Request) { p.PayloadHash = hashOf(whole) },
		"trailer": func(p *s3api.Request) {
			p.Trailer, p.TrailerValue = "x-amz-checksum-crc32", func() string { return "AAAAAA==" }
		},
	} {
		for _, yielded := range []int{0, 1, 1000, 1 << 20, len(whole) - 1, len(whole)} {
			p := withBody(request(s3api.PutObject, "victim"), &broken{bytes.NewReader(whole[:yielded]), func() error { return errWrongBody }}, len(whole))
			change(p)
			if _, err := r.Do(t.Context(), p); !errors.Is(err, errWrongBody) {
				t.Errorf("%s, broken after %d: %v", name, yielded, err)
			}
			r.unchanged(t, name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := withBody(request(s3api.PutObject, "victim"), &broken{bytes.NewReader(whole[:1<<20]), func() error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}, len(whole))
		change(p)
		if _, err := r.Do(ctx, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, client gone: %v", name, err)
		}
		r.unchanged(t, name)
	}
	// A checksum that is not the body's is the store's to find.
	p := put("victim", whole)
	p.Trailer, p.TrailerValue = "x-amz-checksum-crc32", func() string { return "AAAAAA==" }
	if _, err := r.Do(t.Context(), p); err == nil {
		t.Error("a wrong checksum was taken")
	}
	r.unchanged(t, "wrong checksum")
	p = put("victim", whole)
	p.PayloadHash = hashOf([]byte("x"))
	if _, err := r.Do(t.Context(), p); err == nil {
		t.Error("a wrong hash was taken")
	}
	r.unchanged(t, "wrong hash")
}

// unchanged looks at the file of the object, once the store has done all that it will do.
func (r *rig) unchanged(t *testing.T, when string) {
	t.Helper()
	r.settled()
	if onDisk, err := os.ReadFile(filepath.Join(r.folder, prefix, "victim")); err != nil || string(onDisk) != "before" {
		t.Errorf("%s: the file has %d bytes now, %v", when, len(onDisk), err)
		r.do(t, put("victim", []byte("before")))
	}
}

// wire passes connections on to a server, and knows when the server is done with them: who
// closes one does not learn what the server made of it.
type wire struct {
	address string
	open    sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: listener.Addr().String()}
	t.Cleanup(w.wait)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			w.open.Go(func() {
				var there sync.WaitGroup
				there.Go(func() {
					_, _ = io.Copy(far, near)
					_ = far.(*net.TCPConn).CloseWrite()
				})
				_, _ = io.Copy(near, far) // until the server closes
				near.Close()
				there.Wait()
				far.Close()
			})
		}
	}()
	return w
}

// wait returns once the server has closed all connections.
func (w *wire) wait() { w.open.Wait() }
