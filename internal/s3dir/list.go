package s3dir

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

// maxListed is how many keys and common prefixes an answer holds at most.
const maxListed = 1000

// listing is what a list is asked for, whatever its version.
type listing struct {
	prefix, delimiter, marker string
	max                       int
	encode                    func(string) string
}

// results are what a list found.
type results struct {
	objects   []objectEntry
	prefixes  []prefixEntry
	truncated bool
	last      string // key or common prefix
}

// parseListing reads what the lists have in common. The marker is the caller's.
//
// Errors: InvalidArgument.
func parseListing(query url.Values, maxName string) (listing, error) {
	l := listing{prefix: query.Get("prefix"), delimiter: query.Get("delimiter"), max: maxListed, encode: func(s string) string { return s }}
	if value := query.Get(maxName); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return l, refuse(s3api.InvalidArgument, "Provided "+maxName+" not an integer or within integer range.")
		}
		l.max = min(n, maxListed)
	}
	switch query.Get("encoding-type") {
	case "":
	case "url":
		l.encode = s3api.EscapeKey
	default:
		return l, refuse(s3api.InvalidArgument, "Invalid Encoding Method specified in Request.")
	}
	return l, nil
}

// list goes through the keys until it has enough, and one step on, to know if there is more.
func (d *Dir) list(ctx context.Context, l listing) (results, error) {
	var out results
	if l.max == 0 {
		return out, nil
	}
	w, err := d.walk(l.prefix, l.marker)
	if err != nil {
		return out, err
	}
	// A marker that is a common prefix stands for all the keys below it.
	done := ""
	if common, ok := l.common(l.marker); ok && common == l.marker {
		done = common
	}
	for {
		f, ok, err := w.next(ctx)
		if err != nil || !ok {
			return out, err
		}
		if done != "" && strings.HasPrefix(f.key, done) {
			continue
		}
		common, rolled := l.common(f.key)
		if f.folder {
			if !rolled {
				if err := w.enter(f.key); err != nil {
					return out, err
				}
				continue
			}
			if holds, err := w.holds(ctx, f.key); err != nil {
				return out, err
			} else if !holds {
				continue
			}
		}
		if len(out.objects)+len(out.prefixes) == l.max {
			out.truncated = true
			return out, nil
		}
		if rolled {
			out.prefixes = append(out.prefixes, prefixEntry{l.encode(common)})
			out.last, done = common, common
			continue
		}
		entry, err := d.entry(f)
		if err != nil {
			return out, err
		}
		if entry == nil {
			continue
		}
		entry.Key = l.encode(f.key)
		out.objects, out.last = append(out.objects, *entry), f.key
	}
}

// common is the common prefix that a key counts to.
func (l listing) common(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, l.prefix)
	if l.delimiter == "" || !ok {
		return "", false
	}
	before, _, found := strings.Cut(rest, l.delimiter)
	return l.prefix + before + l.delimiter, found
}

// entry describes an object; nil = it is gone by now.
func (d *Dir) entry(f found) (*objectEntry, error) {
	info, err := d.root.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, unusable("an object can't be looked at", err)
	}
	value, err := d.describe(f.key, f.path, info)
	if isNoSuchKey(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v := versionOf(info)
	entry := &objectEntry{
		LastModified: v.modified().Format(timeFormat), ETag: quoted(value.etag), Size: v.size, StorageClass: value.class,
	}
	if value.algorithm != "" {
		entry.ChecksumAlgorithm, entry.ChecksumType = string(value.algorithm), value.sumType
	}
	return entry, nil
}

