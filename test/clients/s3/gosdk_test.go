//go:build clients

package s3clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// goSDK is AWS's SDK for Go, version 2, as it is by default: what it sends has checksums.
type goSDK struct {
	s3        *s3.Client
	transfers *transfermanager.Client
	bucket    string
}

// newHTTPClient goes where a target is, without what the machine's environment says.
func newHTTPClient(t *testing.T, at target) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16, ResponseHeaderTimeout: time.Minute}
	if at.ca != "" {
		pem, err := os.ReadFile(at.ca)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if at.proxy != "" {
		proxy, err := url.Parse(at.proxy)
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newGoS3(t *testing.T, at target) *s3.Client {
	t.Helper()
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &at.url, UsePathStyle: !at.virtual, HTTPClient: newHTTPClient(t, at), RetryMaxAttempts: 1,
		Credentials: awscredentials.NewStaticCredentialsProvider(at.as.id, at.as.secret, at.as.token),
	})
}

func newGoSDK(t *testing.T, at target) client {
	client := newGoS3(t, at)
	return &goSDK{s3: client, bucket: at.bucket, transfers: transfermanager.New(client, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = 8<<20, 16<<20
	})}
}

func (*goSDK) can(string) bool { return true }

func (g *goSDK) do(t *testing.T, s step) answer {
	t.Helper()
	a, err := g.try(t.Context(), s)
	if err == nil {
		return a
	}
	var coded smithy.APIError
	if errors.As(err, &coded) {
		return answer{Error: coded.ErrorCode(), Said: err.Error()}
	}
	return answer{Error: "?", Said: err.Error()}
}

func (g *goSDK) try(ctx context.Context, s step) (a answer, err error) {
	switch s.Op {
	case "put":
		err = g.put(ctx, s)
	case "upload":
		err = g.upload(ctx, s.Key, s.File)
	case "put-folder":
		err = filepath.WalkDir(s.Folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			return g.upload(ctx, s.Key+strings.TrimPrefix(path, s.Folder+"/"), path)
		})
	case "get", "range":
		in := &s3.GetObjectInput{Bucket: &g.bucket, Key: &s.Key}
		if s.Op == "range" {
			in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", s.First, s.Last))
		}
		err = g.get(ctx, in, s.File)
	case "download":
		err = g.download(ctx, s)
	case "get-folder":
		var keys []string
		if keys, err = g.keys(ctx, s.Key); err != nil {
			return a, err
		}
		for _, key := range keys {
			if err = g.get(ctx, &s3.GetObjectInput{Bucket: &g.bucket, Key: &key}, filepath.Join(s.Folder, strings.TrimPrefix(key, s.Key))); err != nil {
				return a, err
			}
		}
	case "list":
		a.Keys, err = g.keys(ctx, s.Key)
	default:
		return g.tryMore(ctx, s)
	}
	return a, err
}

func (g *goSDK) tryMore(ctx context.Context, s step) (a answer, err error) {
	switch s.Op {
	case "head":
		var out *s3.HeadObjectOutput
		if out, err = g.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &g.bucket, Key: &s.Key}); err == nil {
			a.Size, a.Type, a.Metadata = *out.ContentLength, *out.ContentType, out.Metadata
		}
	case "buckets":
		var out *s3.ListBucketsOutput
		if out, err = g.s3.ListBuckets(ctx, &s3.ListBucketsInput{}); err == nil {
			for _, bucket := range out.Buckets {
				a.Keys = append(a.Keys, *bucket.Name)
			}
		}
	case "copy":
		source := (&s3Path{g.bucket, s.Key}).String()
		_, err = g.s3.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &g.bucket, Key: &s.To, CopySource: &source})
	case "delete":
		_, err = g.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &g.bucket, Key: &s.Key})
	case "delete-many":
		return g.deleteMany(ctx, s.Keys)
	case "presign-get":
		request, err := s3.NewPresignClient(g.s3).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &g.bucket, Key: &s.Key}, s3.WithPresignExpires(5*time.Minute))
		if err != nil {
			return a, err
		}
		a.URL = request.URL
	case "presign-put":
		request, err := s3.NewPresignClient(g.s3).PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &g.bucket, Key: &s.Key}, s3.WithPresignExpires(5*time.Minute))
		if err != nil {
			return a, err
		}
		a.URL = request.URL
	default:
		err = errors.New("nobody told the Go SDK how to " + s.Op)
	}
	return a, err
}

func (g *goSDK) put(ctx context.Context, s step) error {
	file, err := os.Open(s.File)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = g.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &g.bucket, Key: &s.Key, Body: file, ContentType: &s.Type, Metadata: s.Metadata})
	return err
}

func (g *goSDK) upload(ctx context.Context, key, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = g.transfers.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &g.bucket, Key: &key, Body: file})
	return err
}

func (g *goSDK) download(ctx context.Context, s step) error {
	file, err := os.Create(s.File)
	if err != nil {
		return err
	}
	_, err = g.transfers.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &g.bucket, Key: &s.Key, WriterAt: file})
	return errors.Join(err, file.Close())
}

func (g *goSDK) get(ctx context.Context, in *s3.GetObjectInput, path string) error {
	out, err := g.s3.GetObject(ctx, in)
	if err != nil {
		return err
	}
	defer func() { _ = out.Body.Close() }()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, out.Body)
	return errors.Join(err, file.Close())
}

func (g *goSDK) keys(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(g.s3, &s3.ListObjectsV2Input{Bucket: &g.bucket, Prefix: &prefix, MaxKeys: aws.Int32(4)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys, nil
}

func (g *goSDK) deleteMany(ctx context.Context, keys []string) (a answer, err error) {
	var objects []types.ObjectIdentifier
	for _, key := range keys {
		objects = append(objects, types.ObjectIdentifier{Key: &key})
	}
	out, err := g.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &g.bucket, Delete: &types.Delete{Objects: objects}})
	if err != nil {
		return a, err
	}
	a.Refused = make(map[string]string)
	for _, one := range out.Deleted {
		a.Keys = append(a.Keys, *one.Key)
	}
	for _, one := range out.Errors {
		a.Refused[*one.Key] = *one.Code
	}
	return a, nil
}
