//go:build clients

// Package origins holds internal/s3origin against real S3 servers, without a gateway.
package origins

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/test/foreign"
)

const prefix = "team/"

// rig is an origin before a real versitygw.
type rig struct {
	*s3origin.Origin
	server foreign.S3Server
	folder string // the store's bucket
	stream *egress.Stream
	// settled returns once the store has done all that it will do.
	settled func()
}

func newRig(t *testing.T) *rig { return newRigAt(t, foreign.VersityGW) }

func newRigAt(t *testing.T, start func(*testing.T, string) foreign.S3Server) *rig {
	t.Helper()
	folder := t.TempDir()
	r := &rig{server: start(t, folder), folder: filepath.Join(folder, "real-bucket")}
	if err := os.Mkdir(r.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	r.Origin = r.origin(t, "real-bucket", prefix)
	return r
}

func (r *rig) origin(t *testing.T, bucket, prefix string) *s3origin.Origin {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(r.server.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	credentials, err := s3origin.NewStatic(r.server.AccessKeyID, secret, os.ReadFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.stream == nil {
		r.stream = egress.NewStream(egress.StreamConfig{})
		t.Cleanup(r.stream.CloseIdleConnections)
	}
	o, err := s3origin.New(s3origin.OriginConfig{
		Store:  s3origin.Store{Endpoint: r.server.URL, Bucket: bucket, Prefix: prefix},
		Bucket: "documents", URL: "https://s3.example.com", Credentials: credentials, Transport: r.stream,
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// request is one of an operation; pairs are parameters of the query.
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

var methods = map[s3api.Operation]string{
	s3api.HeadBucket: "HEAD", s3api.HeadObject: "HEAD", s3api.PutObject: "PUT", s3api.DeleteObject: "DELETE", s3api.CopyObject: "PUT",
	s3api.UploadPart: "PUT", s3api.UploadPartCopy: "PUT", s3api.AbortMultipartUpload: "DELETE", s3api.DeleteObjects: "POST",
	s3api.CreateMultipartUpload: "POST", s3api.CompleteMultipartUpload: "POST", s3api.PutObjectTagging: "PUT", s3api.DeleteObjectTagging: "DELETE",
}

func withBody(r *s3api.Request, body io.Reader, length int) *s3api.Request {
	r.Body, r.ContentLength = body, int64(length)
	return r
}

func put(key string, body []byte) *s3api.Request {
	return withBody(request(s3api.PutObject, key), bytes.NewReader(body), len(body))
}

// do carries out a request that succeeds, and returns the answer's body.
func (r *rig) do(t *testing.T, request *s3api.Request) (*s3api.Response, []byte) {
	t.Helper()
	resp, err := r.Do(t.Context(), request)
	if err != nil {
		t.Fatalf("%s %s: %v", request.Operation, request.Key, err)
	}
	if resp.Body == nil {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", request.Operation, request.Key, err)
	}
	return resp, body
}

// refused carries out a request that S3 refuses with a code.
func (r *rig) refused(t *testing.T, code string, request *s3api.Request) {
	t.Helper()
	resp, err := r.Do(t.Context(), request)
	if err == nil {
		t.Fatalf("%s %s: %d, want %s", request.Operation, request.Key, resp.Status, code)
	}
	var e *s3api.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s %s: %v, want %s", request.Operation, request.Key, err, code)
	}
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
