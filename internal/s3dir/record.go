package s3dir

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// record is what S3 keeps of an object besides its bytes. On disk it is a line of JSON, and
// for an object of several parts a second one.
type record struct {
	Key  string `json:"key"`
	ETag string `json:"etag"` // without quotes
	// Headers by their canonical names, Meta by the part of the name behind x-amz-meta-.
	Headers map[string]string `json:"headers,omitempty"`
	Meta    map[string]string `json:"meta,omitempty"`
	Tags    []tag             `json:"tags,omitempty"`
	Class   string            `json:"class,omitempty"` // "" is STANDARD
	// Sum is the value as its header has it.
	Algorithm s3api.Checksum `json:"algorithm,omitempty"`
	Sum       string         `json:"sum,omitempty"`
	SumType   string         `json:"sum_type,omitempty"`
	PartCount int            `json:"part_count,omitempty"`

	parts []partRecord // read only where they are asked for
}

// partRecord is a part of an object that was uploaded in parts.
type partRecord struct {
	Number int    `json:"n"`
	Size   int64  `json:"size"`
	Sum    string `json:"sum,omitempty"`
}

// version tells the versions of a key's file apart: a record belongs to a file of this size
// and time. The time of an object that is written here is its own, to the nanosecond, so that
// no two have the same; and both come through a backup. Who changes a file by hand changes
// its version, and the record of the old one says nothing about it.
type version struct {
	time int64 // in ns
	size int64
}

func versionOf(info fs.FileInfo) version { return version{info.ModTime().UnixNano(), info.Size()} }

func (v version) String() string {
	return strconv.FormatInt(v.time, 10) + "." + strconv.FormatInt(v.size, 10)
}

func (v version) modified() time.Time { return time.Unix(0, v.time).UTC().Truncate(time.Second) }

// recordPath is where the record of a version of a key lies.
func recordPath(key string, v version) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:20])
	return metaFolder + "/" + name[:2] + "/" + name[2:] + "." + v.String()
}

// readRecord reads the record at the path.
//
// Errors: fs.ErrNotExist.
func (d *Dir) readRecord(path string, withParts bool) (*record, error) {
	file, err := d.root.Open(path)
	if err != nil {
		return nil, absent(err)
	}
	defer file.Close() //nolint:errcheck // read only
	reader := bufio.NewReader(file)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read the record of an object: %w", err)
	}
	rec := new(record)
	if err := json.Unmarshal(line, rec); err != nil {
		return nil, fmt.Errorf("read the record of an object: %w", err)
	}
	if rec.PartCount == 0 || !withParts {
		return rec, nil
	}
	if err := json.NewDecoder(reader).Decode(&rec.parts); err != nil {
		return nil, fmt.Errorf("read the parts of an object: %w", err)
	}
	return rec, nil
}

// write writes the record to a file that is not there yet, and makes its bytes durable. The
// folder is the caller's to sync.
//
// Errors: fs.ErrExist.
func (rec *record) write(d *Dir, path string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	if err := encoder.Encode(rec); err != nil {
		return err
	}
	if rec.PartCount > 0 {
		if err := encoder.Encode(rec.parts); err != nil {
			return err
		}
	}
	file, err := d.create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, &text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = d.root.Remove(path)
	}
	return err
}

// create makes a file that is not there yet. Of the folders that it may lie in, those of
// records are made as they are needed.
func (d *Dir) create(path string) (*os.File, error) {
	const flags = os.O_CREATE | os.O_EXCL | os.O_RDWR
	file, err := d.root.OpenFile(path, flags, filePerm)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(path, metaFolder+"/") {
		return file, err
	}
	if err := d.makeRecordFolder(path); err != nil {
		return nil, err
	}
	return d.root.OpenFile(path, flags, filePerm)
}

func (d *Dir) makeRecordFolder(path string) error {
	err := d.root.Mkdir(folderOf(path), folderPerm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, d.syncFolder(metaFolder))
}
