package sigv4_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// crc32c is the trailer of the tests.
const crc32c = "x-amz-checksum-crc32c"

func newCRC32C() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }

func crc32cOf(body []byte) string {
	sum := newCRC32C()
	sum.Write(body)
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// forms are all of x-amz-content-sha256 but the hashes.
var forms = []string{sigv4.UnsignedPayload, sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer, sigv4.StreamingUnsignedTrailer}

// theirSecret is not that of ours.
var theirSecret = countersign.NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY+")

func hasTrailer(form string) bool { return strings.HasSuffix(form, "-TRAILER") }

// sentBody is a body as it goes over the wire, with the request that it belongs to.
type sentBody struct {
	request *sigv4.Request
	seed    string // its signature
	wire    []byte
	options sigv4.BodyOptions
}

// sendBody signs a PUT of body in a form and writes the body in it. The form "hash" is that of
// the hash of the body.
func sendBody(tb testing.TB, form string, body []byte, chunk int) sentBody {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPut, "https://s3.example.com/documents/a%20key", nil)
	sent := sentBody{wire: body, options: sigv4.BodyOptions{Secret: ours.SecretAccessKey, DecodedLength: int64(len(body))}}
	if form == "hash" {
		form = sigv4.HashPayload(body)
	}
	o := sigv4.EncodeOptions{Form: form, Length: int64(len(body)), ChunkSize: chunk, Secret: ours.SecretAccessKey}
	chunked := strings.HasPrefix(form, "STREAMING-")
	if chunked {
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(body)))
	}
	if hasTrailer(form) {
		o.Trailer, o.TrailerLength, o.TrailerValue = crc32c, 8, func() string { return crc32cOf(body) }
		r.Header.Set("X-Amz-Trailer", crc32c)
		sent.options.Trailer = crc32c
	}
	if err := sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon, PayloadHash: form}); err != nil {
		tb.Fatal(err)
	}
	_, sent.seed, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
	var err error
	if sent.request, err = sigv4.Parse(r, sigv4.ParseOptions{Path: sigv4.PathObject}); err != nil {
		tb.Fatal(err)
	}
	v := sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: noon, Service: "s3", BodyLater: true, AllowUnsigned: true, AllowStreaming: true}
	if err := sent.request.Verify(v); err != nil {
		tb.Fatal(err)
	}
	if chunked {
		encoded, err := sigv4.EncodeBody(r, bytes.NewReader(body), o)
		if err != nil {
			tb.Fatal(err)
		}
		if sent.wire, err = io.ReadAll(encoded); err != nil {
			tb.Fatal(err)
		}
		if length, err := sigv4.EncodedLength(o); err != nil || length != int64(len(sent.wire)) {
			tb.Fatalf("EncodedLength is %d, %v; %d bytes were written", length, err, len(sent.wire))
		}
	}
	return sent
}

// signedFor is a PUT that is signed for a form of body.
func signedFor(tb testing.TB, form string) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(http.MethodPut, "https://s3.example.com/documents/a%20key", nil)
	if err := sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon, PayloadHash: form}); err != nil {
		tb.Fatal(err)
	}
	return r
}

// read reads what came over the wire, so many bytes a time; it returns all that was yielded.
func (s sentBody) read(wire []byte, size int) (yielded []byte, err error) {
	_, yielded, err = s.open(bytes.NewReader(wire), size)
	return yielded, err
}

