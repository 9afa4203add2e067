package sigv4_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/sigv4"
)

// mutations are wire with one thing wrong, at every place.
func mutations(wire []byte, visit func(what string, mutant []byte)) {
	for at := range wire {
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			mutant := slices.Clone(wire)
			mutant[at] ^= flip
			visit(fmt.Sprintf("byte %d flipped by %#x", at, flip), mutant)
		}
		visit(fmt.Sprintf("without byte %d", at), slices.Delete(slices.Clone(wire), at, at+1))
		visit(fmt.Sprintf("byte %d twice", at), slices.Insert(slices.Clone(wire), at, wire[at]))
		visit(fmt.Sprintf("ends at %d", at), wire[:at])
	}
	visit("a byte behind", append(slices.Clone(wire), 'x'))
	visit("a line end behind", append(slices.Clone(wire), "\r\n"...))
	visit("twice", append(slices.Clone(wire), wire...))
}

// Vulnerability 45 (CVE-2021-21390, CVE-2022-35919): a chunk that somebody changed on the way.
// Whatever changes, in any form: all of the body as it was signed, or an error before its last
// byte. Of signed chunks not one wrong byte is yielded.
func TestVulnerability45ChangedOnTheWay(t *testing.T) {
	t.Parallel()
	body := text(8192 + 40)
	for _, form := range []string{sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer, sigv4.StreamingUnsignedTrailer, "hash"} {
		sent := sendBody(t, form, body, 8192)
		wire := sent.wire
		signed := form == sigv4.StreamingPayload || form == sigv4.StreamingPayloadTrailer
		visit := func(what string, mutant []byte) {
			got, err := sent.read(mutant, 4096)
			switch {
			case err == nil && !bytes.Equal(got, body):
				t.Errorf("%s, %s: %d bytes that were not sent", form, what, len(got))
			case err != nil && len(got) >= len(body):
				t.Errorf("%s, %s: all was yielded, then %v", form, what, err)
			case err != nil && signed && !bytes.Equal(got, body[:len(got)]):
				t.Errorf("%s, %s: a wrong byte was yielded", form, what)
			case err != nil && signed && len(got)%8192 != 0 && len(got)%4096 != 0:
				t.Errorf("%s, %s: %d bytes of a chunk were yielded", form, what, len(got))
			}
		}
		// The middle of a chunk is like its ends: 8 KiB of them would take a minute.
		head := wire
		if len(wire) > 600 {
			mutations(wire[:300], func(what string, mutant []byte) { visit(what, append(mutant, wire[300:]...)) })
			head = wire[len(wire)-600:]
		}
		mutations(head, func(what string, mutant []byte) {
			visit(what+" of the end", append(slices.Clone(wire[:len(wire)-len(head)]), mutant...))
		})
	}
}

// What is signed is a chain: chunks in another order, left out, repeated or from another request
// are not it.
func TestVulnerability45ChunksOfOthers(t *testing.T) {
	t.Parallel()
	body := text(3 * 8192)
	for _, form := range []string{sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer} {
		sent := sendBody(t, form, body, 8192)
		line := len("2000;chunk-signature=") + 64 + 2
		var chunks [][]byte
		for i := range 3 {
			chunks = append(chunks, sent.wire[i*(line+8194):(i+1)*(line+8194)])
		}
		end := sent.wire[3*(line+8194):]
		for what, order := range map[string][]int{
			"swapped": {1, 0, 2}, "one left out": {0, 2}, "one twice": {0, 0, 1, 2}, "the first is the last": {1, 2, 0}, "none": {},
		} {
			var wire []byte
			for _, i := range order {
				wire = append(wire, chunks[i]...)
			}
			wire = append(wire, end...)
			got, err := sent.read(wire, 1<<20)
			if err == nil || !bytes.HasPrefix(body, got) {
				t.Errorf("%s, %s: %d bytes, %v", form, what, len(got), err)
			}
			short := sent
			short.options.DecodedLength = int64(8192 * len(order))
			if got, err = short.read(wire, 1<<20); err == nil {
				t.Errorf("%s, %s, and a length that fits: %d bytes, %v", form, what, len(got), err)
			}
		}
		// A request with another seed, whose chunks have the same data.
		other := sendBody(t, map[string]string{
			sigv4.StreamingPayload: sigv4.StreamingPayloadTrailer, sigv4.StreamingPayloadTrailer: sigv4.StreamingPayload,
		}[form], body, 8192)
		if got, err := sent.read(append(slices.Clone(other.wire[:len(other.wire)/2]), sent.wire[len(sent.wire)/2:]...), 1<<20); err == nil || len(got) > 0 {
			t.Errorf("%s, chunks of another request: %d bytes, %v", form, len(got), err)
		}
	}
}

