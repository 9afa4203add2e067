package s3dir

import (
	"context"
	"crypto/md5" //nolint:gosec // an ETag is the MD5 of an object; no security rests on it
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

// minPartBytes is how large every part but the last must be.
const minPartBytes = 5 << 20

// pieceBytes is how much is copied between two looks at whether the client is still there.
const pieceBytes = 64 << 20

type completeDocument struct {
	Parts []completePart `xml:"Part"`
}

type completePart struct {
	sums
	PartNumber int
	ETag       string
}

// storedPart is a part of an upload as it lies in its folder.
type storedPart struct {
	located
	number int
	rec    *record
}

// completeMultipartUpload answers CompleteMultipartUpload. The parts are put together in a
// file of its own, by the kernel where it can; then one rename makes an object of it. When
// that was the last thing that happened before a crash, the upload is there too, and can be
// completed or aborted again. Who completes what another one is completing waits for that.
//
// Source: Amazon S3 API reference, CompleteMultipartUpload.
func (d *Dir) completeMultipartUpload(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	u, err := d.upload(r)
	if err != nil {
		return nil, err
	}
	when, err := writeConditionOf(r.Header)
	if err != nil {
		return nil, err
	}
	var document completeDocument
	if err := parseXML(r, "CompleteMultipartUpload", &document); err != nil {
		return nil, err
	}
	unlock, err := d.lockUpload(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	parts, err := d.chosenParts(ctx, u, document.Parts)
	if err != nil {
		return nil, err
	}
	rec := u.record
	size, err := rec.describeParts(parts)
	if err != nil {
		return nil, err
	}
	if err := checkComplete(r.Header, &rec, size); err != nil {
		return nil, err
	}
	if err := d.checkCondition(u.Key, when); err != nil {
		return nil, err
	}
	if err := d.assemble(ctx, u, &rec, parts, when); err != nil {
		return nil, err
	}
	return xmlResponse(struct {
		XMLName               xml.Name `xml:"CompleteMultipartUploadResult"`
		Xmlns                 string   `xml:"xmlns,attr"`
		Location, Bucket, Key string
		ETag                  string
		ChecksumType          string `xml:",omitempty"`
		sums
	}{
		Xmlns: xmlns, Location: "/" + d.bucket + "/" + s3api.EscapeKey(u.Key), Bucket: d.bucket, Key: u.Key, ETag: quoted(rec.ETag),
		ChecksumType: rec.SumType, sums: sumsOf(rec.Algorithm, rec.Sum),
	})
}

// chosenParts finds the parts that the client names.
//
// Errors: MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall.
func (d *Dir) chosenParts(ctx context.Context, u *upload, named []completePart) ([]storedPart, error) {
	if len(named) == 0 || len(named) > maxParts {
		return nil, malformed()
	}
	parts := make([]storedPart, 0, len(named))
	for i, each := range named {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if each.PartNumber < 1 || each.PartNumber > maxParts {
			return nil, refuse(s3api.InvalidArgument, "PartNumber must be between 1 and 10000, inclusive.")
		}
		if i > 0 && each.PartNumber <= named[i-1].PartNumber {
			return nil, refuse(s3api.InvalidPartOrder, "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
		}
		part, err := d.readPart(u.ID, each.PartNumber)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !each.means(u, part.rec) {
			return nil, invalidPart()
		}
		if err != nil {
			return nil, unusable("a part can't be read", err)
		}
		parts = append(parts, part)
	}
	for _, part := range parts[:len(parts)-1] {
		if part.info.Size() < minPartBytes {
			return nil, refuse(s3api.EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size.")
		}
	}
	return parts, nil
}

func invalidPart() error {
	return refuse(s3api.InvalidPart, "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.")
}

// means reports whether what the client says of a part is so.
func (p completePart) means(u *upload, rec *record) bool {
	if strings.Trim(p.ETag, `"`) != rec.ETag {
		return false
	}
	for _, algorithm := range s3api.Checksums {
		said := *p.sums.of(algorithm)
		if said != "" && (algorithm == u.Algorithm || u.Algorithm == "" && algorithm == rec.Algorithm) && said != rec.Sum {
			return false
		}
		if said != "" && u.Algorithm != "" && algorithm != u.Algorithm {
			return false
		}
	}
	return true
}

// readPart reads the record of a part, of the version that is there.
//
// Errors: fs.ErrNotExist.
func (d *Dir) readPart(id string, number int) (storedPart, error) {
	path := partPath(id, number)
	for range maxAttempts {
		info, err := d.root.Lstat(path)
		if err != nil {
			return storedPart{}, absent(err)
		}
		rec, err := d.readRecord(partRecordPath(id, number, versionOf(info)), false)
		if err == nil {
			return storedPart{located{path, info}, number, rec}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return storedPart{}, err
		}
	}
	return storedPart{}, fs.ErrNotExist
}

// describeParts makes ETag and checksum of an object of those of its parts.
func (rec *record) describeParts(parts []storedPart) (int64, error) {
	etag := md5.New() //nolint:gosec // see the import
	count := "-" + strconv.Itoa(len(parts))
	var size int64
	var whole []byte // of sumOfWhole: so far
	composite := rec.Algorithm.New()
	for i, part := range parts {
		sum, err := hex.DecodeString(part.rec.ETag)
		if err != nil {
			return 0, unusable("a part can't be read", err)
		}
		etag.Write(sum)
		size += part.info.Size()
		entry := partRecord{Number: part.number, Size: part.info.Size()}
		if rec.Algorithm != "" {
			sum, ok := rec.Algorithm.Decode(part.rec.Sum)
			if !ok {
				return 0, unusable("the checksum of a part can't be read", nil)
			}
			composite.Write(sum)
			switch {
			case rec.SumType != sumOfWhole:
			case i == 0:
				whole = sum
			default:
				whole = rec.Algorithm.Combine(whole, sum, part.info.Size())
			}
			entry.Sum = part.rec.Sum
		}
		rec.parts = append(rec.parts, entry)
	}
	rec.ETag, rec.PartCount = hex.EncodeToString(etag.Sum(nil))+count, len(parts)
	switch {
	case rec.Algorithm == "":
	case rec.SumType == sumOfWhole:
		rec.Sum = rec.Algorithm.Encode(whole)
	default:
		rec.Sum = rec.Algorithm.Encode(composite.Sum(nil)) + count
	}
	return size, nil
}

// checkComplete compares what the client says of the whole.
func checkComplete(h http.Header, rec *record, size int64) error {
	if said := h.Get("X-Amz-Mp-Object-Size"); said != "" && said != strconv.FormatInt(size, 10) {
		return refuse(s3api.InvalidRequest, "The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	if kind := h.Get("X-Amz-Checksum-Type"); kind != "" && kind != rec.SumType {
		return refuse(s3api.InvalidRequest, "The upload was created with another checksum type.")
	}
	for _, algorithm := range s3api.Checksums {
		said := h.Get(algorithm.Header())
		switch {
		case said == "":
		case algorithm != rec.Algorithm:
			return refuse(s3api.InvalidRequest, "The upload was created with another checksum algorithm.")
		case said != rec.Sum && (rec.SumType == sumOfWhole || said+"-"+strconv.Itoa(rec.PartCount) != rec.Sum):
			return refuse(s3api.BadDigest, "The "+string(algorithm)+" you specified did not match what was computed.")
		}
	}
	return nil
}

// assemble puts the parts together and makes an object of them.
func (d *Dir) assemble(ctx context.Context, u *upload, rec *record, parts []storedPart, when writeCondition) error {
	s, err := d.stage()
	if err != nil {
		return err
	}
	defer s.discard()
	for _, part := range parts {
		if err := d.appendPart(ctx, s, part); err != nil {
			return err
		}
	}
	if err := s.seal(rec, func(v version) string { return recordPath(rec.Key, v) }); err != nil {
		return err
	}
	unlock, err := d.lock(ctx, uploadLock, u.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.readUpload(u.ID); err != nil {
		return err // aborted, or completed by another, meanwhile
	}
	if err := d.commit(ctx, rec.Key, s, when); err != nil {
		return err
	}
	if err := d.step("drop upload"); err != nil {
		return err
	}
	if err := d.dropUpload(u.ID); err != nil {
		return unusable("the upload can't be removed", err)
	}
	d.uploads.ended()
	d.removeDropped(u.ID)
	return nil
}

// appendPart copies from file to file, which needs no memory.
func (d *Dir) appendPart(ctx context.Context, s *staged, part storedPart) error {
	if err := d.step("append part"); err != nil {
		return err
	}
	file, err := d.openFile(part.path, part.info)
	if errors.Is(err, fs.ErrNotExist) {
		return invalidPart() // replaced since it was looked at
	}
	if err != nil {
		return unusable("a part can't be read", err)
	}
	defer file.Close() //nolint:errcheck // read only
	for left := part.info.Size(); left > 0; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := io.CopyN(s.file, file, min(left, pieceBytes))
		if err != nil {
			return unusable("the object can't be written", err)
		}
		left -= n
		s.size += n
	}
	return nil
}
