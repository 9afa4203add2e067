//go:build clients

package s3clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suite is what every client does, in a bucket of its own or below a prefix of its own.
type suite struct {
	client func(*testing.T, target) client
	target target
	prefix string
	// plain keys have nothing that could be encoded in two ways, and no prefix has a slash:
	// moto does not agree with AWS's own clients on the signatures of others.
	plain bool
}

// key is where the client keeps something.
func (s suite) key(name string) string {
	if s.plain {
		name = strings.Trim(unusual.ReplaceAllString(name, "-"), "-") + "-"
	}
	return s.prefix + name
}

var unusual = regexp.MustCompile(`[^A-Za-z0-9.]`)

// s3Path is a bucket and a key as x-amz-copy-source has them.
type s3Path struct{ bucket, key string }

func (p *s3Path) String() string {
	segments := strings.Split(p.key, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(segment), "+", "%2B")
	}
	return p.bucket + "/" + strings.Join(segments, "/")
}

// awkward are keys that somebody's encoding got wrong: AWS's own clients and rclone take
// them all, so that a gateway has no excuse.
var awkward = []string{
	"plain.txt", "with space.txt", "plus+plus.txt", "a=b/year=2026/part.parquet", "umlaut-äöü/日本語.txt", "percent%.txt",
	"percent%2Fencoded.txt", "100%25.txt", "semi;colon,comma.txt", "brackets (1) [2] {3}.txt", "quote's \"double\".txt",
	"hash#query?.txt", "amp&ersand@at:colon.txt", "tilde~star*bang!dollar$.txt", "a/b/c/d/e/f/g.txt",
}

// large is more than every client sends at once.
const large = 100 << 20

func (s suite) run(t *testing.T) {
	c := s.client(t, s.target)
	t.Run("a folder of awkward keys", func(t *testing.T) { s.folder(t, c) })
	t.Run("one object", func(t *testing.T) { s.object(t, c) })
	t.Run("links", func(t *testing.T) { s.links(t, c) })
	t.Run("100 MiB", func(t *testing.T) { s.large(t, c) })
	t.Run("deletes", func(t *testing.T) { s.deletes(t, c) })
}

// must does a step that has to succeed.
func must(t *testing.T, c client, s step) answer {
	t.Helper()
	a := c.do(t, s)
	if a.Error != "" && brokenHello(a.Said) {
		t.Logf("%s %q: the client's TLS library sent a broken hello; once more", s.Op, s.Key)
		a = c.do(t, s)
	}
	if a.Error != "" {
		t.Fatalf("%s %q %q: %s\n%s", s.Op, s.Key, s.To, a.Error, a.Said)
	}
	return a
}

// brokenHello tells that nginx could not read a client's hello. Python before many threads, on
// an OpenSSL 3.0, sends one now and then, to whatever server; nothing of ours was asked then.
//
// Source: https://github.com/psf/requests/issues/6560.
func brokenHello(said string) bool { return strings.Contains(said, "TLSV1_ALERT_DECODE_ERROR") }

// refused does a step that must be refused with one of the codes.
func refused(t *testing.T, c client, s step, codes ...string) {
	t.Helper()
	if !c.can(s.Op) {
		return
	}
	if a := c.do(t, s); !slices.Contains(codes, a.Error) {
		t.Errorf("%s %q: %q, want one of %v\n%s", s.Op, s.Key, a.Error, codes, a.Said)
	}
}

// folder uploads files with awkward names, lists them and gets them back.
func (s suite) folder(t *testing.T, c client) {
	sent, got := t.TempDir(), t.TempDir()
	var want []string
	for i, name := range awkward {
		if s.plain {
			name = unusual.ReplaceAllString(name, "-")
		}
		put(t, filepath.Join(sent, name), random(uint64(i), 1000+i*7919))
		want = append(want, s.key("keys/")+name)
	}
	must(t, c, step{Op: "put-folder", Folder: sent, Key: s.key("keys/")})
	isList(t, must(t, c, step{Op: "list", Key: s.key("keys/")}).Keys, want)
	must(t, c, step{Op: "get-folder", Folder: got, Key: s.key("keys/")})
	sameFolder(t, got, sent)
}

// object is about one: its type and metadata, a range of it, a copy of it.
func (s suite) object(t *testing.T, c client) {
	folder := t.TempDir()
	content := random(1, 70_001)
	file, back := put(t, filepath.Join(folder, "sent"), content), filepath.Join(folder, "got")
	key, copied := s.key("object/a + b=c %.bin"), s.key("object/copies/ü %2B +.bin")
	metadata := map[string]string{"purpose": "test", "path": "a/b=c"}
	must(t, c, step{Op: "put", Key: key, File: file, Size: int64(len(content)), Type: "application/x-test", Metadata: metadata})
	must(t, c, step{Op: "get", Key: key, File: back})
	sameFile(t, back, file)
	if c.can("head") {
		head := must(t, c, step{Op: "head", Key: key})
		if head.Size != int64(len(content)) || head.Type != "application/x-test" || head.Metadata["purpose"] != "test" || head.Metadata["path"] != "a/b=c" {
			t.Errorf("head: %+v", head)
		}
	}
	const first, last = 1000, 69_999
	must(t, c, step{Op: "range", Key: key, First: first, Last: last, File: back})
	if got := read(t, back); !bytes.Equal(got, content[first:last+1]) {
		t.Errorf("a range of %d bytes is %d others", last+1-first, len(got))
	}
	must(t, c, step{Op: "copy", Key: key, To: copied})
	must(t, c, step{Op: "get", Key: copied, File: back})
	sameFile(t, back, file)
	refused(t, c, step{Op: "get", Key: s.key("object/missing"), File: back}, "NoSuchKey", "NotFound", "404")
	refused(t, c, step{Op: "head", Key: s.key("object/missing")}, "NoSuchKey", "NotFound", "404")
}

