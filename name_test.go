package countersign_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "0", "document-service", "a--b", "a-", strings.Repeat("a", 63)} {
		if !countersign.ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range []string{
		"", "-", "-a", "A", "a_b", "a.b", "a b", "a/b", "a:b", "a`", "a{", "a\n", "ä", "a\x00", "a\xff",
		"http://x", strings.Repeat("a", 64), "sts.amazonaws.com",
	} {
		if countersign.ValidName(name) {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestValidNameDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts allocations
	good, bad := strings.Repeat("a", 63), strings.Repeat("a", 62)+"_"
	if n := testing.AllocsPerRun(100, func() { _ = countersign.ValidName(good) || countersign.ValidName(bad) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzValidName(f *testing.F) {
	for _, name := range []string{"", "a", "-a", "document-service", "a\n", strings.Repeat("a", 64)} {
		f.Add(name)
	}
	grammar := regexp.MustCompile(`\A[a-z0-9][a-z0-9-]{0,62}\z`)
	f.Fuzz(func(t *testing.T, name string) {
		if got := countersign.ValidName(name); got != grammar.MatchString(name) {
			t.Errorf("ValidName(%q) = %t", name, got)
		}
	})
}

func BenchmarkValidName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !countersign.ValidName("document-service") {
			b.Fatal("refused")
		}
	}
}