func (s sentBody) open(wire io.Reader, size int) (*sigv4.Body, []byte, error) {
	o := s.options
	if o.Trailer != "" {
		o.Checksum = newCRC32C()
	}
	body, err := s.request.Body(wire, o)
	if err != nil {
		return nil, nil, err
	}
	var yielded []byte
	buffer := make([]byte, size)
	for {
		n, err := body.Read(buffer)
		yielded = append(yielded, buffer[:n]...)
		if errors.Is(err, io.EOF) {
			return body, yielded, nil
		}
		if err != nil {
			if again, same := body.Read(buffer); again != 0 || !errors.Is(same, err) {
				return body, yielded, fmt.Errorf("after %w came %d bytes, %w", err, again, same)
			}
			return body, yielded, err
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

func TestBodyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, form := range append(slices.Clone(forms), "hash") {
		for _, length := range []int{0, 1, 2, 8191, 8192, 8193, 65536, 200_000} {
			body := text(length)
			for _, chunk := range []int{8 << 10, 64 << 10, 128 << 10, 1 << 20} {
				sent := sendBody(t, form, body, chunk)
				for _, size := range []int{1, 100, 32 << 10, 1 << 20} {
					if size == 1 && length > 8193 {
						continue
					}
					got, err := sent.read(sent.wire, size)
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%s, %d bytes in chunks of %d, read by %d: %d bytes, %v", form, length, chunk, size, len(got), err)
					}
				}
				for name, wire := range map[string]io.Reader{
					"by half":        iotest.HalfReader(bytes.NewReader(sent.wire)),
					"EOF with bytes": iotest.DataErrReader(bytes.NewReader(sent.wire)),
				} {
					b, got, err := sent.open(wire, 4096)
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%s, %d bytes in chunks of %d, %s: %d bytes, %v", form, length, chunk, name, len(got), err)
					}
					if want := crc32cOf(body); hasTrailer(form) && b.Trailer(crc32c) != want || b.Trailer("x-amz-checksum-crc32") != "" {
						t.Fatalf("%s: the trailer is %q, want %q", form, b.Trailer(crc32c), want)
					}
				}
			}
		}
	}
}

// The examples of AWS's documentation.
//
// Source: Amazon S3 API reference, "Transferring Payload in Multiple Chunks", "Example: PUT
// Object"; "Including Trailing Headers", "Example".
func TestBodyAWSExamples(t *testing.T) {
	t.Parallel()
	for form, example := range map[string]struct{ seed, first, second, last, end string }{
		sigv4.StreamingPayload: {
			seed:   "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			first:  "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			second: "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			last:   "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
		},
		sigv4.StreamingPayloadTrailer: {
			seed:   "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			first:  "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			second: "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			last:   "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			end: "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
				"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
		},
	} {
		r := httptest.NewRequest(http.MethodPut, "https://s3.amazonaws.com/examplebucket/chunkObject.txt", nil)
		signed := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Content-Sha256", form)
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
		r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
		r.ContentLength = 66824
		options := sigv4.BodyOptions{Secret: countersign.NewSecret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), DecodedLength: 66560}
		if example.end != "" {
			signed = strings.Replace(signed, "content-length;", "", 1) + ";x-amz-trailer"
			r.Header.Set("X-Amz-Trailer", crc32c)
			options.Trailer, options.Checksum = crc32c, newCRC32C()
		}
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="+
			signed+",Signature="+example.seed)
		q, err := sigv4.Parse(r, sigv4.ParseOptions{Path: sigv4.PathObject})
		if err != nil {
			t.Fatal(err)
		}
		err = q.Verify(sigv4.VerifyOptions{
			Secret: options.Secret, Now: time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC), Service: "s3", AllowStreaming: true,
		})
		if err != nil {
			t.Fatalf("%s: the seed: %v", form, err)
		}
		wire := "10000;chunk-signature=" + example.first + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
			"400;chunk-signature=" + example.second + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
			"0;chunk-signature=" + example.last + "\r\n" + example.end + "\r\n"
		body, err := q.Body(strings.NewReader(wire), options)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != strings.Repeat("a", 66560) {
			t.Errorf("%s: %d bytes, %v", form, len(got), err)
		}
		encode := sigv4.EncodeOptions{Form: form, Length: 66560, Secret: options.Secret}
		if example.end != "" {
			encode.Trailer, encode.TrailerLength, encode.TrailerValue = crc32c, 8, func() string { return "sOO8/Q==" }
		}
		encoded, err := sigv4.EncodeBody(r, strings.NewReader(strings.Repeat("a", 66560)), encode)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(encoded); err != nil || string(got) != wire {
			t.Errorf("%s: EncodeBody wrote %d bytes, want %d; %v", form, len(got), len(wire), err)
		}
	}
}