// links are presigned URLs, used by who has no credentials.
func (s suite) links(t *testing.T, c client) {
	folder := t.TempDir()
	content := random(2, 50_000)
	key := s.key("links/a b+c=d%25 ü.bin")
	file := put(t, filepath.Join(folder, "sent"), content)
	must(t, c, step{Op: "put", Key: key, File: file, Size: int64(len(content)), Type: "application/x-test"})
	browser := newHTTPClient(t, s.target)
	if c.can("presign-get") {
		link := must(t, c, step{Op: "presign-get", Key: key}).URL
		if status, body := ask(t, browser, http.MethodGet, link, nil); status != http.StatusOK || !bytes.Equal(body, content) {
			t.Errorf("GET of a link: %d, %d bytes: %.300s", status, len(body), body)
		}
		if status, _ := ask(t, browser, http.MethodPut, link, strings.NewReader("another")); status != http.StatusForbidden {
			t.Errorf("PUT of a link for GET: %d", status)
		}
		other := strings.Replace(link, "links", "other", 1)
		if status, _ := ask(t, browser, http.MethodGet, other, nil); status != http.StatusForbidden {
			t.Errorf("GET of another key by a link: %d", status)
		}
	}
	if c.can("presign-put") {
		key += "-put"
		link := must(t, c, step{Op: "presign-put", Key: key}).URL
		if status, body := ask(t, browser, http.MethodPut, link, bytes.NewReader(content)); status != http.StatusOK {
			t.Errorf("PUT of a link: %d: %s", status, body)
		}
		back := filepath.Join(folder, "got")
		must(t, c, step{Op: "get", Key: key, File: back})
		sameFile(t, back, file)
	}
}

// large goes up, is copied, and comes down in parts, as the client likes to.
func (s suite) large(t *testing.T, c client) {
	folder := t.TempDir()
	file, back := put(t, filepath.Join(folder, "sent"), random(3, large)), filepath.Join(folder, "got")
	key, copied := s.key("large/a=b + c.bin"), s.key("large/copy of a=b + c.bin")
	must(t, c, step{Op: "upload", Key: key, File: file})
	must(t, c, step{Op: "copy", Key: key, To: copied})
	must(t, c, step{Op: "download", Key: copied, File: back})
	sameFile(t, back, file)
	for _, k := range []string{key, copied} {
		must(t, c, step{Op: "delete", Key: k})
	}
}

// deletes what there is, one by one and all at once.
func (s suite) deletes(t *testing.T, c client) {
	one := s.key("keys/") + awkward[0]
	must(t, c, step{Op: "delete", Key: one})
	refused(t, c, step{Op: "get", Key: one, File: filepath.Join(t.TempDir(), "got")}, "NoSuchKey", "NotFound", "404")
	rest := must(t, c, step{Op: "list", Key: s.key("keys/")}).Keys
	if len(rest) != len(awkward)-1 {
		t.Errorf("%d keys are left", len(rest))
	}
	if c.can("delete-many") {
		a := must(t, c, step{Op: "delete-many", Keys: rest})
		isList(t, a.Keys, rest)
	} else {
		for _, key := range rest {
			must(t, c, step{Op: "delete", Key: key})
		}
	}
	if left := must(t, c, step{Op: "list", Key: s.key("keys/")}).Keys; len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// random are bytes that a number says.
func random(seed uint64, size int) []byte {
	content := make([]byte, size)
	source := rand.NewChaCha8(sha256.Sum256([]byte{byte(seed)}))
	_, _ = source.Read(content)
	return content
}

func put(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	return write(t, path, string(content))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func hashFile(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func sameFile(t *testing.T, got, want string) {
	t.Helper()
	if g, w := hashFile(t, got), hashFile(t, want); g != w {
		t.Errorf("%s has other bytes than %s", got, want)
	}
}

func sameFolder(t *testing.T, got, want string) {
	t.Helper()
	names := func(root string) (all []string) {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				all = append(all, strings.TrimPrefix(path, root+"/"))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	isList(t, names(got), names(want))
	for _, name := range names(got) {
		if !t.Failed() {
			sameFile(t, filepath.Join(got, name), filepath.Join(want, name))
		}
	}
}

func isList(t *testing.T, got, want []string) {
	t.Helper()
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func ask(t *testing.T, browser *http.Client, method, link string, body io.Reader) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, link, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, content
}
