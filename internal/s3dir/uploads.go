package s3dir

import (
	"context"
	"encoding/xml"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

type partEntry struct {
	sums
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

// listParts answers ListParts.
//
// Source: Amazon S3 API reference, ListParts.
func (d *Dir) listParts(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	u, err := d.upload(r)
	if err != nil {
		return nil, err
	}
	limit, err := bounded(r.Query.Get("max-parts"), maxListed)
	if err != nil {
		return nil, err
	}
	after, err := bounded(r.Query.Get("part-number-marker"), 0)
	if err != nil {
		return nil, err
	}
	numbers, err := d.partNumbers(u.ID)
	if err != nil {
		return nil, err
	}
	answer := struct {
		XMLName                         xml.Name `xml:"ListPartsResult"`
		Xmlns                           string   `xml:"xmlns,attr"`
		Bucket, Key                     string
		UploadID                        string `xml:"UploadId"`
		Initiator, Owner                *owner
		StorageClass                    string
		ChecksumAlgorithm, ChecksumType string `xml:",omitempty"`
		PartNumberMarker                int
		NextPartNumberMarker            int
		MaxParts                        int
		IsTruncated                     bool
		Parts                           []partEntry `xml:"Part"`
	}{
		Xmlns: xmlns, Bucket: d.bucket, Key: u.Key, UploadID: u.ID, Initiator: theOwner(), Owner: theOwner(), StorageClass: u.class(),
		ChecksumAlgorithm: string(u.Algorithm), ChecksumType: u.SumType, PartNumberMarker: after, MaxParts: min(limit, maxListed),
	}
	for _, number := range numbers {
		if number <= after {
			continue
		}
		if len(answer.Parts) == answer.MaxParts {
			answer.IsTruncated = answer.MaxParts > 0
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		part, err := d.readPart(u.ID, number)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, noSuchUpload() // it ended meanwhile
		}
		if err != nil {
			return nil, unusable("a part can't be read", err)
		}
		v := versionOf(part.info)
		answer.Parts = append(answer.Parts, partEntry{
			sumsOf(part.rec.Algorithm, part.rec.Sum), number, v.modified().Format(timeFormat), quoted(part.rec.ETag), v.size,
		})
		answer.NextPartNumberMarker = number
	}
	return xmlResponse(answer)
}

// partNumbers are those of the parts that are there, in order.
func (d *Dir) partNumbers(id string) ([]int, error) {
	var numbers []int
	err := d.entries(uploadFolder+"/"+id, func(entry fs.DirEntry) {
		if number, err := strconv.Atoi(entry.Name()); err == nil && len(entry.Name()) == 5 {
			numbers = append(numbers, number)
		}
	})
	if err != nil {
		return nil, unusable("the parts can't be read", err)
	}
	slices.Sort(numbers)
	return numbers, nil
}

type uploadEntry struct {
	Key                             string
	UploadID                        string `xml:"UploadId"`
	Initiator, Owner                *owner
	StorageClass                    string
	Initiated                       string
	ChecksumAlgorithm, ChecksumType string `xml:",omitempty"`
}

type listUploadsResult struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Xmlns              string   `xml:"xmlns,attr"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	Prefix             string `xml:",omitempty"`
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []uploadEntry `xml:"Upload"`
	CommonPrefixes     []prefixEntry
}

// listMultipartUploads answers ListMultipartUploads: in the order of keys, and of the start
// of each, which the ids have too.
//
// Source: Amazon S3 API reference, ListMultipartUploads.
func (d *Dir) listMultipartUploads(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	l, err := parseListing(r.Query, "max-uploads")
	if err != nil {
		return nil, err
	}
	l.marker = r.Query.Get("key-marker")
	idMarker := ""
	if l.marker != "" {
		idMarker = r.Query.Get("upload-id-marker")
	}
	answer := listUploadsResult{
		Xmlns: xmlns, Bucket: d.bucket, KeyMarker: l.encode(l.marker), UploadIDMarker: idMarker, Prefix: l.encode(l.prefix),
		Delimiter: l.encode(l.delimiter), EncodingType: r.Query.Get("encoding-type"), MaxUploads: l.max,
	}
	if l.max == 0 {
		return xmlResponse(answer)
	}
	first, err := d.firstUploads(ctx, l, idMarker)
	if err != nil {
		return nil, err
	}
	if len(first) > l.max {
		first, answer.IsTruncated = first[:l.max], true
		last := first[l.max-1]
		answer.NextKeyMarker, answer.NextUploadIDMarker = l.encode(last.key), last.id
	}
	for _, each := range first {
		if each.upload == nil {
			answer.CommonPrefixes = append(answer.CommonPrefixes, prefixEntry{l.encode(each.key)})
			continue
		}
		u := each.upload
		answer.Uploads = append(answer.Uploads, uploadEntry{
			Key: l.encode(u.Key), UploadID: u.ID, Initiator: theOwner(), Owner: theOwner(), StorageClass: u.class(),
			Initiated: u.Initiated.Format(timeFormat), ChecksumAlgorithm: string(u.Algorithm), ChecksumType: u.SumType,
		})
	}
	return xmlResponse(answer)
}

// listedUpload is an upload, or a common prefix of the keys of some.
type listedUpload struct {
	key, id string
	upload  *upload
}

func compareUploads(a, b listedUpload) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

// firstUploads reads all uploads and keeps one more than are asked for.
func (d *Dir) firstUploads(ctx context.Context, l listing, idMarker string) ([]listedUpload, error) {
	var first []listedUpload
	var failed error
	err := d.entries(uploadFolder, func(entry fs.DirEntry) {
		if failed != nil || checkUploadID(entry.Name()) != nil {
			return
		}
		if failed = ctx.Err(); failed != nil {
			return
		}
		u, err := d.readUpload(entry.Name())
		if err != nil {
			if !errors.As(err, new(*s3api.Error)) {
				failed = err
			}
			return // it ended meanwhile
		}
		each, ok := l.uploadAt(u, idMarker)
		if !ok {
			return
		}
		at, found := slices.BinarySearchFunc(first, each, compareUploads)
		if !found && at <= l.max {
			first = slices.Insert(first, at, each)
			first = first[:min(len(first), l.max+1)]
		}
	})
	if failed == nil && err != nil {
		failed = unusable("the uploads can't be read", err)
	}
	return first, failed
}

// uploadAt says where an upload stands in the list, if it does.
func (l listing) uploadAt(u *upload, idMarker string) (listedUpload, bool) {
	if !strings.HasPrefix(u.Key, l.prefix) {
		return listedUpload{}, false
	}
	common, rolled := l.common(u.Key)
	if rolled {
		return listedUpload{key: common}, common > l.marker && (u.Key > l.marker)
	}
	after := u.Key > l.marker || u.Key == l.marker && idMarker != "" && u.ID > idMarker
	return listedUpload{u.Key, u.ID, u}, after
}
