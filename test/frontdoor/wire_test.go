package frontdoor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// endsEarly is what a client sends last that hangs up in the middle.
const endsEarly = "<hang up>"

// speak sends bytes as they are and returns what comes back; status 0 = the connection
// was closed without an answer.
func (w *world) speak(t *testing.T, address, text string) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	text, hangUp := strings.CutSuffix(text, endsEarly)
	_, _ = io.WriteString(conn, text) // the server may have heard enough before it has all
	if hangUp {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	w.mu.Lock()
	_, _ = fmt.Fprintf(&w.answers, "%v %s\n", response.Header, answer)
	w.mu.Unlock()
	return response.StatusCode, string(answer)
}

// What no HTTP library would send.
func TestBadBytesOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service")
	form := grant("parse-service", "client_id", "document-service", "client_secret", secret).Encode()
	post := func(headers, body string) string {
		return "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n" + headers + "\r\n" + body
	}
	length := fmt.Sprintf("Content-Length: %d\r\n", len(form))
	tests := []struct {
		name, text string
		status     []int
	}{
		{"as it should be", post(length, form), []int{200}},
		{"headers over 32 KiB", post(length+"X-Filler: "+strings.Repeat("a", 40<<10)+"\r\n", form), []int{431}},
		{"very many headers", post(length+strings.Repeat("X-Filler: a\r\n", 4000), form), []int{431}},
		{"a secret in a huge header", post(length+"Authorization: Basic "+strings.Repeat(secret, 1000)+"\r\n", form), []int{431}},
		{"a huge request line", "GET /" + strings.Repeat("a", 50<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{431, 414}},
		{"two lengths", post(length+"Content-Length: 1\r\n", form), []int{400}},
		{"a negative length", post("Content-Length: -1\r\n", form), []int{400}},
		{"a length that is no number", post("Content-Length: many\r\n", form), []int{400}},
		{"a body that ends early", post(fmt.Sprintf("Content-Length: %d\r\n", len(form)+10), form+endsEarly), []int{400}},
		{"a length of 10 GB", post("Content-Length: 10737418240\r\n", form), []int{413}},
		{"chunked over 16 KiB", post("Transfer-Encoding: chunked\r\n", "5000\r\n"+strings.Repeat("a", 0x5000)+"\r\n0\r\n\r\n"), []int{413}},
		{"broken chunks", post("Transfer-Encoding: chunked\r\n", "zz\r\n"+form+"\r\n0\r\n\r\n"), []int{400}},
		{"chunks that end early", post("Transfer-Encoding: chunked\r\n", "ff\r\n"+form+endsEarly), []int{400}},
		{"an unknown transfer encoding", post("Transfer-Encoding: gzip\r\n", form), []int{501, 400}},
		{"two hosts", "GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n\r\n", []int{400}},
		{"no host", "GET /.well-known/jwks.json HTTP/1.1\r\n\r\n", []int{400}},
		{"no host, HTTP/1.0", "GET /.well-known/jwks.json HTTP/1.0\r\n\r\n", []int{421}},
		{"a foreign host in the request line", "GET http://evil.example.com/.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{421}},
		{"a NUL in a header", post(length+"X-Filler: a\x00b\r\n", form), []int{400}},
		{"a space in a header's name", post(length+"Authorization : Bearer x\r\n", form), []int{400}},
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", []int{400}},
		{"TLS to a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		{"the secret as the method", secret + " / HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{400, 404, 405}},
		{"the secret as the path", "GET /" + secret + " HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{404}},
		{"the secret as the host", "GET / HTTP/1.1\r\nHost: " + secret + "\r\n\r\n", []int{421, 400}},
		{"the whole server", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{404, 405, 400}},
		{"CONNECT", "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n", []int{421, 404, 405}},
		{"a path that climbs", "GET /oauth2/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{301, 307, 404}},
		{"a path that climbs, encoded", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", []int{301, 307, 404}},
		{"nothing", endsEarly, []int{0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, body := w.speak(t, w.server.Addresses().API, test.text)
			for _, want := range test.status {
				if status == want {
					return
				}
			}
			t.Errorf("status %d, want one of %v: %s", status, test.status, body)
		})
		if t.Failed() {
			continue
		}
		w.mu.Lock()
		if test.name == "as it should be" {
			w.answers.Reset() // the one answer that holds a token
		}
		w.mu.Unlock()
	}
	w.token(t, "document-service", secret, "parse-service") // and the server serves
}

// A client that sends nothing more than a header's first half is not waited for long;
// others are served meanwhile.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret := w.create(t, "document-service", "parse-service")
	for range 50 {
		conn, err := net.Dial("tcp", w.server.Addresses().API)
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "POST /oauth2/token HTTP/1.1\r\nHost: loc")
		must(t, err)
	}
	w.token(t, "document-service", secret, "parse-service")
}
