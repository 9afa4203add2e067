package s3dir

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/s3api"
)

// modelKeys are awkward neighbours: what sorts between a file and a folder of its name, keys
// that clash as files, and folders within folders.
var modelKeys = []string{
	"a", "a!", "a!/x", "a-b", "a-b/c", "a.txt", "a/", "a/b", "a/b/", "a/b/c", "a/b/c/d", "a/b-c", "a/b.c", "a/b0", "a/c", "a0", "a0/", "ab",
	"b/1", "b/10", "b/2", "b/2/x", "b/2/y", "b/3", "ä/ö", "ä/ü", "z/z/z/z/z", "z/z/z/z/z!", "~", Hidden, Hidden + "/a", Hidden + "0", ".a", "A/a",
	"a b/c d", "a+b", "d/o", "o/d", "d/", "o", "dd/oo", "b/", "x/y-z/1", "x/y-z/2", "x/y/1",
}

// modelList is a list as S3's documentation has it, over all keys in memory.
func modelList(keys []string, prefix, delimiter, marker string, limit int) (out []string, truncated bool) {
	common := func(key string) (string, bool) {
		if rest, ok := strings.CutPrefix(key, prefix); ok && delimiter != "" {
			if i := strings.Index(rest, delimiter); i >= 0 {
				return prefix + rest[:i+len(delimiter)], true
			}
		}
		return key, false
	}
	skip, isCommon := common(marker)
	isCommon = isCommon && skip == marker
	for _, key := range slices.Sorted(slices.Values(keys)) {
		if !strings.HasPrefix(key, prefix) || key <= marker || isCommon && strings.HasPrefix(key, marker) {
			continue
		}
		item, _ := common(key)
		if len(out) > 0 && out[len(out)-1] == item {
			continue
		}
		if len(out) == limit {
			return out, limit > 0
		}
		out = append(out, item)
	}
	return out, false
}

// items are keys and common prefixes of an answer in their common order.
func (l listedBucket) items() []string {
	out := l.keys()
	for _, each := range l.CommonPrefixes {
		out = append(out, each.Prefix)
	}
	slices.Sort(out)
	return out
}

