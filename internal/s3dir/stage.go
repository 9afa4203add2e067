package s3dir

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag is the MD5 of an object; no security rests on it
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// maxPutBytes is the largest body of PutObject and UploadPart.
const maxPutBytes = 5 << 30

// buffers are what a stream is copied through: all the memory that a write has.
var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// staged is a file that nobody sees yet.
type staged struct {
	d    *Dir
	path string
	file *os.File
	size int64
	md5  string
	sum  []byte // of the algorithm that was asked for; nil = none
	// versioned is set with the version that the file got, and recorded with its record.
	version  version
	recorded string
	done     bool
}

// stage makes an empty file. The caller discards it, also after a commit.
func (d *Dir) stage() (*staged, error) {
	if err := d.step("stage"); err != nil {
		return nil, err
	}
	path := tmpFolder + "/" + rand.Text()
	file, err := d.create(path)
	if err != nil {
		return nil, unusable("the object can't be written", err)
	}
	return &staged{d: d, path: path, file: file}, nil
}

// discard removes what was not committed.
func (s *staged) discard() {
	_ = s.file.Close()
	if s.done {
		return
	}
	_ = s.d.root.Remove(s.path)
	if s.recorded != "" {
		_ = s.d.root.Remove(s.recorded)
	}
}

// expected is what the sender says about a body.
type expected struct {
	length    int64
	md5       []byte // nil = not said
	algorithm s3api.Checksum
	sum       func() ([]byte, error) // its value, once the body has ended; nil = not said
}

// fill writes the body to the file and checks what was said about it. The file is not to be
// committed after an error.
func (s *staged) fill(ctx context.Context, body io.Reader, want expected) error {
	if want.length > maxPutBytes {
		return refuse(s3api.EntityTooLarge, "Your proposed upload exceeds the maximum allowed size.")
	}
	digest := md5.New() //nolint:gosec // see the import
	hashes := []hash.Hash{digest}
	if want.algorithm != "" {
		hashes = append(hashes, want.algorithm.New())
	}
	if body != nil {
		if err := s.copy(ctx, body, want.length, hashes); err != nil {
			return err
		}
	}
	if s.size != want.length {
		return refuse(s3api.IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	}
	s.md5 = hex.EncodeToString(digest.Sum(nil))
	var err error
	s.sum, err = want.check(hashes)
	return err
}

// check compares the hashes of a body, MD5 and that of the algorithm, with what was said. It
// returns the sum of the algorithm.
func (want expected) check(hashes []hash.Hash) ([]byte, error) {
	if want.md5 != nil && string(want.md5) != string(hashes[0].Sum(nil)) {
		return nil, refuse(s3api.BadDigest, "The Content-MD5 you specified did not match what we received.")
	}
	if want.algorithm == "" {
		return nil, nil
	}
	sum := hashes[1].Sum(nil)
	if want.sum == nil {
		return sum, nil
	}
	said, err := want.sum()
	if err != nil {
		return nil, err
	}
	if string(said) != string(sum) {
		return nil, refuse(s3api.BadDigest, "The "+string(want.algorithm)+" you specified did not match what we received.")
	}
	return sum, nil
}

// copy reads the body to its very end: what signs its last bytes is checked there.
func (s *staged) copy(ctx context.Context, body io.Reader, length int64, hashes []hash.Hash) error {
	pooled, _ := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	buffer := *pooled
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := body.Read(buffer)
		if s.size += int64(n); s.size > length {
			return refuse(s3api.IncompleteBody, "The body is longer than its Content-Length.")
		}
		for _, h := range hashes {
			h.Write(buffer[:n])
		}
		if _, writeErr := s.file.Write(buffer[:n]); writeErr != nil {
			return unusable("the object can't be written", writeErr)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
	}
}

// seal gives the file its version, and puts it and its record on the disk: from then on a
// rename makes an object of it.
func (s *staged) seal(rec *record, recordPath func(version) string) error {
	at := s.d.now()
	for pause := time.Nanosecond; s.recorded == ""; pause *= 2 {
		// Two versions of a key never have the same time and size: the record's name is taken
		// by whoever comes first. A file system that rounds times needs larger steps.
		if err := s.d.root.Chtimes(s.path, time.Time{}, at); err != nil {
			return unusable("the object can't be written", err)
		}
		info, err := s.file.Stat()
		if err != nil {
			return unusable("the object can't be written", err)
		}
		s.version = versionOf(info)
		path := recordPath(s.version)
		if err := s.d.step("record"); err != nil {
			return err
		}
		err = rec.write(s.d, path)
		switch {
		case err == nil:
			s.recorded = path
		case !errors.Is(err, fs.ErrExist) || pause > time.Minute:
			return unusable("the record of the object can't be written", err)
		}
		at = at.Add(pause)
	}
	if err := s.d.step("sync record"); err != nil {
		return err
	}
	if err := s.d.syncFolder(folderOf(s.recorded)); err != nil {
		return err
	}
	if err := s.d.step("sync data"); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return unusable("the object can't be written", err)
	}
	return nil
}

// expectedOf reads what the headers of a request say about its body.
func expectedOf(r *s3api.Request) (expected, error) {
	want := expected{length: r.ContentLength}
	if value := r.Header.Get("Content-Md5"); value != "" || r.Header.Values("Content-Md5") != nil {
		sum, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(sum) != md5.Size {
			return want, refuse(s3api.InvalidDigest, "The Content-MD5 you specified is not valid.")
		}
		want.md5 = sum
	}
	algorithm, sum, err := checksumOf(r)
	want.algorithm, want.sum = algorithm, sum
	return want, err
}

// checksumOf finds the one checksum of a body: in a header, or announced behind the body.
func checksumOf(r *s3api.Request) (algorithm s3api.Checksum, value func() ([]byte, error), err error) {
	for _, each := range s3api.Checksums {
		header := r.Header.Get(each.Header())
		if header == "" {
			continue
		}
		sum, ok := each.Decode(header)
		if !ok {
			return "", nil, refuse(s3api.InvalidRequest, "Value for "+each.Header()+" header is invalid.")
		}
		if algorithm != "" {
			return "", nil, refuse(s3api.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		algorithm, value = each, func() ([]byte, error) { return sum, nil }
	}
	if r.Trailer != "" {
		announced, ok := s3api.ChecksumOfHeader(r.Trailer)
		if !ok {
			return "", nil, refuse(s3api.InvalidRequest, "The value specified in the x-amz-trailer header is not supported.")
		}
		if algorithm != "" {
			return "", nil, refuse(s3api.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		algorithm, value = announced, func() ([]byte, error) { return trailerSum(r, announced) }
	}
	named := r.Header.Get("X-Amz-Sdk-Checksum-Algorithm")
	if named == "" {
		return algorithm, value, nil
	}
	if want, ok := s3api.ParseChecksum(named); !ok || want != algorithm {
		return "", nil, refuse(s3api.InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return algorithm, value, nil
}

func trailerSum(r *s3api.Request, algorithm s3api.Checksum) ([]byte, error) {
	if r.TrailerValue != nil {
		if sum, ok := algorithm.Decode(r.TrailerValue()); ok {
			return sum, nil
		}
	}
	return nil, refuse(s3api.InvalidRequest, "Value for "+algorithm.Header()+" trailing header is invalid.")
}
