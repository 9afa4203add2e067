package keys_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

func TestRuleB3ClientSecret(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	seen := map[string]bool{}
	var letters strings.Builder
	for range 200 {
		secret, hash := ring.NewClientSecret()
		text := secret.Reveal()
		if len(text) != 53 || !strings.HasPrefix(text, "csk_") || !keys.WellFormedClientSecret(text) || seen[text] {
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

func TestRuleB3MistypedSecretIsNotWellFormed(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	secret, _ := open(t, cfg).NewClientSecret()
	good := secret.Reveal()
	var bad []string
	for i := range good {
		c := byte('A')
		if good[i] == c {
			c = 'B'
		}
		bad = append(bad, good[:i]+string(c)+good[i+1:], good[:i], good[i+1:])
	}
	bad = append(bad, "", "csk_", good+"0", " "+good, good+"\n", good[:len(good)-1]+"\x00", strings.ToLower(good)+"", "CSK_"+good[4:],
		good[:10]+"é"+good[12:], good[:10]+"-"+good[11:], strings.Repeat("0", 53), "csk_"+strings.Repeat("0", 49))
	swapped := []byte(good)
	for i := 4; i+1 < 47; i++ {
		if swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	bad = append(bad, string(swapped))
	for _, s := range bad {
		if s != good && keys.WellFormedClientSecret(s) {
			t.Errorf("well formed: %d bytes", len(s))
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

func FuzzWellFormedClientSecret(f *testing.F) {
	cfg, _ := newConfig(f)
	secret, _ := open(f, cfg).NewClientSecret()
	for _, s := range []string{"", "csk_", secret.Reveal(), secret.Reveal() + "x", strings.Repeat("é", 30)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !keys.WellFormedClientSecret(s) {
			return
		}
		if len(s) != 53 || !strings.HasPrefix(s, "csk_") || strings.ContainsFunc(s[4:], func(r rune) bool {
			return !strings.ContainsRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", r)
		}) {
			t.Errorf("well formed: %q", s)
		}
	})
}
