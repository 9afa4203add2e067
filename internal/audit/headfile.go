package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign/internal/store"
)

// maxHeadFile is the most that is read of a head file, in bytes.
const maxHeadFile = 64 << 10

// headDocument is the head file: JSON, binary values in base64.
type headDocument struct {
	Replica   string    `json:"replica"`
	Seq       int64     `json:"seq"`
	Hash      []byte    `json:"hash"`
	At        time.Time `json:"at"`
	KID       string    `json:"kid"`
	Signature []byte    `json:"signature"`
}

// writeHeadFile replaces the file at path: whoever reads it, also after a crash,
// sees the old head or the new one.
func writeHeadFile(path string, h *store.AuditHead) error {
	text, err := json.Marshal(headDocument(*h))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// errHeadFile: there is a head file, and it is not one that we wrote.
var errHeadFile = errors.New("not a head file")

// readHeadFile returns what the file says, without any trust. A missing file is
// fs.ErrNotExist, a malformed one errHeadFile.
func readHeadFile(path string) (store.AuditHead, error) {
	file, err := os.Open(path)
	if err != nil {
		return store.AuditHead{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxHeadFile))
	if err = errors.Join(err, file.Close()); err != nil {
		return store.AuditHead{}, err
	}
	return parseHeadFile(text)
}

func parseHeadFile(text []byte) (store.AuditHead, error) {
	var doc headDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return store.AuditHead{}, fmt.Errorf("%w: %w", errHeadFile, err)
	}
	if doc.Replica == "" || doc.Seq < 1 {
		return store.AuditHead{}, fmt.Errorf("%w: no replica or no number", errHeadFile)
	}
	return store.AuditHead(doc), nil
}
