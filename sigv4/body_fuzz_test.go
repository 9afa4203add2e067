package sigv4_test

import (
	"bytes"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/sigv4"
)

// FuzzBody: whatever comes over the wire, no panic; a signed body is yielded as it was signed or
// not to its end, and no form yields more than was announced.
func FuzzBody(f *testing.F) {
	const length = 8192 + 100
	body := text(length)
	all := []string{sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer, sigv4.StreamingUnsignedTrailer, "hash"}
	var ready []sentBody
	for i, form := range all {
		ready = append(ready, sendBody(f, form, body, 8192))
		wire := ready[i].wire
		f.Add(uint8(i), wire, uint16(4096))
		f.Add(uint8(i), wire[:len(wire)-2], uint16(1))
		f.Add(uint8(i), []byte("0\r\n\r\n"), uint16(10))
	}
	f.Fuzz(func(t *testing.T, kind uint8, wire []byte, size uint16) {
		form, sent := all[int(kind)%len(all)], ready[int(kind)%len(all)]
		got, err := sent.read(wire, int(size)+1)
		if len(got) > length || err != nil && len(got) == length {
			t.Fatalf("%s: %d bytes, %v", form, len(got), err)
		}
		if form == sigv4.StreamingUnsignedTrailer {
			if err == nil && !strings.Contains(string(wire), crc32cOf(got)) {
				t.Fatal("a body without its sum")
			}
			return
		}
		// What is held against a hash is yielded before it was compared, but for its end.
		if err == nil && !bytes.Equal(got, body) || form != "hash" && !bytes.HasPrefix(body, got) {
			t.Fatalf("%s: %d bytes that were not signed, %v", form, len(got), err)
		}
	})
}

// FuzzEncodeBody: what is written is read again, and a second implementation agrees.
func FuzzEncodeBody(f *testing.F) {
	f.Add([]byte("hello"), uint16(0), uint16(0))
	f.Add(text(70_000), uint16(0), uint16(8192))
	f.Fuzz(func(t *testing.T, body []byte, more, size uint16) {
		for _, form := range append([]string{"hash"}, forms...) {
			sent := sendBody(t, form, body, 8192+int(more))
			got, err := sent.read(sent.wire, int(size)+1)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s: %d of %d bytes, %v", form, len(got), len(body), err)
			}
			if form != sigv4.StreamingPayload && form != sigv4.StreamingPayloadTrailer {
				continue
			}
			again, ok := secondVerifier(sent.wire, ours.SecretAccessKey.Reveal(), noon.UTC().Format("20060102T150405Z"),
				sent.request.Scope.String(), sent.seed, sent.options.Trailer)
			if !ok || !bytes.Equal(again, body) {
				t.Fatalf("%s: the second implementation does not believe it", form)
			}
		}
	})
}

// BenchmarkBody reads 64 MiB, by 32 KiB as io.Copy does. Compare with BenchmarkBodyFloor, the
// hash alone, which no signed form can do without.
func BenchmarkBody(b *testing.B) {
	const length = 64 << 20
	for name, form := range map[string]struct {
		form  string
		chunk int
	}{
		"plain": {sigv4.UnsignedPayload, 0}, "hash": {"hash", 0}, "signed/64KiB": {sigv4.StreamingPayload, 64 << 10},
		"signed/128KiB": {sigv4.StreamingPayload, 128 << 10}, "signed/trailer": {sigv4.StreamingPayloadTrailer, 64 << 10},
		"unsigned/trailer": {sigv4.StreamingUnsignedTrailer, 64 << 10}, "unsigned/oneChunk": {sigv4.StreamingUnsignedTrailer, length},
	} {
		b.Run(name, func(b *testing.B) {
			sent := sendBody(b, form.form, make([]byte, length), form.chunk)
			buffer := make([]byte, 32<<10)
			b.SetBytes(length)
			b.ReportAllocs()
			for b.Loop() {
				o := sent.options
				if o.Trailer != "" {
					o.Checksum = newCRC32C()
				}
				body, err := sent.request.Body(bytes.NewReader(sent.wire), o)
				for n := 0; err == nil; {
					n, err = body.Read(buffer)
					_ = n
				}
				if err != io.EOF { //nolint:errorlint // the very one
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBodyFloor is what the signed forms and the hash can't do without.
func BenchmarkBodyFloor(b *testing.B) {
	body := make([]byte, 64<<20)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		sigv4.HashPayload(body)
	}
}

// BenchmarkBodySmall is a body of 1 KiB, as most requests have at most.
func BenchmarkBodySmall(b *testing.B) {
	for _, form := range append([]string{"hash"}, forms...) {
		b.Run(form, func(b *testing.B) {
			sent := sendBody(b, form, text(1024), 8192)
			buffer := make([]byte, 32<<10)
			b.ReportAllocs()
			for b.Loop() {
				o := sent.options
				if o.Trailer != "" {
					o.Checksum = newCRC32C()
				}
				body, err := sent.request.Body(bytes.NewReader(sent.wire), o)
				for err == nil {
					_, err = body.Read(buffer)
				}
				if err != io.EOF { //nolint:errorlint // the very one
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBodyOpen is the memory of a body that is half read; goal ≤ 256 KiB a stream, with
// all that is around it.
func BenchmarkBodyOpen(b *testing.B) {
	const streams = 500
	for _, chunk := range []int{64 << 10, 128 << 10, 1 << 20} {
		b.Run(strconv.Itoa(chunk>>10)+"KiB", func(b *testing.B) {
			sent := sendBody(b, sigv4.StreamingPayload, make([]byte, 4*chunk), chunk)
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				open := make([]*sigv4.Body, streams)
				small := make([]byte, 100)
				for i := range open {
					body, err := sent.request.Body(bytes.NewReader(sent.wire), sent.options)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := body.Read(small); err != nil {
						b.Fatal(err)
					}
					open[i] = body
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(open)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/streams, "B/stream")
		})
	}
}

func BenchmarkEncodeBody(b *testing.B) {
	body := make([]byte, 64<<20)
	for _, form := range []string{sigv4.StreamingPayload, sigv4.StreamingUnsignedTrailer} {
		b.Run(form, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			r := signedFor(b, form)
			o := sigv4.EncodeOptions{Form: form, Length: int64(len(body)), Secret: ours.SecretAccessKey}
			if hasTrailer(form) {
				o.Trailer, o.TrailerLength, o.TrailerValue = crc32c, 8, func() string { return "AAAAAA==" }
			}
			for b.Loop() {
				encoded, err := sigv4.EncodeBody(r, bytes.NewReader(body), o)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, encoded, make([]byte, 32<<10)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
