package backup

import (
	"bufio"
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
	"time"

	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

const (
	// Format is the first word of every backup.
	Format = "countersign backup"
	// Version is that of the form that is written. Others are refused.
	Version = 1

	labelMAC = "backup/v1"
)

// Header is the first line.
type Header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Deployment is the id of the deployment, to which its secrets are bound.
	Deployment string `json:"deployment_id"`
	// Schema is the version of the database's schema.
	Schema    int64     `json:"schema"`
	CreatedAt time.Time `json:"created_at"`
	// Program is the version of Countersign that wrote it.
	Program string `json:"program"`
}

// tableLine begins a table.
type tableLine struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// endLine is the last line.
type endLine struct {
	End *seal `json:"end"`
}

type seal struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
	MAC    string `json:"mac"`
}

// bytesValue is how bytes are written.
type bytesValue struct {
	B []byte `json:"b"`
}

// Source is what a backup is made of. All fields are required.
type Source struct {
	Store      store.Dumper
	Master     *keys.Master
	Deployment string
	Program    string
	Now        func() time.Time
}

// Write writes a backup to w and returns how many rows it has.
//
// Errors: those of the store and of w. What w has then is not a whole backup, and [Open]
// refuses it.
func Write(ctx context.Context, w io.Writer, from Source) (rows int64, err error) {
	packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return 0, fmt.Errorf("pack: %w", err)
	}
	buffered := bufio.NewWriterSize(packed, 64<<10)
	out := &writer{sum: sha256.New(), mac: newMAC(from.Master, from.Deployment)}
	out.to = io.MultiWriter(buffered, out.sum, out.mac)
	err = from.Store.Dump(ctx, func(schema int64) (store.DumpSink, error) {
		return out, out.line(Header{
			Format: Format, Version: Version, Deployment: from.Deployment, Schema: schema,
			CreatedAt: from.Now().UTC().Truncate(time.Second), Program: from.Program,
		})
	})
	if err != nil {
		return 0, err //nolint:wrapcheck // it has its words
	}
	end := endLine{&seal{Rows: out.rows, SHA256: hex.EncodeToString(out.sum.Sum(nil)), MAC: hex.EncodeToString(out.mac.Sum(nil))}}
	if err := errors.Join(out.line(end), buffered.Flush(), packed.Close()); err != nil {
		return 0, err
	}
	return out.rows, nil
}

func newMAC(m *keys.Master, deployment string) hash.Hash {
	return hmac.New(sha256.New, m.Derive(labelMAC, deployment))
}

// writer is the sink of a dump.
type writer struct {
	to       io.Writer
	sum, mac hash.Hash
	rows     int64
	cells    []any
}

// Table implements store.DumpSink.
func (w *writer) Table(name string, columns []string) error { return w.line(tableLine{name, columns}) }

// Row implements store.DumpSink.
func (w *writer) Row(values []any) error {
	w.cells = w.cells[:0]
	for _, value := range values {
		switch v := value.(type) {
		case nil, int64, string:
			w.cells = append(w.cells, v)
		case []byte:
			w.cells = append(w.cells, bytesValue{v})
		default:
			return fmt.Errorf("a value of type %T can't be written", value)
		}
	}
	w.rows++
	return w.line(w.cells)
}

func (w *writer) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	_, err = w.to.Write(append(text, '\n'))
	return err
}