// listObjectsV2 answers ListObjectsV2.
//
// Source: Amazon S3 API reference, ListObjectsV2.
func (d *Dir) listObjectsV2(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	l, err := parseListing(r.Query, "max-keys")
	if err != nil {
		return nil, err
	}
	token, after := r.Query.Get("continuation-token"), r.Query.Get("start-after")
	l.marker = after
	if r.Query.Has("continuation-token") {
		if l.marker, err = openToken(token); err != nil {
			return nil, err
		}
	}
	out, err := d.list(ctx, l)
	if err != nil {
		return nil, err
	}
	answer := listV2Result{
		Xmlns: xmlns, Name: d.bucket, Prefix: l.encode(l.prefix), Delimiter: l.encode(l.delimiter), MaxKeys: l.max,
		EncodingType: r.Query.Get("encoding-type"), KeyCount: len(out.objects) + len(out.prefixes), IsTruncated: out.truncated,
		ContinuationToken: token, StartAfter: l.encode(after), Contents: out.objects, CommonPrefixes: out.prefixes,
	}
	if out.truncated {
		answer.NextContinuationToken = makeToken(out.last)
	}
	if r.Query.Get("fetch-owner") == "true" {
		setOwner(answer.Contents)
	}
	return xmlResponse(answer)
}

// A token is where the list goes on; its letter is the version of this form.
const tokenLetter = "1"

func makeToken(last string) string {
	return tokenLetter + base64.RawURLEncoding.EncodeToString([]byte(last))
}

func openToken(token string) (string, error) {
	encoded, ok := strings.CutPrefix(token, tokenLetter)
	last, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(last) == 0 {
		return "", refuse(s3api.InvalidArgument, "The continuation token provided is incorrect.")
	}
	return string(last), nil
}

// listObjects answers ListObjects, the first version.
//
// Source: Amazon S3 API reference, ListObjects.
func (d *Dir) listObjects(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	l, err := parseListing(r.Query, "max-keys")
	if err != nil {
		return nil, err
	}
	l.marker = r.Query.Get("marker")
	out, err := d.list(ctx, l)
	if err != nil {
		return nil, err
	}
	answer := listV1Result{
		Xmlns: xmlns, Name: d.bucket, Prefix: l.encode(l.prefix), Marker: l.encode(l.marker), Delimiter: l.encode(l.delimiter),
		MaxKeys: l.max, EncodingType: r.Query.Get("encoding-type"), IsTruncated: out.truncated, Contents: out.objects,
		CommonPrefixes: out.prefixes,
	}
	// Without a delimiter the last key says it already.
	if out.truncated && l.delimiter != "" {
		answer.NextMarker = l.encode(out.last)
	}
	setOwner(answer.Contents)
	return xmlResponse(answer)
}

// listObjectVersions answers ListObjectVersions of a bucket that has no versions: each object
// is its own latest one.
//
// Source: Amazon S3 API reference, ListObjectVersions.
func (d *Dir) listObjectVersions(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	l, err := parseListing(r.Query, "max-keys")
	if err != nil {
		return nil, err
	}
	l.marker = r.Query.Get("key-marker")
	if r.Query.Get("version-id-marker") != "" && !r.Query.Has("key-marker") {
		return nil, refuse(s3api.InvalidArgument, "A version-id marker cannot be specified without a key marker.")
	}
	out, err := d.list(ctx, l)
	if err != nil {
		return nil, err
	}
	answer := listVersionsResult{
		Xmlns: xmlns, Name: d.bucket, Prefix: l.encode(l.prefix), KeyMarker: l.encode(l.marker),
		VersionIDMarker: r.Query.Get("version-id-marker"), Delimiter: l.encode(l.delimiter), MaxKeys: l.max,
		EncodingType: r.Query.Get("encoding-type"), IsTruncated: out.truncated, CommonPrefixes: out.prefixes,
	}
	setOwner(out.objects)
	for _, each := range out.objects {
		answer.Versions = append(answer.Versions, versionEntry{objectEntry: each, VersionID: "null", IsLatest: true})
	}
	if out.truncated {
		answer.NextKeyMarker = l.encode(out.last)
		if _, rolled := l.common(out.last); !rolled {
			answer.NextVersionIDMarker = "null"
		}
	}
	return xmlResponse(answer)
}
