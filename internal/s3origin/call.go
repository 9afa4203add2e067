package s3origin

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // G501: S3's Content-MD5; the signed hash is what protects
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/sigv4"
)

// call is a request to the store, before it is signed.
type call struct {
	request *s3api.Request
	op      operation
	path    string // encoded
	query   string
	header  http.Header
	payload payload
	length  int64 // as it is sent
}

// call builds the request to the store.
func (o *Origin) call(r *s3api.Request) (*call, error) {
	op, err := find(r)
	if err != nil {
		return nil, err
	}
	c := &call{request: r, op: op, path: o.path, header: headersFor(r.Header)}
	if op.ofKey {
		if err := checkKey(o.store.Prefix, r.Key); err != nil {
			return nil, err
		}
		c.path = string(s3api.AppendEscaped(s3api.AppendEscaped([]byte(o.path), o.store.Prefix, true), r.Key, true))
	} else if len(o.path) > 1 {
		c.path = strings.TrimSuffix(o.path, "/")
	}
	query, err := o.query(r, op)
	if err != nil {
		return nil, err
	}
	c.query = encodeQuery(query)
	if op.copies {
		source, err := o.copySource(r.Source)
		if err != nil {
			return nil, err
		}
		c.header["X-Amz-Copy-Source"] = []string{source}
	}
	switch {
	case op.body == objectBody:
		c.payload, err = payloadOf(r, o.store, o.plain)
	case op.body == documentBody, op.body == optionalDocument && r.ContentLength > 0:
		c.payload, err = o.document(r, c.header)
	default:
		c.payload.hash = sigv4.EmptyPayloadHash
	}
	if err != nil {
		return nil, err
	}
	return c, c.frame()
}

// notPassed are headers that this package writes itself, or that are about one hop.
var notPassed = setOf(
	"Accept-Encoding", "Authorization", "Connection", "Content-Length", "Date", "Expect", "Host", "Keep-Alive", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Amz-Content-Sha256", "X-Amz-Copy-Source", "X-Amz-Date",
	"X-Amz-Decoded-Content-Length", "X-Amz-Security-Token", "X-Amz-Trailer",
)

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// headersFor copies the headers of a request.
func headersFor(from http.Header) http.Header {
	header := make(http.Header, len(from)+8)
	for name, values := range from {
		if name = http.CanonicalHeaderKey(name); !notPassed[name] {
			header[name] = values
		}
	}
	header["User-Agent"] = []string{"countersign"}
	return header
}

// prefixed are the parameters that are keys, or starts of keys.
var prefixed = []string{"marker", "start-after", "key-marker"}

// query is that of the request, with the origin's prefix in what names keys.
func (o *Origin) query(r *s3api.Request, op operation) (url.Values, error) {
	if op.ofKey || op.answer == nil || op.method != http.MethodGet {
		return r.Query, nil
	}
	if err := checkStarts(o.store.Prefix, r.Query); err != nil {
		return nil, err
	}
	if o.store.Prefix == "" {
		return r.Query, nil
	}
	query := make(url.Values, len(r.Query)+1)
	for name, values := range r.Query {
		query[name] = values
	}
	query["prefix"] = []string{o.store.Prefix + r.Query.Get("prefix")}
	for _, name := range prefixed {
		if value := r.Query.Get(name); value != "" {
			query[name] = []string{o.store.Prefix + value}
		}
	}
	if token := r.Query.Get("continuation-token"); token != "" {
		inner, err := o.openToken(token)
		if err != nil {
			return nil, err
		}
		query["continuation-token"] = []string{inner}
	}
	return query, nil
}

// The first letter of a continuation token says how its rest came about. Some stores write
// the last key into it, with the prefix that the client is not to see.
const (
	tokenOfKey = "k"
	tokenAsIs  = "t"
)

func (o *Origin) sealToken(token string) string {
	if o.store.Prefix == "" || token == "" {
		return token
	}
	if rest, ok := strings.CutPrefix(token, o.store.Prefix); ok {
		return tokenOfKey + rest
	}
	return tokenAsIs + token
}

func (o *Origin) openToken(token string) (string, error) {
	if rest, ok := strings.CutPrefix(token, tokenOfKey); ok {
		return o.store.Prefix + rest, nil
	}
	if rest, ok := strings.CutPrefix(token, tokenAsIs); ok {
		return rest, nil
	}
	return "", &s3api.Error{Code: s3api.InvalidArgument, Message: "the continuation token is none of this bucket"}
}

// copySource is the header that names what a copy reads.
//
// Source: Amazon S3 API reference, CopyObject, x-amz-copy-source.
func (o *Origin) copySource(from *s3api.Source) (string, error) {
	source, ok := from.Origin.(*Origin)
	if !ok || !o.sameStore(source) {
		return "", &s3api.Error{Code: s3api.NotImplemented, Message: "a copy from another store is not implemented"}
	}
	if err := checkKey(source.store.Prefix, from.Key); err != nil {
		return "", err
	}
	name := "/" + source.store.Bucket + "/" + s3api.EscapeKey(source.store.Prefix+from.Key)
	if from.VersionID != "" {
		name += "?versionId=" + string(s3api.AppendEscaped(nil, from.VersionID, false))
	}
	return name, nil
}

