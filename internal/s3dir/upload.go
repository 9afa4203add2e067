package s3dir

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// sumOfParts is the type of a checksum over the checksums of an object's parts.
const sumOfParts = "COMPOSITE"

// An upload is a folder with the file uploadName, which holds what the object will be, and
// a file for each part, called by its number, with a record beside it.
const uploadName = "upload"

// completeName is the file in it that is locked by who completes it.
const completeName = "complete.lock"

// upload is what is known of a multipart upload from its start. In its record, Algorithm and
// SumType are those that were chosen.
type upload struct {
	record
	ID        string    `json:"id"`
	Initiated time.Time `json:"initiated"`
}

// uploadIDBytes: the time in ns, so that ids are in the order of their start, and a random part.
const uploadIDBytes = 8 + 16

func (d *Dir) newUploadID() string {
	id := make([]byte, uploadIDBytes)
	binary.BigEndian.PutUint64(id, uint64(d.now().UnixNano()))
	_, _ = rand.Read(id[8:])
	return hex.EncodeToString(id)
}

func checkUploadID(id string) error {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != uploadIDBytes || hex.EncodeToString(raw) != id {
		return noSuchUpload()
	}
	return nil
}

func noSuchUpload() error {
	return refuse(s3api.NoSuchUpload, "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
}

// createMultipartUpload answers CreateMultipartUpload.
//
// Source: Amazon S3 API reference, CreateMultipartUpload.
func (d *Dir) createMultipartUpload(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	rec, err := recordOf(r.Key, r.Header)
	if err != nil {
		return nil, err
	}
	u := &upload{record: *rec, ID: d.newUploadID(), Initiated: d.now().UTC().Truncate(time.Second)}
	if u.Algorithm, u.SumType, err = uploadSum(r.Header); err != nil {
		return nil, err
	}
	if err := d.admitUpload(ctx); err != nil {
		return nil, err
	}
	if err := d.writeUpload(u); err != nil {
		d.uploads.ended()
		return nil, unusable("the upload can't be started", err)
	}
	response, err := xmlResponse(struct {
		XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
		Xmlns       string   `xml:"xmlns,attr"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}{Xmlns: xmlns, Bucket: d.bucket, Key: r.Key, UploadID: u.ID})
	if err == nil && u.Algorithm != "" {
		response.Header.Set("X-Amz-Checksum-Algorithm", string(u.Algorithm))
		response.Header.Set("X-Amz-Checksum-Type", u.SumType)
	}
	return response, err
}

// uploadSum reads which checksum an object of parts gets.
//
// Source: Amazon S3 User Guide, "Checking object integrity for data uploads", its table of types.
func uploadSum(h http.Header) (s3api.Checksum, string, error) {
	name, kind := h.Get("X-Amz-Checksum-Algorithm"), h.Get("X-Amz-Checksum-Type")
	if name == "" {
		if kind != "" {
			return "", "", refuse(s3api.InvalidRequest, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return "", "", nil
	}
	algorithm, ok := s3api.ParseChecksum(name)
	if !ok {
		return "", "", refuse(s3api.InvalidRequest, "Checksum algorithm provided is unsupported.")
	}
	if kind == "" {
		kind = sumOfParts
		if algorithm == s3api.CRC64NVME {
			kind = sumOfWhole
		}
	}
	if kind != sumOfParts && kind != sumOfWhole || kind == sumOfWhole && !algorithm.Linear() || kind == sumOfParts && algorithm == s3api.CRC64NVME {
		return "", "", refuse(s3api.InvalidRequest, "The checksum type can't be used with the checksum algorithm.")
	}
	return algorithm, kind, nil
}

// writeUpload makes the folder of an upload; it appears whole.
func (d *Dir) writeUpload(u *upload) error {
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	staged := tmpFolder + "/" + u.ID
	if err := d.root.Mkdir(staged, folderPerm); err != nil {
		return err
	}
	if err := d.writeUploadTo(staged, text); err != nil {
		_ = d.root.RemoveAll(staged)
		return err
	}
	if err := d.root.Rename(staged, uploadFolder+"/"+u.ID); err != nil {
		_ = d.root.RemoveAll(staged)
		return err
	}
	return d.syncFolder(uploadFolder)
}

func (d *Dir) writeUploadTo(folder string, text []byte) error {
	file, err := d.create(folder + "/" + uploadName)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close(), d.syncFolder(folder))
}

// upload reads the upload that a request names.
//
// Errors: NoSuchUpload, also where the id is that of another key.
func (d *Dir) upload(r *s3api.Request) (*upload, error) {
	id := r.Query.Get("uploadId")
	if err := checkUploadID(id); err != nil {
		return nil, err
	}
	u, err := d.readUpload(id)
	if err != nil {
		return nil, err
	}
	if u.Key != r.Key {
		return nil, noSuchUpload()
	}
	return u, nil
}

func (d *Dir) readUpload(id string) (*upload, error) {
	text, err := d.root.ReadFile(uploadFolder + "/" + id + "/" + uploadName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSuchUpload()
	}
	u := new(upload)
	if err == nil {
		err = json.Unmarshal(text, u)
	}
	if err != nil || u.ID != id {
		return nil, unusable("the upload can't be read", err)
	}
	return u, nil
}

func partPath(id string, number int) string {
	return fmt.Sprintf("%s/%s/%05d", uploadFolder, id, number)
}

func partRecordPath(id string, number int, v version) string {
	return partPath(id, number) + "." + v.String()
}

// uploadPart answers UploadPart.
//
// Source: Amazon S3 API reference, UploadPart.
func (d *Dir) uploadPart(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	number, u, err := d.partOf(r)
	if err != nil {
		return nil, err
	}
	want, err := expectedOf(r)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Algorithm == "" || want.algorithm == u.Algorithm:
	case want.algorithm == "":
		want.algorithm = u.Algorithm
	default:
		return nil, refuse(s3api.InvalidRequest, "Checksum Type mismatch occurred, expected checksum Type: "+
			strings.ToLower(string(u.Algorithm))+", actual checksum Type: "+strings.ToLower(string(want.algorithm)))
	}
	rec, _, err := d.putPart(ctx, u.ID, number, r.Body, want)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set("ETag", quoted(rec.ETag))
	if rec.Sum != "" {
		h.Set(rec.Algorithm.Header(), rec.Sum)
	}
	return &s3api.Response{Status: http.StatusOK, Header: h}, nil
}

func (d *Dir) partOf(r *s3api.Request) (int, *upload, error) {
	number, err := partNumberOf(r.Query.Get("partNumber"))
	if err != nil {
		return 0, nil, err
	}
	u, err := d.upload(r)
	return number, u, err
}

// putPart makes a part of a body.
func (d *Dir) putPart(ctx context.Context, id string, number int, body io.Reader, want expected) (*record, version, error) {
	s, err := d.stage()
	if err != nil {
		return nil, version{}, err
	}
	defer s.discard()
	if err := s.fill(ctx, body, want); err != nil {
		return nil, version{}, err
	}
	rec := &record{ETag: s.md5, Algorithm: want.algorithm}
	if want.algorithm != "" {
		rec.Sum = want.algorithm.Encode(s.sum)
	}
	err = s.seal(rec, func(v version) string { return partRecordPath(id, number, v) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, version{}, noSuchUpload()
	}
	if err != nil {
		return nil, version{}, err
	}
	return rec, s.version, d.commitPart(ctx, id, number, s)
}

func (d *Dir) commitPart(ctx context.Context, id string, number int, s *staged) error {
	unlock, err := d.lock(ctx, uploadLock, id)
	if err != nil {
		return err
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	path := partPath(id, number)
	old, err := d.root.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable("the part can't be written", err)
	}
	if err := d.root.Rename(s.path, path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return noSuchUpload() // aborted or completed meanwhile
		}
		return unusable("the part can't be written", err)
	}
	s.done = true
	if old != nil {
		_ = d.root.Remove(partRecordPath(id, number, versionOf(old)))
	}
	return d.syncFolder(folderOf(path))
}

// uploadPartCopy answers UploadPartCopy.
//
// Source: Amazon S3 API reference, UploadPartCopy.
func (d *Dir) uploadPartCopy(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	number, u, err := d.partOf(r)
	if err != nil {
		return nil, err
	}
	o, _, err := d.source(r)
	if err != nil {
		return nil, err
	}
	defer o.close()
	part, err := copyRange(r.Header.Get("X-Amz-Copy-Source-Range"), o.version.size)
	if err != nil {
		return nil, err
	}
	body := io.NewSectionReader(o.file, part.start, part.length)
	rec, v, err := d.putPart(ctx, u.ID, number, body, expected{length: part.length, algorithm: u.Algorithm})
	if err != nil {
		return nil, err
	}
	return xmlResponse(copyResult{
		XMLName: xml.Name{Local: "CopyPartResult"}, Xmlns: xmlns, LastModified: v.modified().Format(timeFormat),
		ETag: quoted(rec.ETag), sums: sumsOf(rec.Algorithm, rec.Sum),
	})
}

// copyRange reads the range of a copy, which is stricter than that of a read.
func copyRange(header string, size int64) (span, error) {
	if header == "" {
		return span{0, size}, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	start, startOK := parseOffset(first)
	end, endOK := parseOffset(last)
	if !ok || !dash || !startOK || !endOK || end < start {
		return span{}, refuse(s3api.InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy.")
	}
	if end >= size {
		return span{}, refuse(s3api.InvalidArgument, "Range specified is not valid for source object.")
	}
	return span{start, end - start + 1}, nil
}

// abortMultipartUpload answers AbortMultipartUpload.
//
// Source: Amazon S3 API reference, AbortMultipartUpload.
func (d *Dir) abortMultipartUpload(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	u, err := d.upload(r)
	if err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx, uploadLock, u.ID)
	if err != nil {
		return nil, err
	}
	err = d.dropUpload(u.ID)
	unlock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noSuchUpload()
	}
	if err != nil {
		return nil, unusable("the upload can't be removed", err)
	}
	d.uploads.ended()
	d.removeDropped(u.ID)
	return &s3api.Response{Status: http.StatusNoContent, Header: http.Header{}}, nil
}

// dropUpload ends an upload: its folder is moved to where nobody looks for it. It is called
// under the upload's lock.
func (d *Dir) dropUpload(id string) error {
	if err := d.root.Rename(uploadFolder+"/"+id, tmpFolder+"/"+id); err != nil {
		return err
	}
	return d.syncFolder(uploadFolder)
}

// removeDropped frees what an upload took. What fails here is done at a later start.
func (d *Dir) removeDropped(id string) { _ = d.root.RemoveAll(tmpFolder + "/" + id) }
