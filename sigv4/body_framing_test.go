package sigv4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// unsignedBody is a request of StreamingUnsignedTrailer for a body of that length.
func unsignedBody(tb testing.TB, length int) sentBody {
	tb.Helper()
	return sendBody(tb, sigv4.StreamingUnsignedTrailer, text(length), 8192)
}

// What clients send, as their sources write it.
func TestBodyClientsForms(t *testing.T) {
	t.Parallel()
	body := text(100)
	trailer := "x-amz-checksum-crc32c:" + crc32cOf(body) + "\r\n"
	sent := unsignedBody(t, len(body))
	for client, wire := range map[string]string{
		"aws-sdk-go-v2, one chunk": "64\r\n" + string(body) + "\r\n0\r\n" + trailer + "\r\n",
		"botocore, boto3":          "40\r\n" + string(body[:64]) + "\r\n24\r\n" + string(body[64:]) + "\r\n0\r\n" + trailer + "\r\n",
		"JavaScript SDK v3":        "1\r\n" + string(body[:1]) + "\r\n63\r\n" + string(body[1:]) + "\r\n0\r\n" + trailer + "\r\n",
		"capitals":                 "5A\r\n" + string(body[:90]) + "\r\nA\r\n" + string(body[90:]) + "\r\n0\r\nX-Amz-Checksum-CRC32C" + trailer[21:] + "\r\n",
		"padded sizes":             "00000064\r\n" + string(body) + "\r\n00000000\r\n" + trailer + "\r\n",
	} {
		for _, size := range []int{1, 7, 4096} {
			if got, err := sent.read([]byte(wire), size); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s, read by %d: %d bytes, %v", client, size, len(got), err)
			}
		}
	}
	// minio-go ends the line of a signed trailer with \n, and puts an empty line behind it.
	signed := sendBody(t, sigv4.StreamingPayloadTrailer, body, 8192)
	minio := bytes.Replace(signed.wire, []byte(trailer), []byte(strings.TrimSuffix(trailer, "\r\n")+"\n\r\n"), 1)
	if got, err := signed.read(minio, 4096); err != nil || !bytes.Equal(got, body) || bytes.Equal(minio, signed.wire) {
		t.Errorf("minio-go: %d bytes, %v", len(got), err)
	}
}

