package tokensource_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

func jwt(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// tokenFile is a file whose changes are seen whatever the file system's clock shows.
type tokenFile struct {
	t    *testing.T
	path string
	age  int
}

func (f *tokenFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.age++
	at := time.Unix(1_700_000_000+int64(f.age), 0)
	if err := os.Chtimes(f.path, at, at); err != nil {
		f.t.Fatal(err)
	}
}

func TestFileFollowsTheFile(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	file := &tokenFile{t: t, path: filepath.Join(t.TempDir(), "token")}
	source := &tokensource.File{Path: file.path, Now: func() time.Time { return now }}

	_, err := source.Token(t.Context(), "a")
	wantCode(t, err, countersign.Unavailable)

	first := jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix()+100))
	file.write(first + "\n")
	_, err = source.Token(t.Context(), "a")
	wantCode(t, err, countersign.Unavailable) // it looks every 5 s
	now = now.Add(5 * time.Second)
	got := mustToken(t, source, "a")
	if got.Value.Reveal() != first || got.ExpiresAt.Unix() != 1_800_000_100 {
		t.Errorf("token %q until %v", got.Value.Reveal(), got.ExpiresAt)
	}
	second := jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix()+1000))
	file.write(second)
	if got := mustToken(t, source, "b").Value.Reveal(); got != first {
		t.Errorf("looked again at once: %q", got)
	}
	now = now.Add(5 * time.Second)
	if got := mustToken(t, source, "b").Value.Reveal(); got != second {
		t.Errorf("token %q, want the second", got)
	}

	// Broken or missing: the last one until it ends.
	for _, bad := range []string{"", "two words", "a,b", strings.Repeat("x", 20<<10)} {
		file.write(bad)
		now = now.Add(5 * time.Second)
		if got := mustToken(t, source, "b").Value.Reveal(); got != second {
			t.Errorf("token %q, want the last good one", got)
		}
	}
	if err := os.Remove(file.path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5 * time.Second)
	mustToken(t, source, "b")
	now = time.Unix(1_800_001_005, 0)
	_, err = source.Token(t.Context(), "b")
	wantCode(t, err, countersign.Expired)
	// Expired: it looks at once, not only every 5 s.
	third := jwt(`{"exp":1900000000}`)
	file.write(third)
	if got := mustToken(t, source, "b").Value.Reveal(); got != third {
		t.Errorf("token %q, want the third", got)
	}
}

func TestFileForOneAudience(t *testing.T) {
	t.Parallel()
	file := &tokenFile{t: t, path: filepath.Join(t.TempDir(), "token")}
	file.write("opaque")
	source := &tokensource.File{Path: file.path, Audience: "a"}
	if got := mustToken(t, source, "a"); !got.ExpiresAt.IsZero() {
		t.Errorf("an opaque token ends at %v", got.ExpiresAt)
	}
	for _, audience := range []string{"b", "", "A"} {
		_, err := source.Token(t.Context(), audience)
		wantCode(t, err, countersign.BadTarget)
	}
}

func TestFileExpiry(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]int64{
		`{"exp":1800000000}`:   1_800_000_000,
		`{"exp":1800000000.9}`: 1_800_000_000,
		`{"exp":1.8e9}`:        1_800_000_000,
		`{"exp":-1}`:           1,
		`{"exp":1e300}`:        1,
		`{"exp":"1800000000"}`: time.Time{}.Unix(),
		`{"exp":null}`:         time.Time{}.Unix(),
		`{}`:                   time.Time{}.Unix(),
		`no json`:              time.Time{}.Unix(),
	} {
		file := &tokenFile{t: t, path: filepath.Join(t.TempDir(), "token")}
		file.write(jwt(payload))
		source := &tokensource.File{Path: file.path, Now: func() time.Time { return time.Unix(0, 0) }}
		if got := mustToken(t, source, "a").ExpiresAt.Unix(); got != want {
			t.Errorf("%s ends at %d, want %d", payload, got, want)
		}
	}
}
