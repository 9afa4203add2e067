package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/backup"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

func master(t testing.TB, seed byte) *keys.Master {
	t.Helper()
	m, err := keys.ParseMaster(base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{seed}, 31), 0)))
	must(t, err)
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// given is a dump that is fixed.
type given struct {
	tables []string
	rows   [][]any
}

func (g given) Dump(_ context.Context, begin func(int64) (store.DumpSink, error)) error {
	sink, err := begin(4)
	if err != nil {
		return err
	}
	for _, table := range g.tables {
		if err := sink.Table(table, []string{"a", "b", "c"}); err != nil {
			return err
		}
		for _, row := range g.rows {
			if err := sink.Row(row); err != nil {
				return err
			}
		}
	}
	return nil
}

type taken struct {
	tables []string
	rows   [][]any
}

func (k *taken) Table(name string, columns []string) error {
	k.tables = append(k.tables, name+strings.Join(columns, "+"))
	return nil
}

func (k *taken) Row(values []any) error { k.rows = append(k.rows, values); return nil }

var some = given{tables: []string{"meta", "service"}, rows: [][]any{
	{"text", int64(-1 << 63), []byte{0, 255}}, {"<é\n\"\u2028>", int64(1<<63 - 1), []byte{}}, {"", int64(0), nil},
}}

func write(t testing.TB, from store.Dumper) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := backup.Write(t.Context(), &out, backup.Source{
		Store: from, Master: master(t, 1), Deployment: "d1", Program: "test", Now: func() time.Time { return time.Unix(1e9, 5) },
	})
	must(t, err)
	return out.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	f, err := backup.Open(bytes.NewReader(write(t, some)))
	must(t, err)
	want := backup.Header{Format: backup.Format, Version: 1, Deployment: "d1", Schema: 4, CreatedAt: time.Unix(1e9, 0).UTC(), Program: "test"}
	if diff := cmp.Diff(want, f.Header); diff != "" || f.Rows != 6 {
		t.Error(f.Rows, diff)
	}
	got := new(taken)
	must(t, f.Source(t.Context(), got))
	if diff := cmp.Diff(append(some.rows, some.rows...), got.rows); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"metaa+b+c", "servicea+b+c"}, got.tables); diff != "" {
		t.Error(diff)
	}
	if m, err := f.Check(nil, master(t, 2), master(t, 1)); err != nil || m == nil {
		t.Error(err)
	}
	if _, err := f.Check(master(t, 2), nil); !errors.Is(err, countersign.Invalid) {
		t.Errorf("another master key: %v", err)
	}
}

func unpack(t testing.TB, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, err)
	return string(text)
}

func pack(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(text))
	must(t, errors.Join(err, w.Close()))
	return out.Bytes()
}

// Every cut and every other byte is noticed before a row is used.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	whole := unpack(t, write(t, some))
	refused := func(name, text string) {
		t.Helper()
		f, err := backup.Open(bytes.NewReader(pack(t, text)))
		if err == nil {
			// What the checksum does not cover is the last line: then the key tells.
			if ok, err := f.Authentic(master(t, 1)); err == nil && ok && text != whole {
				t.Errorf("%s is taken", name)
			}
			return
		}
		if !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range whole {
		if i < len(whole)-1 { // without the last line break it says the same
			refused("cut", whole[:i])
		}
		changed := []byte(whole)
		changed[i] ^= 1
		refused("a changed byte", string(changed))
	}
	lines := strings.SplitAfter(whole, "\n")
	refused("a row less", strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""))
	refused("more behind the end", whole+"[]\n")
	refused("an empty line", "\n"+whole)
	refused("nothing", "")
	packed := write(t, some)
	for i := range packed[:len(packed)-1] {
		if _, err := backup.Open(bytes.NewReader(packed[:i])); !errors.Is(err, countersign.Invalid) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, err := backup.Open(bytes.NewReader(pack(t, strings.Replace(whole, `"version":1`, `"version":2`, 1)))); !errors.Is(err, countersign.Invalid) {
		t.Error("another version is taken")
	}
}

// Who has no master key can make the checksum fit, and nothing more.
func TestForgeryIsFound(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	_, err := backup.Write(t.Context(), &out, backup.Source{Store: some, Master: master(t, 2), Deployment: "d1", Program: "test", Now: time.Now})
	must(t, err)
	f, err := backup.Open(bytes.NewReader(out.Bytes()))
	must(t, err)
	if _, err := f.Check(master(t, 1)); !errors.Is(err, countersign.Invalid) {
		t.Errorf("another server's backup: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Dump(_ context.Context, begin func(int64) (store.DumpSink, error)) error {
	sink, err := begin(4)
	return errors.Join(err, sink.Table("meta", []string{"a"}), f.err)
}

func TestWriteThatFailsIsNoBackup(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	broken := errors.New("broken")
	_, err := backup.Write(t.Context(), &out, backup.Source{Store: failing{broken}, Master: master(t, 1), Deployment: "d1", Now: time.Now})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, err := backup.Open(bytes.NewReader(out.Bytes())); !errors.Is(err, countersign.Invalid) {
		t.Errorf("got %v, want Invalid", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(unpack(f, write(f, some)))
	f.Add(`{"format":"countersign backup","version":1,"deployment_id":"d","schema":1}` + "\n" + `{"end":{"rows":0}}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		opened, err := backup.Open(bytes.NewReader(pack(t, text)))
		if err != nil {
			if !errors.Is(err, countersign.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if err := opened.Source(t.Context(), new(taken)); err != nil {
			t.Error(err)
		}
	})
}
