package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The s3 listener answers in S3's words, and its folder is served to whoever the bucket is
// open to.
func TestS3Listener(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	folder := t.TempDir()
	documents := filepath.Join(folder, "public")
	if err := os.Mkdir(documents, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "buckets.yaml")
	if err := os.WriteFile(file, []byte("kind: Bucket\nname: public\nanonymous: true\norigin: {dir: "+documents+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startIn(t, data, "COUNTERSIGN_RESOURCES="+file, "COUNTERSIGN_ALLOWED_PATHS="+folder)
	if err := os.WriteFile(filepath.Join(documents, "a.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://" + r.Addresses().S3
	if a := r.get(t, url+"/public/a.txt"); a.status != 200 || a.text != "hello" {
		t.Errorf("%d %s", a.status, a.text)
	}
	for _, path := range []string{"/", "/public", "/public/no.txt", "/other/a.txt", "/oauth2/token", "/.well-known/jwks.json"} {
		if a := r.get(t, url+path); a.status != 403 && a.status != 400 || !strings.Contains(a.text, "<Error><Code>") {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
	if a := r.get(t, r.BaseURL()+"/public/a.txt"); a.status != 404 {
		t.Errorf("the api listener serves objects: %d", a.status)
	}
}
