package s3dir

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/s3api"
)

// The limits of S3's object tags.
//
// Source: Amazon S3 User Guide, "Categorizing your objects using tags".
const (
	maxTags          = 10
	maxTagKeyRunes   = 128
	maxTagValueRunes = 256
)

type tag struct {
	Key   string `json:"k" xml:"Key"`
	Value string `json:"v" xml:"Value"`
}

// parseTagging reads the header x-amz-tagging: the form of a query.
func parseTagging(header string) ([]tag, error) {
	if header == "" {
		return nil, nil
	}
	var tags []tag
	for pair := range strings.SplitSeq(header, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(key)
		value, valueErr := url.QueryUnescape(value)
		if keyErr != nil || valueErr != nil {
			return nil, refuse(s3api.InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		tags = append(tags, tag{key, value})
	}
	return tags, checkTags(tags)
}

func checkTags(tags []tag) error {
	if len(tags) > maxTags {
		return refuse(s3api.InvalidTag, "Object tags cannot be greater than 10.")
	}
	seen := make(map[string]bool, len(tags))
	for _, each := range tags {
		switch {
		case each.Key == "" || utf8.RuneCountInString(each.Key) > maxTagKeyRunes || !tagText(each.Key):
			return refuse(s3api.InvalidTag, "The TagKey you have provided is invalid.")
		case utf8.RuneCountInString(each.Value) > maxTagValueRunes || !tagText(each.Value):
			return refuse(s3api.InvalidTag, "The TagValue you have provided is invalid.")
		case strings.HasPrefix(strings.ToLower(each.Key), "aws:"):
			return refuse(s3api.InvalidTag, "System tags cannot be added or updated by requester.")
		case seen[each.Key]:
			return refuse(s3api.InvalidTag, "Cannot provide multiple Tags with the same key.")
		}
		seen[each.Key] = true
	}
	return nil
}

func tagText(text string) bool {
	for _, c := range text {
		if c == utf8.RuneError || !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.IsSpace(c) && !strings.ContainsRune("+-=._:/@", c) {
			return false
		}
	}
	return true
}

type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Xmlns   string   `xml:"xmlns,attr"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

// getObjectTagging answers GetObjectTagging.
//
// Source: Amazon S3 API reference, GetObjectTagging.
func (d *Dir) getObjectTagging(_ context.Context, r *s3api.Request) (*s3api.Response, error) {
	o, err := d.open(r.Key, false)
	if err != nil {
		return nil, err
	}
	o.close()
	return xmlResponse(tagging{Xmlns: xmlns, Tags: o.rec.Tags})
}

// putObjectTagging answers PutObjectTagging.
//
// Source: Amazon S3 API reference, PutObjectTagging.
func (d *Dir) putObjectTagging(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	var document tagging
	if err := parseXML(r, "Tagging", &document); err != nil {
		return nil, err
	}
	if err := checkTags(document.Tags); err != nil {
		return nil, err
	}
	if err := d.setTags(ctx, r.Key, document.Tags); err != nil {
		return nil, err
	}
	return &s3api.Response{Status: http.StatusOK, Header: http.Header{}}, nil
}

// deleteObjectTagging answers DeleteObjectTagging.
//
// Source: Amazon S3 API reference, DeleteObjectTagging.
func (d *Dir) deleteObjectTagging(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	if err := d.setTags(ctx, r.Key, nil); err != nil {
		return nil, err
	}
	return &s3api.Response{Status: http.StatusNoContent, Header: http.Header{}}, nil
}

// setTags replaces the record of an object by one with other tags.
func (d *Dir) setTags(ctx context.Context, key string, tags []tag) error {
	unlock, err := d.lock(ctx, keyLock, key)
	if err != nil {
		return err
	}
	defer unlock()
	o, err := d.open(key, true)
	if err != nil {
		return err
	}
	o.close()
	o.rec.Tags = tags
	staged := tmpFolder + "/" + rand.Text()
	if err := o.rec.write(d, staged); err != nil {
		return unusable("the tags can't be written", err)
	}
	path := recordPath(key, o.version)
	if err = errors.Join(d.makeRecordFolder(path), d.step("rename record")); err == nil {
		err = d.root.Rename(staged, path)
	}
	if err != nil {
		_ = d.root.Remove(staged)
		return unusable("the tags can't be written", err)
	}
	return d.syncFolder(folderOf(path))
}