// document reads a document. The keys of a DeleteObjects get the prefix, so what the client
// said about its bytes is checked here, and said anew.
func (o *Origin) document(r *s3api.Request, header http.Header) (payload, error) {
	text, err := readDocument(r)
	if err != nil {
		return payload{}, err
	}
	if r.Operation == s3api.DeleteObjects {
		if text, err = o.deleteDocument(text, header); err != nil {
			return payload{}, err
		}
	}
	if !hasDigest(header) || r.Operation == s3api.CompleteMultipartUpload {
		// S3 asks for one of most documents.
		sum := md5.Sum(text) //nolint:gosec // G401: as above
		header["Content-Md5"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	}
	return payload{small: text, length: int64(len(text)), hash: sigv4.HashPayload(text)}, nil
}

func (o *Origin) deleteDocument(text []byte, header http.Header) ([]byte, error) {
	digests, err := s3api.ParseDigests(header)
	if err != nil {
		return nil, err
	}
	if _, _ = digests.Write(text); digests.Check() != nil { // a digest takes all that is written
		return nil, digests.Check()
	}
	for name := range header {
		if name == "Content-Md5" || strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm" {
			delete(header, name)
		}
	}
	return o.addPrefix(text)
}

// hasDigest: headers say what the document's bytes are.
func hasDigest(header http.Header) bool {
	if header["Content-Md5"] != nil {
		return true
	}
	for name := range header {
		if _, ok := s3api.ChecksumOfHeader(name); ok {
			return true
		}
	}
	return false
}

// frame sets the headers that are about how the body is sent.
func (c *call) frame() error {
	p := &c.payload
	if p.checksum != "" && p.value != "" {
		c.header[http.CanonicalHeaderKey(p.checksum)] = []string{p.value}
	}
	coding := s3api.WithoutChunked(c.header["Content-Encoding"]...)
	delete(c.header, "Content-Encoding")
	c.length = p.length
	if p.chunks.Form != "" {
		coding = strings.TrimSuffix("aws-chunked,"+coding, ",")
		c.header["X-Amz-Decoded-Content-Length"] = []string{strconv.FormatInt(p.length, 10)}
		if p.chunks.Trailer != "" {
			c.header["X-Amz-Trailer"] = []string{p.chunks.Trailer}
		}
		var err error
		if c.length, err = sigv4.EncodedLength(p.chunks); err != nil {
			return countersign.WrapError(countersign.Internal, "", "", err)
		}
	}
	if coding != "" {
		c.header["Content-Encoding"] = []string{coding}
	}
	if p.length >= expectFrom {
		c.header["Expect"] = []string{"100-continue"}
	}
	return nil
}

// sign returns the request, signed.
func (o *Origin) sign(ctx context.Context, c *call, credentials sigv4.Credentials) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, c.op.method, "", nil)
	if err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "", err)
	}
	decoded, err := url.PathUnescape(c.path)
	if err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "", err)
	}
	*r.URL = o.base
	// The escaped form is what is sent and signed; net/url takes it because it is one of
	// the decoded path.
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = decoded, c.path, c.query
	r.Host, r.Header = o.base.Host, maps.Clone(c.header) // a signature adds lines, and changes none
	r.ContentLength = c.length
	if c.length > 0 {
		r.Header["Content-Length"] = []string{strconv.FormatInt(c.length, 10)}
	}
	if err := sigv4.Sign(r, credentials, sigv4.SignOptions{
		Region: o.store.Region, Service: "s3", Time: o.now(), PayloadHash: c.payload.hash, SendPayloadHash: true,
	}); err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "", err)
	}
	if r.Body, err = c.body(r, credentials); err != nil {
		return nil, err
	}
	delete(r.Header, "Content-Length") // net/http writes it
	if c.op.method == http.MethodDelete {
		// An empty list: it is not sent, and net/http asks a second time where a kept
		// connection turns out to be closed.
		r.Header["Idempotency-Key"] = []string{}
	}
	return r, nil
}

// body returns the bytes that follow a signed request.
func (c *call) body(r *http.Request, credentials sigv4.Credentials) (io.ReadCloser, error) {
	p := &c.payload
	switch {
	case c.length == 0:
		return http.NoBody, nil
	case p.small != nil:
		return io.NopCloser(bytes.NewReader(p.small)), nil
	case p.chunks.Form == "":
		return io.NopCloser(p.from), nil
	}
	options := p.chunks
	options.Secret = credentials.SecretAccessKey
	encoded, err := sigv4.EncodeBody(r, p.from, options)
	if err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "", err)
	}
	return io.NopCloser(encoded), nil
}
