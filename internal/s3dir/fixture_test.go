package s3dir

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// open opens a folder of its own.
func open(t testing.TB) (*Dir, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "bucket")
	return openAt(t, folder), folder
}

func openAt(t testing.TB, folder string) *Dir {
	t.Helper()
	d, err := Open(folder, Config{Bucket: "documents"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// request makes a request; pairs are names and values: of headers, or of parameters, which
// start with "?".
func request(op s3api.Operation, key string, body []byte, pairs ...string) *s3api.Request {
	r := &s3api.Request{
		Operation: op, Key: key, Query: url.Values{}, Header: http.Header{},
		Body: bytes.NewReader(body), ContentLength: int64(len(body)),
	}
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i]; name[0] == '?' {
			r.Query.Set(name[1:], pairs[i+1])
		} else {
			r.Header.Set(name, pairs[i+1])
		}
	}
	return r
}

// answer is a Response with its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
	length int64
}

func do(ctx context.Context, d *Dir, r *s3api.Request) (answer, error) {
	response, err := d.Do(ctx, r)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.Status, header: response.Header, length: response.ContentLength}
	if response.Body != nil {
		defer response.Body.Close()
		if a.body, err = io.ReadAll(response.Body); err != nil {
			return answer{}, err
		}
		if int64(len(a.body)) != response.ContentLength {
			return answer{}, errors.New("the answer has not its length")
		}
	}
	return a, nil
}

func must(t testing.TB, d *Dir, r *s3api.Request) answer {
	t.Helper()
	a, err := do(t.Context(), d, r)
	if err != nil {
		t.Fatalf("%s %q: %v", r.Operation, r.Key, err)
	}
	return a
}

func put(t testing.TB, d *Dir, key, body string, pairs ...string) answer {
	t.Helper()
	return must(t, d, request(s3api.PutObject, key, []byte(body), pairs...))
}

func get(t testing.TB, d *Dir, key string, pairs ...string) answer {
	t.Helper()
	return must(t, d, request(s3api.GetObject, key, nil, pairs...))
}

// refused wants a refusal with the code of S3.
func refused(t testing.TB, d *Dir, r *s3api.Request, code string) {
	t.Helper()
	_, err := do(t.Context(), d, r)
	if got := codeOf(err); got != code {
		t.Errorf("%s %q: %q (%v), want %s", r.Operation, r.Key, got, err, code)
	}
}

func codeOf(err error) string {
	var refusal *s3api.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	if err != nil {
		return string(countersign.CodeOf(err))
	}
	return ""
}

func etagOf(body string) string {
	sum := md5.Sum([]byte(body))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// listedBucket is any answer to a list, as a client reads it.
type listedBucket struct {
	Name                               string
	IsTruncated                        bool
	NextMarker, NextContinuationToken  string
	NextKeyMarker, NextVersionIdMarker string
	KeyCount                           int
	Contents, Version                  []listedObject
	CommonPrefixes                     []struct{ Prefix string }
}

type listedObject struct {
	Key, ETag, LastModified, StorageClass, VersionId, ChecksumAlgorithm string
	Size                                                                int64
	IsLatest                                                            bool
}

func list(t testing.TB, d *Dir, op s3api.Operation, pairs ...string) listedBucket {
	t.Helper()
	var out listedBucket
	a := must(t, d, request(op, "", nil, pairs...))
	if err := xml.Unmarshal(a.body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (l listedBucket) keys() []string {
	var keys []string
	for _, each := range l.Contents {
		keys = append(keys, each.Key)
	}
	for _, each := range l.Version {
		keys = append(keys, each.Key)
	}
	return keys
}
