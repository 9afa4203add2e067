// Command floor is the physical limit that the token endpoint and the STS are held
// against: a bare net/http program that does only the unavoidable work of a request. For a
// token it signs a JWT-sized payload with ES256; for a role that is assumed, with -verify,
// it verifies the signature of the JWT that the request brings and seals a session. Unless
// -sign-only it appends 400 bytes to a file and waits until they are on disk; requests that
// arrive meanwhile share one fsync. For the S3 gateway, with -proxy, it passes requests on to
// an origin and does nothing else.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

func main() {
	signOnly := flag.Bool("sign-only", false, "do not append")
	path := flag.String("file", "", "the file to append to")
	verify := flag.String("verify", "", "a public key (PEM): verify a JWT and seal a session, instead of signing")
	proxy := flag.String("proxy", "", "a URL: pass every request on to it, instead of signing")
	bare := flag.Bool("bare", false, "with -proxy: without the reverse proxy of the standard library")
	flag.Parse()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	f := floor{key: key}
	if !*signOnly && *proxy == "" {
		file, err := os.OpenFile(*path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			log.Fatal(err)
		}
		f.log = newAppender(file)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var handler http.Handler = &f
	if *verify != "" {
		if handler, err = newAssumer(*verify, f.log); err != nil {
			log.Fatal(err)
		}
	}
	if *proxy != "" {
		if handler, err = newProxy(*proxy, *bare); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, handler)) //nolint:gosec // G114: a benchmark on loopback
}

type floor struct {
	key *ecdsa.PrivateKey
	log *appender
	n   atomic.Int64
}

const header = `{"alg":"ES256","typ":"at+jwt","kid":"0123456789abcdef0123456789abcdef0123456789a"}`

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	id := strconv.FormatInt(f.n.Add(1), 10)
	claims := `{"iss":"http://127.0.0.1:8440","sub":"document-service","aud":"parse-service","client_id":"document-service",` +
		`"service_id":"document-service","service_uid":"0123456789abcdef0123456789abcdef","scope":"s2s:internal",` +
		`"iat":1763877600,"exp":1763878500,"jti":"` + id + `"}`
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	a, b, err := ecdsa.Sign(rand.Reader, f.key, digest[:])
	if err != nil {
		http.Error(w, "sign", http.StatusInternalServerError)
		return
	}
	if f.log != nil {
		if err := f.log.append(record(id)); err != nil {
			http.Error(w, "append", http.StatusInternalServerError)
			return
		}
	}
	token := input + "." + base64.RawURLEncoding.EncodeToString(signature(a, b))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, `{"access_token":"`+token+`","token_type":"Bearer","expires_in":900,"scope":"s2s:internal"}`)
}

func signature(a, b *big.Int) []byte {
	var out [64]byte
	a.FillBytes(out[:32])
	b.FillBytes(out[32:])
	return out[:]
}

func record(id string) []byte {
	line := make([]byte, 400)
	for i := range line {
		line[i] = 'x'
	}
	copy(line, id)
	line[399] = '\n'
	return line
}

// appender commits in groups: while one group is on its way to the disk, the next fills.
type appender struct {
	file *os.File
	mu   sync.Mutex
	next *group
	wake chan struct{}
}

type group struct {
	bytes []byte
	done  chan struct{}
	err   error
}

func newAppender(file *os.File) *appender {
	a := &appender{file: file, next: &group{done: make(chan struct{})}, wake: make(chan struct{}, 1)}
	go a.write()
	return a
}

func (a *appender) append(line []byte) error {
	a.mu.Lock()
	g := a.next
	g.bytes = append(g.bytes, line...)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
	<-g.done
	return g.err
}

func (a *appender) write() {
	for range a.wake {
		a.mu.Lock()
		g := a.next
		a.next = &group{done: make(chan struct{})}
		a.mu.Unlock()
		if len(g.bytes) == 0 {
			close(g.done)
			continue
		}
		if _, g.err = a.file.Write(g.bytes); g.err == nil {
			g.err = a.file.Sync()
		}
		close(g.done)
	}
}