func TestListIsThatOfTheModel(t *testing.T) {
	t.Parallel()
	type bucket struct {
		d    *Dir
		keys []string
	}
	var buckets []bucket
	for i := range 4 {
		d, folder := open(t)
		d.chunk = 2 + i
		b := bucket{d: d}
		for j, key := range modelKeys {
			if (j+i)%4 == 0 && i > 0 {
				continue
			}
			path, err := d.target(key)
			if plain, ok := plainPath(key); ok && err == nil && path == plain && (j+i)%3 != 0 {
				write(t, folder, key, key)
			} else {
				put(t, d, key, key)
			}
			b.keys = append(b.keys, key)
		}
		// What is not there for S3.
		for _, name := range []string{"empty/empty/empty", "b/none", "ä/none"} {
			if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		buckets = append(buckets, b)
	}
	var texts []string
	for _, key := range modelKeys {
		for i := range len(key) + 1 {
			texts = append(texts, strings.ToValidUTF8(key[:i], ""))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.SampledFrom(buckets).Draw(rt, "bucket")
		prefix := rapid.SampledFrom(append(texts, "", "", "", "..", "/", "none")).Draw(rt, "prefix")
		delimiter := rapid.SampledFrom([]string{"", "/", "/", "/", "b", "/b", "-", "z/z", "!"}).Draw(rt, "delimiter")
		start := rapid.SampledFrom(append(texts, "", "", "", "\U0010ffff", "..")).Draw(rt, "start")
		limit := rapid.IntRange(1, 9).Draw(rt, "max")
		for op, style := range map[s3api.Operation][2]string{
			s3api.ListObjectsV2: {"?start-after", "?continuation-token"}, s3api.ListObjects: {"?marker", "?marker"},
			s3api.ListObjectVersions: {"?key-marker", "?key-marker"},
		} {
			marker, token, parameter := start, start, style[0]
			for {
				want, more := modelList(b.keys, prefix, delimiter, marker, limit)
				got := list(t, b.d, op, "?prefix", prefix, "?delimiter", delimiter, "?max-keys", strconv.Itoa(limit), parameter, token)
				if !slices.Equal(got.items(), want) || got.IsTruncated != more {
					rt.Fatalf("%s prefix %q delimiter %q marker %q max %d:\n got %q, more %v\nwant %q, more %v", op, prefix, delimiter, marker, limit, got.items(), got.IsTruncated, want, more)
				}
				if !more {
					break
				}
				marker, parameter = want[len(want)-1], style[1]
				token = got.NextContinuationToken + got.NextMarker + got.NextKeyMarker
				if op == s3api.ListObjects && delimiter == "" {
					token = marker
				}
			}
		}
	})
}

func TestListSaysWhatAnObjectIs(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	put(t, d, "ä b/c+d&<", "x", "X-Amz-Checksum-Sha256", "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=")
	for round := range 2 { // from the disk, and as it is remembered
		got := list(t, d, s3api.ListObjectsV2, "?encoding-type", "url", "?fetch-owner", "true")
		if got.Name != "documents" || got.KeyCount != 1 || got.keys()[0] != "%C3%A4%20b/c%2Bd%26%3C" {
			t.Errorf("round %d: %+v", round, got)
		}
		if each := got.Contents[0]; each.ETag != etagOf("x") || each.Size != 1 || each.StorageClass != "STANDARD" || each.ChecksumAlgorithm != "SHA256" {
			t.Errorf("round %d: %+v", round, each)
		}
		if key := list(t, d, s3api.ListObjects).keys()[0]; key != "ä b/c+d&<" {
			t.Errorf("round %d: %q", round, key)
		}
		versions := list(t, d, s3api.ListObjectVersions).Version
		if len(versions) != 1 || versions[0].VersionId != "null" || !versions[0].IsLatest {
			t.Errorf("round %d: %+v", round, versions)
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	d, _ := open(t)
	for _, op := range []s3api.Operation{s3api.ListObjects, s3api.ListObjectsV2, s3api.ListObjectVersions} {
		for _, value := range []string{"-1", "x", "1.5", "99999999999999999999", " 1"} {
			refused(t, d, request(op, "", nil, "?max-keys", value), s3api.InvalidArgument)
		}
		refused(t, d, request(op, "", nil, "?encoding-type", "base64"), s3api.InvalidArgument)
	}
	for _, token := range []string{"", "x", "1", "1!", "2YQ", makeToken("a") + "="} {
		refused(t, d, request(s3api.ListObjectsV2, "", nil, "?continuation-token", token), s3api.InvalidArgument)
	}
	refused(t, d, request(s3api.ListObjectVersions, "", nil, "?version-id-marker", "null"), s3api.InvalidArgument)
	put(t, d, "a", "")
	if got := list(t, d, s3api.ListObjectsV2, "?max-keys", "0"); got.IsTruncated || len(got.items()) != 0 {
		t.Errorf("max-keys 0: %+v", got)
	}
}

func TestListOfALargeFolder(t *testing.T) {
	t.Parallel()
	const files = 5000
	d, folder := open(t)
	for i := range files {
		write(t, folder, fmt.Sprintf("many/%05d", i), "")
	}
	var seen int
	token := url.Values{}
	for pages := 0; ; pages++ {
		r := request(s3api.ListObjectsV2, "", nil, "?prefix", "many/")
		for name, values := range token {
			r.Query[name] = values
		}
		got := list(t, d, s3api.ListObjectsV2, flat(r.Query)...)
		seen += len(got.Contents)
		if !got.IsTruncated {
			if pages != files/maxListed-1 {
				t.Errorf("%d more pages", pages)
			}
			break
		}
		token.Set("continuation-token", got.NextContinuationToken)
	}
	if seen != files {
		t.Errorf("listed %d of %d", seen, files)
	}
}

func flat(query url.Values) (pairs []string) {
	for name := range query {
		pairs = append(pairs, "?"+name, query.Get(name))
	}
	return pairs
}