func TestBodyFramingRefused(t *testing.T) {
	t.Parallel()
	body := text(100)
	trailer := "x-amz-checksum-crc32c:" + crc32cOf(body) + "\r\n"
	data := string(body)
	sent := unsignedBody(t, len(body))
	for name, test := range map[string]struct {
		wire string
		want countersign.Code
	}{
		"nothing":                       {"", countersign.Invalid},
		"a longer chunk":                {"65\r\n" + data + "x\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a shorter chunk":               {"63\r\n" + data[:99] + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"more chunks":                   {"64\r\n" + data + "\r\n1\r\nx\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a size of 17 digits":           {"00000000000000064\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a size that overflows":         {"ffffffffffffffff\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a size that wraps around":      {"10000000000000064\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a negative size":               {"-64\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a size in Go's words":          {"0x64\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a size with a space":           {"64 \r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"no size":                       {"\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"an extension":                  {"64;a=b\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"a signature":                   {"64;chunk-signature=" + strings.Repeat("0", 64) + "\r\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"lines that end with \\n":       {"64\n" + data + "\n0\n" + strings.TrimSpace(trailer) + "\n\n", countersign.Invalid},
		"a size that ends with \\n":     {"64\n" + data + "\r\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"data that ends with \\n":       {"64\r\n" + data + "\n0\r\n" + trailer + "\r\n", countersign.Invalid},
		"data without an end":           {"64\r\n" + data + "0\r\n" + trailer + "\r\n", countersign.Invalid},
		"no last chunk":                 {"64\r\n" + data + "\r\n" + trailer + "\r\n", countersign.Invalid},
		"no trailer":                    {"64\r\n" + data + "\r\n0\r\n\r\n", countersign.Invalid},
		"no trailer, no end":            {"64\r\n" + data + "\r\n0\r\n", countersign.Invalid},
		"no end":                        {"64\r\n" + data + "\r\n0\r\n" + trailer, countersign.Invalid},
		"half an end":                   {"64\r\n" + data + "\r\n0\r\n" + trailer + "\r", countersign.Invalid},
		"another trailer":               {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", countersign.Invalid},
		"a second trailer":              {"64\r\n" + data + "\r\n0\r\n" + trailer + "x-amz-meta-a:b\r\n\r\n", countersign.Invalid},
		"the trailer twice":             {"64\r\n" + data + "\r\n0\r\n" + trailer + trailer + "\r\n", countersign.Invalid},
		"a trailer without a value":     {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32c:\r\n\r\n", countersign.Invalid},
		"a trailer without a colon":     {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32c\r\n\r\n", countersign.Invalid},
		"a space before the value":      {"64\r\n" + data + "\r\n0\r\n" + strings.Replace(trailer, ":", ": ", 1) + "\r\n", countersign.Invalid},
		"a folded line":                 {"64\r\n" + data + "\r\n0\r\n" + strings.TrimSpace(trailer) + "\r\n x\r\n\r\n", countersign.Invalid},
		"minio-go's end, unsigned":      {"64\r\n" + data + "\r\n0\r\n" + strings.TrimSpace(trailer) + "\n\r\n\r\n", countersign.Invalid},
		"a signature that is not asked": {"64\r\n" + data + "\r\n0\r\n" + trailer + "x-amz-trailer-signature:" + strings.Repeat("0", 64) + "\r\n\r\n", countersign.Invalid},
		"another sum":                   {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", countersign.BodyMismatch},
		"a short sum":                   {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32c:AAAA\r\n\r\n", countersign.BodyMismatch},
		"something behind":              {"64\r\n" + data + "\r\n0\r\n" + trailer + "\r\nx", countersign.Invalid},
		"a request behind":              {"64\r\n" + data + "\r\n0\r\n" + trailer + "\r\nGET / HTTP/1.1\r\n\r\n", countersign.Invalid},
		"an endless line":               {strings.Repeat("0", 1<<20), countersign.Invalid},
		"an endless trailer":            {"64\r\n" + data + "\r\n0\r\nx-amz-checksum-crc32c:" + strings.Repeat("A", 1<<20), countersign.Invalid},
	} {
		for _, size := range []int{1, 4096} {
			got, err := sent.read([]byte(test.wire), size)
			wantCode(t, err, test.want)
			if len(got) >= len(body) {
				t.Errorf("%s: all of the body was yielded", name)
			}
		}
	}
}

// What is too short is told apart from what is malformed, at every place where it may end.
func TestBodyTooShort(t *testing.T) {
	t.Parallel()
	for _, form := range append(forms, "hash") {
		sent := sendBody(t, form, text(10_000), 8192)
		for end := 0; end < len(sent.wire); end += 1 + end%97 {
			_, err := sent.read(sent.wire[:end], 4096)
			if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, countersign.Invalid) {
				t.Fatalf("%s that ends at %d: %v", form, end, err)
			}
		}
	}
}

// What fails below is in the chain.
func TestBodyReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line is broken")
	for _, form := range append(forms, "hash") {
		sent := sendBody(t, form, text(10_000), 8192)
		for _, end := range []int{0, 10, 5000, len(sent.wire) - 1, len(sent.wire)} {
			_, got, err := sent.open(io.MultiReader(bytes.NewReader(sent.wire[:end]), failing{broken}), 4096)
			if !errors.Is(err, broken) || len(got) == 10_000 {
				t.Errorf("%s that breaks at %d: %d bytes, %v", form, end, len(got), err)
			}
		}
		if _, _, err := sent.open(failing{nil}, 4096); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s of a reader that gives nothing: %v", form, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRuleF4HashedBodyHoldsBackItsEnd(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 2, 4096, 4097, 100_000} {
		body := text(length)
		sent := sendBody(t, "hash", body, 0)
		for _, at := range []int{0, length / 2, length - 1} {
			wrong := bytes.Clone(body)
			wrong[at] ^= 1
			for _, size := range []int{1, 4096, 1 << 20} {
				got, err := sent.read(wrong, size)
				wantCode(t, err, countersign.BodyMismatch)
				if countersign.ReasonOf(err) != countersign.ReasonBodyMismatch || len(got) >= length {
					t.Errorf("%d bytes, read by %d, wrong at %d: %d were yielded, %s", length, size, at, len(got), countersign.ReasonOf(err))
				}
			}
		}
		for name, other := range map[string][]byte{"longer": append(bytes.Clone(body), 0), "shorter": body[:length-1]} {
			got, err := sent.read(other, 4096)
			wantCode(t, err, countersign.Invalid)
			if len(got) >= length {
				t.Errorf("%d bytes, %s: %d were yielded", length, name, len(got))
			}
		}
	}
	// Nobody has to read a body of no bytes: it is checked before.
	sent := sendBody(t, "hash", []byte("something"), 0)
	sent.options.DecodedLength = 0
	_, err := sent.request.Body(nil, sent.options)
	wantCode(t, err, countersign.BodyMismatch)
}

// A buffer that failed shows nothing of what was wrong.
func TestBodyClearsWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"hash", sigv4.StreamingUnsignedTrailer} {
		sent := sendBody(t, form, text(100), 8192)
		if sent.options.Trailer != "" {
			sent.options.Checksum = newCRC32C()
		}
		sent.wire[50] ^= 1
		b, err := sent.request.Body(bytes.NewReader(sent.wire), sent.options)
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		if n, err := b.Read(buffer); n != 0 || err == nil || !bytes.Equal(buffer, make([]byte, 4096)) {
			t.Errorf("%s: %d bytes, %v", form, n, err)
		}
		if b.Trailer(crc32c) != "" {
			t.Errorf("%s: the trailer of a wrong body", form)
		}
	}
}

func TestBodyOptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		form   string
		change func(*sigv4.BodyOptions)
		want   countersign.Code
	}{
		"no length":                  {sigv4.UnsignedPayload, func(o *sigv4.BodyOptions) { o.DecodedLength = -1 }, countersign.Invalid},
		"no length, chunked":         {sigv4.StreamingPayload, func(o *sigv4.BodyOptions) { o.DecodedLength = -1 }, countersign.Invalid},
		"a trailer is missing":       {sigv4.StreamingUnsignedTrailer, func(o *sigv4.BodyOptions) { o.Trailer = "" }, countersign.Invalid},
		"a trailer that is none":     {sigv4.StreamingPayloadTrailer, func(o *sigv4.BodyOptions) { o.Trailer = "x-amz-meta-a" }, countersign.Invalid},
		"a trailer without a name":   {sigv4.StreamingPayloadTrailer, func(o *sigv4.BodyOptions) { o.Trailer = "x-amz-checksum-" }, countersign.Invalid},
		"two trailers":               {sigv4.StreamingPayloadTrailer, func(o *sigv4.BodyOptions) { o.Trailer = crc32c + "," + crc32c }, countersign.Invalid},
		"a trailer that is too much": {sigv4.StreamingPayload, func(o *sigv4.BodyOptions) { o.Trailer = crc32c }, countersign.Invalid},
		"no checksum":                {sigv4.StreamingUnsignedTrailer, func(o *sigv4.BodyOptions) { o.Checksum = nil }, countersign.Internal},
		"no secret":                  {sigv4.StreamingPayload, func(o *sigv4.BodyOptions) { o.Secret = countersign.Secret{} }, countersign.Internal},
	} {
		sent := sendBody(t, test.form, text(100), 8192)
		o := sent.options
		if o.Trailer != "" {
			o.Checksum = newCRC32C()
		}
		test.change(&o)
		_, err := sent.request.Body(bytes.NewReader(sent.wire), o)
		if countersign.CodeOf(err) != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	var none *sigv4.Request
	_, err := none.Body(nil, sigv4.BodyOptions{})
	wantCode(t, err, countersign.BadSignature)
}

// A presigned link has no chain of signatures, and by default says nothing of its body.
func TestBodyPresigned(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]countersign.Code{
		"": "", sigv4.UnsignedPayload: "", sigv4.StreamingPayload: countersign.Invalid, sigv4.StreamingPayloadTrailer: countersign.Invalid,
	} {
		r := httptest.NewRequest(http.MethodPut, "https://s3.example.com/documents/key", nil)
		u, err := sigv4.Presign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon, PayloadHash: form}, sigv4.MaxExpires)
		if err != nil {
			t.Fatal(err)
		}
		q, err := sigv4.Parse(httptest.NewRequest(http.MethodPut, u.String(), nil), sigv4.ParseOptions{Path: sigv4.PathObject})
		if err != nil {
			t.Fatal(err)
		}
		o := sigv4.BodyOptions{Secret: ours.SecretAccessKey, DecodedLength: 3}
		if form == sigv4.StreamingPayloadTrailer {
			o.Trailer, o.Checksum = crc32c, newCRC32C()
		}
		_, err = q.Body(strings.NewReader("abc"), o)
		if countersign.CodeOf(err) != want {
			t.Errorf("%q: %v, want %q", form, err, want)
		}
	}
}

// A signed chunk is held in memory: it has a bound, and the buffer grows with what came and not
// with what was announced.
func TestVulnerability43ChunkMemory(t *testing.T) {
	t.Parallel()
	body := text(300_000)
	sent := sendBody(t, sigv4.StreamingPayload, body, 1<<20)
	sent.options.MaxChunk = 200_000
	got, err := sent.read(sent.wire, 4096)
	wantCode(t, err, countersign.TooLarge)
	if len(got) > 0 {
		t.Errorf("%d bytes of a chunk that is too large", len(got))
	}
	sent.options.MaxChunk = 0
	sent.options.DecodedLength = 1 << 40
	_, err = sent.read([]byte(fmt.Sprintf("%x;chunk-signature=%064d\r\n", sigv4.DefaultMaxChunk+1, 0)), 4096)
	wantCode(t, err, countersign.TooLarge)
	sent.options.DecodedLength = sigv4.DefaultMaxChunk
	announced := []byte(fmt.Sprintf("%x;chunk-signature=%064d\r\nx", sigv4.DefaultMaxChunk, 0))
	most := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sent.read(announced, 4096); !errors.Is(err, io.ErrUnexpectedEOF) {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if most > 96<<10 {
		t.Errorf("a chunk of 1 MiB that never came took %d bytes", most)
	}
}

func TestEncodeBodyRefuses(t *testing.T) {
	t.Parallel()
	value := func() string { return "AAAAAA==" }
	for name, o := range map[string]sigv4.EncodeOptions{
		"no form":               {},
		"a hash":                {Form: sigv4.EmptyPayloadHash},
		"no chunks":             {Form: sigv4.UnsignedPayload},
		"small chunks":          {Form: sigv4.StreamingPayload, ChunkSize: 8191},
		"a negative length":     {Form: sigv4.StreamingPayload, Length: -1},
		"no trailer":            {Form: sigv4.StreamingUnsignedTrailer},
		"a trailer too much":    {Form: sigv4.StreamingPayload, Trailer: crc32c, TrailerLength: 8, TrailerValue: value},
		"a trailer of no name":  {Form: sigv4.StreamingUnsignedTrailer, Trailer: "x", TrailerLength: 8, TrailerValue: value},
		"a trailer of length 0": {Form: sigv4.StreamingUnsignedTrailer, Trailer: crc32c, TrailerValue: value},
	} {
		_, err := sigv4.EncodedLength(o)
		wantCode(t, err, countersign.Invalid)
		if _, err := sigv4.EncodeBody(httptest.NewRequest(http.MethodPut, "/", nil), nil, o); err == nil {
			t.Errorf("%s: EncodeBody takes it", name)
		}
	}
	o := sigv4.EncodeOptions{Form: sigv4.StreamingUnsignedTrailer, Length: 3, Trailer: crc32c, TrailerLength: 8}
	if _, err := sigv4.EncodeBody(httptest.NewRequest(http.MethodPut, "/", nil), nil, o); err == nil {
		t.Error("EncodeBody takes a trailer without a value")
	}
	for body, trailer := range map[string]string{"ab": "AAAAAA==", "abcd": "AAAAAA==", "abc": "AAAAA==", "": "AAAAAA=="} {
		o.TrailerValue = func() string { return trailer }
		encoded, err := sigv4.EncodeBody(httptest.NewRequest(http.MethodPut, "/", nil), strings.NewReader(body), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(encoded)
		wantCode(t, err, countersign.Invalid)
	}
	// The signed forms need a request that is signed for them.
	r := httptest.NewRequest(http.MethodPut, "https://s3.example.com/a/b", nil)
	o = sigv4.EncodeOptions{Form: sigv4.StreamingPayload, Length: 3, Secret: ours.SecretAccessKey}
	_, err := sigv4.EncodeBody(r, strings.NewReader("abc"), o)
	wantCode(t, err, countersign.Unauthenticated)
	if err := sigv4.Sign(r, ours, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: noon, PayloadHash: sigv4.UnsignedPayload}); err != nil {
		t.Fatal(err)
	}
	_, err = sigv4.EncodeBody(r, strings.NewReader("abc"), o)
	wantCode(t, err, countersign.Invalid)
}
