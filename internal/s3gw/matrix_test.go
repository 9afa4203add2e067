package s3gw_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// sample is a good request of one operation.
type sample struct {
	method, path string
	header       []string
	body         string
}

// samples has one for each row of the table. A row without one fails the matrix.
var samples = map[s3api.Operation]sample{
	s3api.ListBuckets:          {http.MethodGet, "/", nil, ""},
	s3api.HeadBucket:           {http.MethodHead, "/documents", nil, ""},
	s3api.GetBucketLocation:    {http.MethodGet, "/documents?location", nil, ""},
	s3api.ListObjects:          {http.MethodGet, "/documents?prefix=a%2F", nil, ""},
	s3api.ListObjectsV2:        {http.MethodGet, "/documents?list-type=2&delimiter=%2F", nil, ""},
	s3api.ListObjectVersions:   {http.MethodGet, "/documents?versions", nil, ""},
	s3api.ListMultipartUploads: {http.MethodGet, "/documents?uploads", nil, ""},
	s3api.DeleteObjects:        {http.MethodPost, "/documents?delete", nil, `<Delete><Object><Key>a</Key></Object></Delete>`},

	s3api.GetObject:           {http.MethodGet, "/documents/there", nil, ""},
	s3api.HeadObject:          {http.MethodHead, "/documents/there", nil, ""},
	s3api.GetObjectAttributes: {http.MethodGet, "/documents/there?attributes", []string{"x-amz-object-attributes", "ETag"}, ""},
	s3api.PutObject:           {http.MethodPut, "/documents/new", nil, "the body of an object"},
	s3api.CopyObject:          {http.MethodPut, "/documents/copy", []string{"x-amz-copy-source", "/archive/there"}, ""},
	s3api.DeleteObject:        {http.MethodDelete, "/documents/there", nil, ""},
	s3api.GetObjectTagging:    {http.MethodGet, "/documents/there?tagging", nil, ""},
	s3api.PutObjectTagging:    {http.MethodPut, "/documents/there?tagging", nil, `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`},
	s3api.DeleteObjectTagging: {http.MethodDelete, "/documents/there?tagging", nil, ""},
	s3api.GetObjectACL:        {http.MethodGet, "/documents/there?acl", nil, ""},
	s3api.PutObjectACL:        {http.MethodPut, "/documents/there?acl", nil, `<AccessControlPolicy><Owner><ID>x</ID></Owner></AccessControlPolicy>`},
	s3api.GetObjectRetention:  {http.MethodGet, "/documents/there?retention", nil, ""},
	s3api.PutObjectRetention:  {http.MethodPut, "/documents/there?retention", nil, `<Retention><Mode>GOVERNANCE</Mode></Retention>`},
	s3api.GetObjectLegalHold:  {http.MethodGet, "/documents/there?legal-hold", nil, ""},
	s3api.PutObjectLegalHold:  {http.MethodPut, "/documents/there?legal-hold", nil, `<LegalHold><Status>ON</Status></LegalHold>`},

	s3api.CreateMultipartUpload:   {http.MethodPost, "/documents/big?uploads", nil, ""},
	s3api.UploadPart:              {http.MethodPut, "/documents/big?partNumber=1&uploadId=u", nil, "the body of a part"},
	s3api.UploadPartCopy:          {http.MethodPut, "/documents/big?partNumber=2&uploadId=u", []string{"x-amz-copy-source", "archive/there"}, ""},
	s3api.ListParts:               {http.MethodGet, "/documents/big?uploadId=u", nil, ""},
	s3api.CompleteMultipartUpload: {http.MethodPost, "/documents/big?uploadId=u", nil, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>`},
	s3api.AbortMultipartUpload:    {http.MethodDelete, "/documents/big?uploadId=u", nil, ""},
}

// verdict is an answer: a status, and the code where it is an error with a body.
type verdict struct {
	status int
	code   string
}

// good stands for any success.
var good = verdict{}

// column is one way in which a request proves itself, or fails to.
type column struct {
	name string
	send func(m *matrix, s sample) *http.Request
	// bodied and bodiless are the right answers for operations that take a body and for
	// those that take none.
	bodied, bodiless verdict
}

var (
	denied     = verdict{403, "AccessDenied"}
	mismatch   = verdict{403, "SignatureDoesNotMatch"}
	wrongBody  = verdict{400, "XAmzContentSHA256Mismatch"}
	takesNone  = verdict{400, "InvalidRequest"}
	incomplete = verdict{400, "IncompleteBody"}
)

// columns are those of the matrix.
var columns = []column{
	{"no auth", func(m *matrix, s sample) *http.Request { return m.plain(s) }, denied, denied},
	{"header", func(m *matrix, s sample) *http.Request { return m.header(s, m.creds) }, good, good},
	{"presigned", func(m *matrix, s sample) *http.Request { return m.presign(s, m.creds, time.Minute) }, good, good},
	{"unsigned payload", func(m *matrix, s sample) *http.Request {
		r := m.plain(s)
		m.signAs(m.t, r, m.creds, sigv4.UnsignedPayload)
		return r
	}, good, good},
	{"chunked", func(m *matrix, s sample) *http.Request { return m.chunked(s, sigv4.StreamingPayload, nil) }, good, takesNone},
	{"chunked and trailer", func(m *matrix, s sample) *http.Request { return m.chunked(s, sigv4.StreamingPayloadTrailer, nil) }, good, takesNone},
	{"unsigned trailer", func(m *matrix, s sample) *http.Request { return m.chunked(s, sigv4.StreamingUnsignedTrailer, nil) }, good, takesNone},
	{"header and query", func(m *matrix, s sample) *http.Request {
		r := m.presign(s, m.creds, time.Minute)
		r.Header.Set("Authorization", m.header(s, m.creds).Header.Get("Authorization"))
		return r
	}, verdict{403, "InvalidRequest"}, verdict{403, "InvalidRequest"}},
	{"wrong secret", func(m *matrix, s sample) *http.Request { return m.header(s, m.wrong()) }, mismatch, mismatch},
	{"wrong secret, presigned", func(m *matrix, s sample) *http.Request { return m.presign(s, m.wrong(), time.Minute) }, mismatch, mismatch},
	{"wrong secret, chunked", func(m *matrix, s sample) *http.Request {
		m.creds = m.wrong()
		return m.chunked(s, sigv4.StreamingPayload, nil)
	}, mismatch, mismatch},
	{"wrong secret, unsigned trailer", func(m *matrix, s sample) *http.Request {
		m.creds = m.wrong()
		return m.chunked(s, sigv4.StreamingUnsignedTrailer, nil)
	}, mismatch, mismatch},
	{"wrong date", func(m *matrix, s sample) *http.Request { return m.at(s, -15*time.Minute-time.Second) }, verdict{403, "RequestTimeTooSkewed"}, verdict{403, "RequestTimeTooSkewed"}},
	{"wrong date, ahead", func(m *matrix, s sample) *http.Request { return m.at(s, 15*time.Minute+time.Second) }, verdict{403, "RequestTimeTooSkewed"}, verdict{403, "RequestTimeTooSkewed"}},
	{"wrong region scope", func(m *matrix, s sample) *http.Request {
		r := m.header(s, m.creds)
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/us-east-1/", "/eu-west-1/", 1))
		return r
	}, mismatch, mismatch},
	{"wrong service scope", func(m *matrix, s sample) *http.Request {
		r := m.plain(s)
		err := sigv4.Sign(r, m.creds, sigv4.SignOptions{
			Region: "us-east-1", Service: "sts", Time: m.Clock.Now(), Path: sigv4.PathObject,
			PayloadHash: sigv4.HashPayload([]byte(s.body)), SendPayloadHash: true,
		})
		if err != nil {
			m.t.Fatal(err)
		}
		return r
	}, mismatch, mismatch},
	{"expired session", func(m *matrix, s sample) *http.Request {
		m.Clock.Advance(time.Hour)
		return m.header(s, m.creds)
	}, verdict{403, "ExpiredToken"}, verdict{403, "ExpiredToken"}},
	{"expired link", func(m *matrix, s sample) *http.Request {
		r := m.presign(s, m.creds, time.Minute)
		m.Clock.Advance(time.Minute)
		return r
	}, denied, denied},
	{"link of an expired session", func(m *matrix, s sample) *http.Request {
		r := m.presign(s, m.creds, 24*time.Hour)
		m.Clock.Advance(time.Hour)
		return r
	}, denied, denied},
	{"revoked session", func(m *matrix, s sample) *http.Request {
		m.revoke()
		return m.header(s, m.creds)
	}, verdict{403, "InvalidToken"}, verdict{403, "InvalidToken"}},
	{"no token", func(m *matrix, s sample) *http.Request {
		c := m.creds
		c.SessionToken = countersign.Secret{}
		return m.header(s, c)
	}, verdict{403, "InvalidAccessKeyId"}, verdict{403, "InvalidAccessKeyId"}},
	{"signature version 2", func(m *matrix, s sample) *http.Request {
		r := m.plain(s)
		r.Header.Set("Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=")
		return r
	}, verdict{403, "InvalidRequest"}, verdict{403, "InvalidRequest"}},
	{"empty header", func(m *matrix, s sample) *http.Request {
		r := m.plain(s)
		r.Header.Set("Authorization", "")
		return r
	}, verdict{403, "AuthorizationHeaderMalformed"}, verdict{403, "AuthorizationHeaderMalformed"}},
	{"bearer", func(m *matrix, s sample) *http.Request {
		r := m.plain(s)
		r.Header.Set("Authorization", "Bearer x")
		return r
	}, verdict{403, "AuthorizationHeaderMalformed"}, verdict{403, "AuthorizationHeaderMalformed"}},
	{"tampered path", func(m *matrix, s sample) *http.Request {
		r := m.header(s, m.creds)
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&x-id="+url.QueryEscape("x"), "&")
		return r
	}, mismatch, mismatch},
	{"tampered body", func(m *matrix, s sample) *http.Request {
		r := m.header(s, m.creds)
		setBody(r, []byte(flip(s.body, "tampered")))
		return r
	}, wrongBody, takesNone},
	{"tampered chunk", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingPayload, func(wire []byte) []byte { return flipAt(wire, bytes.Index(wire, []byte("\r\n"))+2) })
	}, mismatch, takesNone},
	{"tampered chunk signature", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingPayload, func(wire []byte) []byte { return flipHex(wire, bytes.Index(wire, []byte("signature="))+10) })
	}, mismatch, takesNone},
	{"tampered trailer", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingPayloadTrailer, func(wire []byte) []byte { return flipAt(wire, bytes.Index(wire, []byte("crc32:"))+6) })
	}, mismatch, takesNone},
	{"tampered unsigned trailer", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingUnsignedTrailer, func(wire []byte) []byte { return flipAt(wire, bytes.Index(wire, []byte("crc32:"))+6) })
	}, verdict{400, "BadDigest"}, takesNone},
	{"tampered unsigned chunk", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingUnsignedTrailer, func(wire []byte) []byte { return flipAt(wire, bytes.Index(wire, []byte("\r\n"))+2) })
	}, verdict{400, "BadDigest"}, takesNone},
	{"truncated", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingPayload, func(wire []byte) []byte { return wire[:len(wire)-10] })
	}, incomplete, takesNone},
	{"truncated before the trailer", func(m *matrix, s sample) *http.Request {
		return m.chunked(s, sigv4.StreamingUnsignedTrailer, func(wire []byte) []byte { return wire[:bytes.Index(wire, []byte("\r\n0\r\n"))+5] })
	}, incomplete, takesNone},
	{"shortened body", func(m *matrix, s sample) *http.Request {
		r := m.header(s, m.creds)
		setBody(r, []byte(s.body[:len(s.body)/2]))
		return r
	}, mismatch, good}, // the length is signed too; a body that is cut on its way: TestTruncatedBody
}

// matrix is one cell's world.
type matrix struct {
	*world
	t     testing.TB
	creds sigv4.Credentials
}

func (m *matrix) plain(s sample) *http.Request {
	return m.request(m.t, s.method, s.path, []byte(s.body), s.header...)
}

func (m *matrix) header(s sample, c sigv4.Credentials) *http.Request {
	r := m.plain(s)
	m.sign(m.t, r, c)
	return r
}

func (m *matrix) at(s sample, d time.Duration) *http.Request {
	r := m.plain(s)
	err := sigv4.Sign(r, m.creds, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: m.Clock.Now().Add(d), PayloadHash: sigv4.HashPayload([]byte(s.body))})
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

func (m *matrix) presign(s sample, c sigv4.Credentials, expires time.Duration) *http.Request {
	r := m.plain(s)
	signed, err := sigv4.Presign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: m.Clock.Now()}, expires)
	if err != nil {
		m.t.Fatal(err)
	}
	r.URL = signed
	return r
}

// wrong are the credentials with a secret that differs in one letter.
func (m *matrix) wrong() sigv4.Credentials {
	c := m.creds
	c.SecretAccessKey = countersign.NewSecret(flip(c.SecretAccessKey.Reveal(), ""))
	return c
}

// chunked sends the body as aws-chunked, with what change makes of it.
func (m *matrix) chunked(s sample, form string, change func(wire []byte) []byte) *http.Request {
	r := m.plain(s)
	body := []byte(s.body)
	o := sigv4.EncodeOptions{Form: form, Length: int64(len(body)), Secret: m.creds.SecretAccessKey}
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(body)))
	r.Header.Set("Content-Encoding", "aws-chunked")
	if form != sigv4.StreamingPayload {
		sum := crc32.ChecksumIEEE(body)
		value := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
		o.Trailer, o.TrailerLength, o.TrailerValue = "x-amz-checksum-crc32", len(value), func() string { return value }
		r.Header.Set("X-Amz-Trailer", o.Trailer)
	}
	length, err := sigv4.EncodedLength(o)
	if err != nil {
		m.t.Fatal(err)
	}
	r.Body, r.ContentLength = http.NoBody, length
	r.Header.Set("Content-Length", strconv.FormatInt(length, 10))
	m.signUnsized(r, form)
	encoded, err := sigv4.EncodeBody(r, bytes.NewReader(body), o)
	if err != nil {
		m.t.Fatal(err)
	}
	wire, err := io.ReadAll(encoded)
	if err != nil {
		m.t.Fatal(err)
	}
	if change != nil {
		wire = change(wire)
	}
	setBody(r, wire)
	return r
}

// signUnsized signs without the length of the body on the wire, so that a test may change it.
func (m *matrix) signUnsized(r *http.Request, form string) {
	length := r.ContentLength
	r.ContentLength = 0
	r.Header.Del("Content-Length")
	m.signAs(m.t, r, m.creds, form)
	r.ContentLength = length
}

func (m *matrix) revoke() {
	now := m.Clock.Now()
	m.Registry.Revoke(store.Revocation{Session: m.creds.AccessKeyID, CreatedAt: now, ExpiresAt: now.Add(time.Hour)})
}

func setBody(r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if len(body) == 0 {
		r.Body = http.NoBody
	}
}

// flip changes the first byte of a text; where there is none, it is other.
func flip(text, other string) string {
	if text == "" {
		return other
	}
	return string(flipAt([]byte(text), 0))
}

func flipAt(text []byte, at int) []byte {
	text[at] ^= 1
	return text
}

func flipHex(text []byte, at int) []byte {
	if text[at]++; text[at] == ':' || text[at] == 'g' {
		text[at] = '1'
	}
	return text
}

// The matrix: every operation in every way to prove it. Nothing that is refused reaches an
// origin.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for _, row := range s3gw.Rows() {
		s, ok := samples[row.Name]
		if !ok {
			t.Errorf("%s has no sample: the matrix would not test it", row.Name)
			continue
		}
		t.Run(string(row.Name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range columns {
				w.cell(t, row, s, c)
			}
		})
	}
	if len(samples) != len(s3gw.Rows()) {
		t.Errorf("%d samples for %d rows: %v", len(samples), len(s3gw.Rows()), slices.Sorted(maps.Keys(samples)))
	}
}

// cell tests one operation in one way.
func (w *world) cell(t *testing.T, row s3gw.Row, s sample, c column) {
	t.Helper()
	before := w.Clock.Now()
	defer w.Clock.Set(before)
	w.put("documents", "there", "x")
	w.put("archive", "there", "x")
	w.origins.forget()
	m := &matrix{world: w, t: t, creds: w.session(t, "all")}
	want := c.bodiless
	if row.Body {
		want = c.bodied
	}
	r := c.send(m, s)
	got := w.send(t, r)
	if want == good {
		if got.status < 200 || got.status > 299 {
			t.Errorf("%s: %d %s, want a success: %s", c.name, got.status, got.code, got.body)
		}
		if calls := len(w.origins.calls()); calls != 1 && row.Name != s3api.ListBuckets {
			t.Errorf("%s: %d requests at the origin, want 1", c.name, calls)
		}
		return
	}
	if s.method == http.MethodHead {
		want.code = "" // its answer has no body
	}
	if got.status != want.status || got.code != want.code {
		t.Errorf("%s: %d %s, want %d %s: %s", c.name, got.status, got.code, want.status, want.code, got.body)
	}
	if calls := w.origins.calls(); len(calls) != 0 {
		t.Errorf("%s: the origin did %s", c.name, fmt.Sprint(calls[0].Operation))
	}
}
