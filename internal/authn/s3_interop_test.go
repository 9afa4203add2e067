package authn_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/sigv4"
)

// received is what came of one request.
type received struct {
	form, encoding string
	body           []byte
	err            error
}

// s3Server is a server that proves its callers and reads their bodies, and does nothing.
func s3Server(tb testing.TB, secure bool) (*httptest.Server, sigv4.Credentials, chan received) {
	tb.Helper()
	rig := newS3RigAt(tb, time.Now()) // the SDKs have no clock of ours
	rig.role(tb, "interop", `[{"bucket": "documents", "prefixes": [""], "actions": ["put_object"]}]`)
	got := make(chan received, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// boto3 asks also where there is no body. Without an answer to that, it takes the next
		// answer on this connection for one without headers, and waits for its end.
		if r.ContentLength == 0 && r.Header.Get("Expect") != "" {
			w.WriteHeader(http.StatusContinue)
		}
		seen := received{form: r.Header.Get("X-Amz-Content-Sha256"), encoding: r.Header.Get("Content-Encoding")}
		caller, err := rig.s3.Authenticate(r, authn.S3Options{AllowUnsigned: true})
		if err == nil {
			var body *sigv4.Body
			if body, err = caller.Body(r); err == nil {
				seen.body, err = io.ReadAll(body)
			}
		}
		if seen.err = err; err != nil {
			w.WriteHeader(http.StatusForbidden)
		}
		w.Header().Set("Etag", `"x"`)
		got <- seen
	}))
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	tb.Cleanup(server.Close)
	c := rig.mint(tb, "interop", func(s *session.Session) { s.Subject = "build:interop" })
	return server, c, got
}

// TestInteropS3Client: AWS's SDK for Go puts objects over TLS, where it sends a trailer that
// is not signed, and without, where it hashes; with each checksum, and by a presigned URL.
func TestInteropS3Client(t *testing.T) {
	t.Parallel()
	bodies := [][]byte{nil, []byte("x"), text(100), text(64 << 10), text(300_000)}
	for _, secure := range []bool{true, false} {
		server, c, got := s3Server(t, secure)
		client := s3.New(s3.Options{
			Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true, HTTPClient: server.Client(), RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal()}, nil
			}),
		})
		for _, algorithm := range []types.ChecksumAlgorithm{
			"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256, types.ChecksumAlgorithmCrc64nvme,
		} {
			for _, body := range bodies {
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: aws.String("documents"), Key: aws.String("a/ü b+c=d/'(e)!*~"), Body: bytes.NewReader(body), ChecksumAlgorithm: algorithm,
				})
				if err != nil {
					t.Logf("the client says %v", err)
				}
				if seen := <-got; seen.err != nil || !bytes.Equal(seen.body, body) {
					t.Errorf("TLS %t, %q, %d bytes as %s: %d bytes, %v", secure, algorithm, len(body), seen.form, len(seen.body), seen.err)
				}
			}
		}
		link, err := s3.NewPresignClient(client).PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("documents"), Key: aws.String("a b")})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), link.Method, link.URL, bytes.NewReader(text(1000)))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range link.SignedHeader {
			if name != "Host" && name != "Content-Length" {
				request.Header[name] = values
			}
		}
		if response, err := server.Client().Do(request); err != nil {
			t.Fatal(err)
		} else {
			_ = response.Body.Close()
		}
		if seen := <-got; seen.err != nil || !bytes.Equal(seen.body, text(1000)) {
			t.Errorf("TLS %t, presigned: %d bytes, %v", secure, len(seen.body), seen.err)
		}
	}
}

// TestInteropBoto3: the same by boto3, which sends its chunks inside of those of HTTP: by
// Debian's, of the older generation, and by a newer one where there is one in front of it.
func TestInteropBoto3(t *testing.T) {
	t.Parallel()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		t.Run(strings.ReplaceAll(strings.TrimPrefix(python, "/"), "/", "-"), func(t *testing.T) {
			t.Parallel()
			path, _ := exec.LookPath(python)
			switch {
			case python == "python3" && path == "/usr/bin/python3":
				t.Skip("SKIPPED: there is no python3 in front of Debian's")
			case exec.CommandContext(t.Context(), python, "-c", "import boto3").Run() == nil:
				interopBoto3(t, path)
			case python == "python3":
				t.Skip("SKIPPED: the python3 in front of Debian's has no boto3")
			default:
				fixture.MissingTool(t, "boto3")
			}
		})
	}
}

func interopBoto3(t *testing.T, python string) {
	t.Helper()
	const program = `
import sys, io, boto3, urllib3
from botocore.config import Config
urllib3.disable_warnings()
url, key, secret, token = sys.argv[1:]
client = boto3.client("s3", endpoint_url=url, region_name="eu-central-1", verify=False, aws_access_key_id=key, aws_secret_access_key=secret,
    aws_session_token=token, config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
for length in (0, 1, 100, 65536, 3 << 20):
    for extra in ({}, {"ChecksumAlgorithm": "SHA256"}, {"ChecksumAlgorithm": "SHA1", "ContentEncoding": "gzip"}):
        client.put_object(Bucket="documents", Key="a/ü b+c", Body=io.BytesIO(b"a" * length), **extra)
`
	for _, secure := range []bool{true, false} {
		server, c, got := s3Server(t, secure)
		done := make(chan error, 1)
		go func() {
			out, err := exec.CommandContext(t.Context(), python, "-c", program, server.URL,
				c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("boto3: %w: %s", err, out)
			}
			done <- err
		}()
		count := 0
		for running := true; running; {
			select {
			case seen := <-got:
				length := []int{0, 1, 100, 65536, 3 << 20}[count/3]
				if seen.err != nil || !bytes.Equal(seen.body, bytes.Repeat([]byte("a"), length)) {
					t.Errorf("TLS %t, %d bytes as %s, %q: %d bytes, %v", secure, length, seen.form, seen.encoding, len(seen.body), seen.err)
				}
				// The older generation sends no checksum of its own accord.
				plain := secure && count%3 == 0 && seen.form == sigv4.UnsignedPayload
				if trailer := seen.form == sigv4.StreamingUnsignedTrailer; trailer != secure && !plain {
					t.Errorf("TLS %t: boto3 sent %s", secure, seen.form)
				}
				count++
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				running = false
			}
		}
		if count != 15 {
			t.Errorf("TLS %t: %d requests came", secure, count)
		}
	}
}

// text is so many bytes that are all different from their neighbours.
func text(length int) []byte {
	out := make([]byte, length)
	for i := range out {
		out[i] = byte(i*7 + i>>8)
	}
	return out
}
