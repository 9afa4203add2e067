package s3origin_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
	"github.com/countersign/countersign/internal/s3origin"
)

// FuzzCutPrefix: a key below the prefix comes back as it was, encoded by anybody's rules or
// not, and no other key passes.
func FuzzCutPrefix(f *testing.F) {
	f.Add("team/", "a b")
	f.Add("a+b/", "%2F")
	f.Add("a b%/", "+")
	f.Add("ü/", "")
	f.Fuzz(func(t *testing.T, prefix, key string) {
		if prefix == "" || s3origin.CheckPrefix(prefix) != nil {
			return
		}
		if rest, ok := s3origin.CutPrefix(prefix+key, prefix); !ok || rest != key {
			t.Errorf("%q of %q, %v", rest, prefix+key, ok)
		}
		for _, rules := range []struct {
			encode func(string) string
			decode func(string) (string, error)
		}{{url.QueryEscape, url.QueryUnescape}, {url.PathEscape, url.PathUnescape}, {s3api.EscapeKey, url.PathUnescape}} {
			encoded := rules.encode(prefix + key)
			rest, ok := s3origin.CutPrefix(encoded, prefix)
			if decoded, err := rules.decode(rest); !ok || err != nil || decoded != key {
				t.Errorf("%q of %q below %q (%v, %v)", rest, encoded, prefix, ok, err)
			}
		}
		// What is below the prefix in no reading does not pass.
		if rest, ok := s3origin.CutPrefix(key, prefix); ok && !strings.HasPrefix(key, prefix) {
			start := key[:len(key)-len(rest)]
			byQuery, _ := url.QueryUnescape(start)
			byPath, _ := url.PathUnescape(start)
			mixed := strings.ReplaceAll(byPath, "+", " ")
			if byQuery != prefix && byPath != prefix && mixed != strings.ReplaceAll(prefix, "+", " ") {
				t.Errorf("%q passed as below %q", key, prefix)
			}
		}
	})
}

// FuzzKey: what passes is sent in one spelling, that reads as the same bytes and has no
// segment that a path could lose.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"a/b c", "..", "a/../b", "%2e%2e/", "ü", "a//b", "\x00", strings.Repeat("k", 1025)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" || s3origin.CheckKey("team/", key) != nil {
			return
		}
		escaped := s3api.EscapeKey("team/" + key)
		u := url.URL{Path: "/team/" + key, RawPath: "/" + escaped}
		if u.EscapedPath() != "/"+escaped {
			t.Errorf("%q would be sent as %s", key, u.EscapedPath())
		}
		if decoded, err := url.PathUnescape(escaped); err != nil || decoded != "team/"+key {
			t.Errorf("%q reads as %q", key, decoded)
		}
		for segment := range strings.SplitSeq(escaped, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%q is sent as %s", key, escaped)
			}
		}
	})
}

// FuzzListAnswer: whatever a store answers is an error, or a document that names the store's
// bucket and prefix nowhere that this package knows of.
func FuzzListAnswer(f *testing.F) {
	f.Add(`<ListBucketResult><Name>real-bucket</Name><Contents><Key>team/a</Key></Contents></ListBucketResult>`)
	f.Add(`<a:ListBucketResult xmlns:a="x"><a:Name>&lt;</a:Name></a:ListBucketResult>`)
	f.Add(`<ListBucketResult><Contents><Key><![CDATA[team/a]]></Key></Contents></ListBucketResult>`)
	f.Add(`<!DOCTYPE a><ListBucketResult/>`)
	f.Fuzz(func(t *testing.T, answer string) {
		text, err := s3origin.RewriteList(answer)
		if err != nil {
			var refused *s3api.Error
			if errors.As(err, &refused) && !strings.Contains(answer, refused.Code) {
				t.Errorf("%v out of nowhere", err)
			}
			return
		}
		decoder := xml.NewDecoder(strings.NewReader(text))
		var path []string
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				// Token knows more of namespaces than RawToken, and a client may too.
				if _, raw := rawTokens(text); raw != nil {
					t.Fatalf("no document: %v in %q", err, text)
				}
				return
			}
			switch token := token.(type) {
			case xml.StartElement:
				path = append(path, token.Name.Local)
			case xml.EndElement:
				path = path[:len(path)-1]
			case xml.CharData:
				if strings.Join(path, "/") == "ListBucketResult/Name" && string(token) != "documents" {
					t.Errorf("the name is %q", token)
				}
			}
		}
	})
}

func rawTokens(text string) (n int, err error) {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for ; ; n++ {
		if _, err := decoder.RawToken(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
