package s3api

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func TestChecksumCheckValues(t *testing.T) {
	t.Parallel()
	// The check values of the CRC catalogue, and FIPS 180-4 for the others.
	tests := map[Checksum]string{
		CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888",
		SHA1:   "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	}
	for c, want := range tests {
		h := c.New()
		h.Write([]byte("123456789"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want || h.Size() != c.Size() {
			t.Errorf("%s of 123456789 = %s (%d bytes), want %s", c, got, c.Size(), want)
		}
		if got, ok := ChecksumOfHeader("X-Amz-Checksum-" + string(c)); !ok || got != c {
			t.Errorf("the header of %s is that of %q", c, got)
		}
		if sum, ok := c.Decode(c.Encode(h.Sum(nil))); !ok || hex.EncodeToString(sum) != want {
			t.Errorf("%s doesn't come back from its header", c)
		}
	}
}

func TestChecksumRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "crc", "CRC32 ", "md5", "type", "algorithm"} {
		if c, ok := ParseChecksum(name); ok {
			t.Errorf("%q is %s", name, c)
		}
		if c, ok := ChecksumOfHeader("x-amz-checksum-" + name); ok {
			t.Errorf("header %q is %s", name, c)
		}
	}
	for _, value := range []string{"", "AAAAAA", "AAAAAAA=", "AAAAAB==", "AAAAAA==\n", "AAAAAAAA", "!AAAAA=="} {
		if _, ok := CRC32.Decode(value); ok {
			t.Errorf("%q is a CRC32", value)
		}
	}
}

func TestChecksumCombine(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		whole := make([]byte, random.IntN(5000))
		for i := range whole {
			whole[i] = byte(random.Uint32())
		}
		cut := random.IntN(len(whole) + 1)
		for _, c := range Checksums {
			if !c.Linear() {
				continue
			}
			sum := func(b []byte) []byte { h := c.New(); h.Write(b); return h.Sum(nil) }
			got, want := c.Combine(sum(whole[:cut]), sum(whole[cut:]), int64(len(whole)-cut)), sum(whole)
			if hex.EncodeToString(got) != hex.EncodeToString(want) {
				t.Fatalf("%s of %d + %d bytes = %x, want %x", c, cut, len(whole)-cut, got, want)
			}
		}
	}
}

func FuzzChecksumDecode(f *testing.F) {
	f.Add("AAAAAA==")
	f.Fuzz(func(t *testing.T, value string) {
		for _, c := range Checksums {
			if sum, ok := c.Decode(value); ok && c.Encode(sum) != value {
				t.Errorf("%s: %q reads as %q", c, value, c.Encode(sum))
			}
		}
	})
}
