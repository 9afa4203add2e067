package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// call is a request before it is signed.
type call struct {
	method, key string
	query       url.Values
	header      map[string]string
	body        []byte
	// form is how the body is signed; see forms.
	form string
	// tamper changes a byte after it was signed; breakOff goes away in the middle.
	tamper, breakOff bool
}

// The forms of a body: what x-amz-content-sha256 says of it, or a presigned link.
const (
	formHash   = "hash"
	formLink   = "link"
	formPlain  = sigv4.UnsignedPayload
	formSigned = sigv4.StreamingPayload
	formBoth   = sigv4.StreamingPayloadTrailer
	formLast   = sigv4.StreamingUnsignedTrailer
)

var forms = []string{formHash, formLink, formPlain, formSigned, formBoth, formLast}

// result is what came back: a status, or err where there was none, or not to its end.
type result struct {
	status int
	code   string // S3's
	body   []byte
	header http.Header
	err    error
}

func (r result) ok() bool { return r.err == nil && r.status/100 == 2 }

func (r result) is(status int, codes ...string) bool {
	if r.err != nil || r.status != status {
		return false
	}
	for _, code := range codes {
		if r.code == code {
			return true
		}
	}
	return len(codes) == 0
}

// passing reports whether it is a failure that an absent origin explains.
func (r result) passing() bool { return r.err != nil || r.status >= http.StatusInternalServerError }

// escape is the path of a key as S3 signs it.
func escape(key string) string {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.QueryEscape(segment), "+", "%20")
	}
	return strings.Join(segments, "/")
}

// do signs a call and sends it.
func (c *client) do(ctx context.Context, what call) result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	path := "/" + c.run.bucket
	if what.key != "" {
		path += "/" + escape(what.key)
	}
	request, err := http.NewRequestWithContext(ctx, what.method, c.run.gateway+path, nil)
	if err != nil {
		return result{err: err}
	}
	request.URL.RawQuery = what.query.Encode()
	for name, value := range what.header {
		request.Header.Set(name, value)
	}
	body, err := c.sign(request, what)
	if err != nil {
		return result{err: err}
	}
	if what.tamper {
		body[len(body)/2] ^= 1
	}
	if len(body) > 0 { // else Go would send it in chunks, to see whether there is more
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	if what.breakOff {
		request.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), gone{cancel}))
	}
	return c.send(request)
}

// gone is where a client goes away.
type gone struct{ cancel func() }

func (g gone) Read([]byte) (int, error) {
	g.cancel()
	return 0, errors.New("the client went away")
}

// sign signs a request and returns the body as it is sent.
func (c *client) sign(request *http.Request, what call) ([]byte, error) {
	as := sigv4.Credentials{AccessKeyID: c.session.AccessKeyID, SecretAccessKey: countersign.NewSecret(c.session.SecretAccessKey), SessionToken: countersign.NewSecret(c.session.SessionToken)}
	options := sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: time.Now(), Path: sigv4.PathObject}
	switch what.form {
	case formLink:
		link, err := sigv4.Presign(request, as, options, time.Minute)
		if err == nil {
			request.URL = link
		}
		return what.body, err
	case formHash, "":
		options.PayloadHash = sigv4.HashPayload(what.body)
		return bytes.Clone(what.body), sigv4.Sign(request, as, options)
	case formPlain:
		options.PayloadHash = what.form
		return what.body, sigv4.Sign(request, as, options)
	}
	options.PayloadHash = what.form
	encode := sigv4.EncodeOptions{Form: what.form, Length: int64(len(what.body)), ChunkSize: 16 << 10, Secret: as.SecretAccessKey}
	if what.form != formSigned {
		sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(what.body))
		value := base64.StdEncoding.EncodeToString(sum)
		encode.Trailer, encode.TrailerLength, encode.TrailerValue = "x-amz-checksum-crc32", len(value), func() string { return value }
		request.Header.Set("X-Amz-Trailer", encode.Trailer)
	}
	request.Header.Set("Content-Encoding", "aws-chunked")
	request.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(what.body)))
	if err := sigv4.Sign(request, as, options); err != nil {
		return nil, err
	}
	encoded, err := sigv4.EncodeBody(request, bytes.NewReader(what.body), encode)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(encoded)
}

// send sends it and reads the answer to its end.
func (c *client) send(request *http.Request) result {
	response, err := c.http.Do(request)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	r := result{status: response.StatusCode, header: response.Header}
	if r.body, r.err = io.ReadAll(response.Body); r.err != nil {
		return r
	}
	if r.status >= http.StatusBadRequest {
		var document struct{ Code string }
		if xml.Unmarshal(r.body, &document) == nil {
			r.code = document.Code
		}
	}
	return r
}

// counted counts what a client sends, by whatever it sends it.
type counted struct {
	transport *http.Transport
	report    *report
}

func (t counted) RoundTrip(request *http.Request) (*http.Response, error) {
	t.report.requests.Add(1)
	return t.transport.RoundTrip(request)
}
