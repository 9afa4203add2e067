package keys_test

import (
	"bytes"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// base62 is number in six letters, most significant first: what a scanner compares with.
func base62(number uint32) string {
	text := new(big.Int).SetUint64(uint64(number)).Text(62)
	// big.Int counts 0-9a-zA-Z, we count 0-9A-Za-z.
	swapped := strings.Map(func(c rune) rune {
		switch {
		case unicode.IsUpper(c):
			return unicode.ToLower(c)
		case unicode.IsLower(c):
			return unicode.ToUpper(c)
		}
		return c
	}, text)
	return strings.Repeat("0", 6-len(swapped)) + swapped
}

func TestRuleB3ClientSecret(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	form := regexp.MustCompile(`\Acsk_[0-9A-Za-z]{49}\z`)
	seen := map[string]bool{}
	var letters strings.Builder
	for range 200 {
		secret, hash := ring.NewClientSecret()
		text := secret.Reveal()
		if !form.MatchString(text) || text[47:] != base62(crc32.ChecksumIEEE([]byte(text[:47]))) || seen[text] {
			t.Fatal("a new secret has not our form, or came twice")
		}
		seen[text] = true
		again := ring.HashClientSecret(text)
		if !bytes.Equal(hash, again[:]) {
			t.Fatal("the hash of a new secret is not that of HashClientSecret")
		}
		letters.WriteString(text[4:47])
	}
	// 8600 letters: each of 62 turns up about 139 times.
	for _, c := range "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		if n := strings.Count(letters.String(), string(c)); n < 70 || n > 230 {
			t.Errorf("letter %q came %d times of 8600", c, n)
		}
	}
}

func TestClientSecretHashIsKeyed(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	other, _ := newConfig(t)
	a, b := open(t, cfg), open(t, other)
	for _, s := range []string{"", "a", "csk_a", strings.Repeat("x", 106), strings.Repeat("x", 107), strings.Repeat("x", 5000)} {
		if a.HashClientSecret(s) == b.HashClientSecret(s) {
			t.Error("two master keys give one hash")
		}
		if a.HashClientSecret(s) != open(t, cfg).HashClientSecret(s) {
			t.Error("the hash changed by reopening")
		}
		if a.HashClientSecret(s) == a.HashClientSecret(s+"\x00") {
			t.Error("two secrets have one hash")
		}
	}
}

func TestHashClientSecretDoesNotAllocate(t *testing.T) {
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	secret, _ := ring.NewClientSecret()
	text := secret.Reveal()
	var sum [32]byte
	if n := testing.AllocsPerRun(1000, func() { sum = ring.HashClientSecret(text) }); n > 0.1 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	_ = sum
}
