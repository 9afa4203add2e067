package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

const (
	// maxLine bounds a line, in bytes: a block of the audit log has 16 MiB of events at
	// most, which escapes may make six times as long.
	maxLine = 128 << 20
	// maxHeader bounds the header's.
	maxHeader = 4 << 10
)

// File is a backup that was looked through: whole and undamaged. That the right one wrote it
// [File.Authentic] tells.
type File struct {
	Header Header
	Rows   int64
	from   io.ReadSeeker
	seal   seal
}

// Open reads r from its beginning to its end.
//
// Errors: countersign.Invalid (not a backup, cut, damaged, or of another version),
// countersign.Unavailable (it can't be read).
func Open(r io.ReadSeeker) (*File, error) {
	f := &File{from: r}
	sum := sha256.New()
	err := f.walk(sum, func(tableLine) error { return nil }, func([]any) error { f.Rows++; return nil })
	if err != nil {
		return nil, err
	}
	if f.seal.Rows != f.Rows || f.seal.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return nil, damaged("its checksum does not fit", nil)
	}
	return f, nil
}

// Authentic reports whether a server with this master key wrote the backup, and nobody has
// changed it.
//
// Errors: as [Open].
func (f *File) Authentic(m *keys.Master) (bool, error) {
	mac := newMAC(m, f.Header.Deployment)
	if err := f.walk(mac, func(tableLine) error { return nil }, func([]any) error { return nil }); err != nil {
		return false, err
	}
	said, err := hex.DecodeString(f.seal.MAC)
	return err == nil && hmac.Equal(said, mac.Sum(nil)), nil
}

// Source gives the rows to a sink: store.DumpSource. What it gives is checked again.
//
// Errors: as [Open], and those of the sink.
func (f *File) Source(_ context.Context, sink store.DumpSink) error {
	sum := sha256.New()
	err := f.walk(sum, func(t tableLine) error { return sink.Table(t.Table, t.Columns) }, sink.Row)
	if err == nil && f.seal.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
		return damaged("it changed while it was read", nil)
	}
	return err
}

// walk reads the whole file. It writes every line but the last one to sum.
func (f *File) walk(sum hash.Hash, table func(tableLine) error, row func([]any) error) error {
	if _, err := f.from.Seek(0, io.SeekStart); err != nil {
		return unreadable(err)
	}
	packed, err := gzip.NewReader(bufio.NewReaderSize(f.from, 64<<10))
	if err != nil {
		return damaged("it is not one", err)
	}
	lines := &lineReader{from: bufio.NewReaderSize(packed, 64<<10)}
	text, err := lines.next(maxHeader)
	if err != nil {
		return damaged("it has no header", err)
	}
	if err := f.header(text); err != nil {
		return err
	}
	for {
		sum.Write(text)
		if text, err = lines.next(maxLine); err != nil {
			return damaged("it was cut", err)
		}
		if text[0] == '[' {
			values, err := parseRow(text)
			if err != nil {
				return damaged("a row can't be read", err)
			}
			if err := row(values); err != nil {
				return err
			}
			continue
		}
		head, end, err := parseMark(text)
		switch {
		case err != nil:
			return damaged("a line can't be read", err)
		case end != nil:
			f.seal = *end
			return lines.end()
		}
		if err := table(head); err != nil {
			return err
		}
	}
}

func (f *File) header(text []byte) error {
	var h Header
	if err := strict(text, &h); err != nil || h.Format != Format {
		return damaged("it is not one", err)
	}
	if h.Version != Version {
		return countersign.NewError(countersign.Invalid, countersign.ReasonBodyInvalid,
			fmt.Sprintf("the backup has form %d, and this program reads form %d", h.Version, Version))
	}
	if h.Deployment == "" || h.Schema < 1 {
		return damaged("its header can't be read", nil)
	}
	f.Header = h
	return nil
}

// parseMark reads the beginning of a table, or the end.
func parseMark(text []byte) (tableLine, *seal, error) {
	var mark struct {
		tableLine
		endLine
	}
	if err := strict(text, &mark); err != nil {
		return tableLine{}, nil, err
	}
	if (mark.End == nil) == (mark.Table == "") {
		return tableLine{}, nil, errors.New("neither a table nor the end")
	}
	return mark.tableLine, mark.End, nil
}

// parseRow reads the cells of a row.
func parseRow(text []byte) ([]any, error) {
	var cells []json.RawMessage
	if err := strict(text, &cells); err != nil {
		return nil, err
	}
	values := make([]any, len(cells))
	for i, cell := range cells {
		var err error
		switch {
		case string(cell) == "null":
		case cell[0] == '"':
			var s string
			err = json.Unmarshal(cell, &s)
			values[i] = s
		case cell[0] == '{':
			var b bytesValue
			err = strict(cell, &b)
			if b.B == nil {
				b.B = []byte{}
			}
			values[i] = b.B
		default:
			var n int64
			err = json.Unmarshal(cell, &n)
			values[i] = n
		}
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// lineReader gives one line at a time, with its end.
type lineReader struct {
	from *bufio.Reader
	line []byte
}

var errLine = errors.New("a line is empty, too long or not ended")

func (l *lineReader) next(limit int) ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, err := l.from.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case len(l.line) > limit:
			return nil, errLine
		case err == nil && len(l.line) > 1:
			return l.line, nil
		case err == nil:
			return nil, errLine
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// end makes sure that nothing follows.
func (l *lineReader) end() error {
	if _, err := l.from.ReadByte(); !errors.Is(err, io.EOF) {
		return damaged("something follows its end", err)
	}
	return nil
}

func damaged(why string, cause error) error {
	return countersign.WrapError(countersign.Invalid, countersign.ReasonBodyInvalid, "this is not a whole backup: "+why, cause)
}

func unreadable(cause error) error {
	return countersign.WrapError(countersign.Unavailable, "", "the backup can't be read", cause)
}