// Vulnerability 38 (CVE-2025-31489): whoever has no secret gets no body of signed chunks
// through, and the form of a request can't be changed.
func TestVulnerability38WrongSecret(t *testing.T) {
	t.Parallel()
	for _, form := range []string{sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer} {
		for _, length := range []int{0, 1, 9000} {
			sent := sendBody(t, form, text(length), 8192)
			sent.options.Secret = theirSecret
			if got, err := sent.read(sent.wire, 4096); err == nil || len(got) > 0 {
				t.Errorf("%s of %d bytes with another secret: %d bytes, %v", form, length, len(got), err)
			}
			plain := sendBody(t, sigv4.StreamingUnsignedTrailer, text(length), 8192)
			sent.options.Secret = plain.options.Secret
			if got, err := sent.read(plain.wire, 4096); err == nil || len(got) > 0 {
				t.Errorf("%s of %d bytes, and the chunks are not signed: %d bytes, %v", form, length, len(got), err)
			}
		}
	}
}

// secondVerifier reads a whole signed body in one go, after the text of AWS's documentation and
// with none of the package's code.
func secondVerifier(wire []byte, secret, date, scope, seed, trailerName string) ([]byte, bool) {
	hash := func(data []byte, key []byte) []byte {
		if key == nil {
			sum := sha256.Sum256(data)
			return sum[:]
		}
		m := hmac.New(sha256.New, key)
		m.Write(data)
		return m.Sum(nil)
	}
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = hash([]byte(part), key)
	}
	previous := seed
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	matches := func(kind, middle string, data []byte, signature string) bool {
		text := strings.Join([]string{kind, date, scope, previous}, "\n") + "\n" + middle + hex.EncodeToString(hash(data, nil))
		previous = signature
		return hex.EncodeToString(hash([]byte(text), key)) == signature
	}
	rest := string(wire)
	var body []byte
	for {
		head, after, ok := strings.Cut(rest, "\r\n")
		digits, signature, found := strings.Cut(head, ";chunk-signature=")
		var size int
		if _, err := fmt.Sscanf(digits, "%x", &size); !ok || !found || err != nil || len(after) < size+2 || size < 0 {
			return nil, false
		}
		data := after[:size]
		if !matches("AWS4-HMAC-SHA256-PAYLOAD", empty+"\n", []byte(data), signature) {
			return nil, false
		}
		if size == 0 {
			rest = after
			break
		}
		if body, rest = append(body, data...), after[size+2:]; after[size:size+2] != "\r\n" {
			return nil, false
		}
	}
	if trailerName != "" {
		line, after, _ := strings.Cut(rest, "\r\n")
		signature, last, _ := strings.Cut(after, "\r\n")
		signature, ok := strings.CutPrefix(signature, "x-amz-trailer-signature:")
		if !ok || !strings.HasPrefix(line, trailerName+":") || !matches("AWS4-HMAC-SHA256-TRAILER", "", []byte(line+"\n"), signature) {
			return nil, false
		}
		if line != trailerName+":"+crc32cOf(body) {
			return nil, false
		}
		rest = last
	}
	return body, rest == "\r\n"
}

// The reader, the writer and a second implementation agree: on what is right, and on what is
// wrong when random bytes of it change.
func TestBodyDifferential(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		form := []string{sigv4.StreamingPayload, sigv4.StreamingPayloadTrailer}[i%2]
		body := text(random.IntN(40_000))
		sent := sendBody(t, form, body, 8192+random.IntN(20_000))
		second := func(wire []byte) ([]byte, bool) {
			return secondVerifier(wire, ours.SecretAccessKey.Reveal(), noon.UTC().Format("20060102T150405Z"), sent.request.Scope.String(),
				sent.seed, sent.options.Trailer)
		}
		if got, ok := second(sent.wire); !ok || !bytes.Equal(got, body) {
			t.Fatalf("%s: the second implementation does not believe %d bytes", form, len(body))
		}
		for range 10 {
			mutant := slices.Clone(sent.wire)
			for range 1 + random.IntN(2) {
				mutant[random.IntN(len(mutant))] = byte(random.IntN(256))
			}
			got, err := sent.read(mutant, 32<<10)
			want, ok := second(mutant)
			if ok && len(want) != len(body) {
				ok = false // it knows nothing of the decoded length
			}
			if (err == nil) != ok || ok && !bytes.Equal(got, want) {
				t.Fatalf("%s: %v here, %t there", form, err, ok)
			}
		}
	}
}
