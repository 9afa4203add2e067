package s3api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/s3api"
)

func TestRuleF6KeysHaveOneReading(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", s3api.MaxKeyBytes)
	for _, key := range []string{"a", "a/", "a/b c", "..a/b../...", "%2e%2e/x", "a%2Fb", "a+b", "ü/日本", ".countersign", long} {
		for name, check := range map[string]func(string) error{"key": s3api.CheckKey, "start": s3api.CheckKeyStart, "marker": s3api.CheckMarker} {
			if err := check(key); err != nil {
				t.Errorf("%s %q: %v", name, key, err)
			}
		}
	}
	for key, want := range map[string]struct{ key, start, marker string }{
		"":            {key: s3api.InvalidArgument},
		".":           {key: s3api.InvalidArgument},
		"a/..":        {key: s3api.InvalidArgument},
		"/":           {s3api.InvalidArgument, s3api.InvalidArgument, ""},
		"/a":          {s3api.InvalidArgument, s3api.InvalidArgument, ""},
		"a//":         {s3api.InvalidArgument, s3api.InvalidArgument, ""},
		"a//b":        {s3api.InvalidArgument, s3api.InvalidArgument, ""},
		`a\b`:         {s3api.InvalidArgument, s3api.InvalidArgument, ""},
		"../":         {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"./a":         {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a/../b":      {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a\x00":       {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a\nb":        {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a\x7f/b":     {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a\u0085":     {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		"a\xff":       {s3api.InvalidArgument, s3api.InvalidArgument, s3api.InvalidArgument},
		long + "k":    {s3api.KeyTooLong, s3api.KeyTooLong, s3api.KeyTooLong},
		"a/" + long:   {s3api.KeyTooLong, s3api.KeyTooLong, s3api.KeyTooLong},
		long + "/...": {s3api.KeyTooLong, s3api.KeyTooLong, s3api.KeyTooLong},
	} {
		if got := codeOf(s3api.CheckKey(key)); got != want.key {
			t.Errorf("key %q: %q", key, got)
		}
		if got := codeOf(s3api.CheckKeyStart(key)); got != want.start {
			t.Errorf("start %q: %q", key, got)
		}
		if got := codeOf(s3api.CheckMarker(key)); got != want.marker {
			t.Errorf("marker %q: %q", key, got)
		}
	}
}

func TestEscapeKey(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"": "", "a/b c": "a/b%20c", "%2F": "%252F", "a+b=c&d?e#f": "a%2Bb%3Dc%26d%3Fe%23f", "ü": "%C3%BC", "~-_.!'()*:@,;": "~-_.%21%27%28%29%2A%3A%40%2C%3B",
	} {
		got := s3api.EscapeKey(key)
		if decoded, err := url.PathUnescape(got); got != want || err != nil || decoded != key {
			t.Errorf("%q is %q, which reads as %q", key, got, decoded)
		}
	}
	if got := string(s3api.AppendEscaped([]byte("?a="), "b/c", false)); got != "?a=b%2Fc" {
		t.Error(got)
	}
}

func TestWithoutChunked(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]string{
		"": {"aws-chunked"}, "gzip": {"AWS-Chunked, gzip", "aws-chunked"}, "gzip, br": {"gzip, br"}, "gzip,br": {"gzip,aws-chunked,,br"},
		"br,gzip": {"br", " gzip"},
	} {
		if got := s3api.WithoutChunked(values...); got != want {
			t.Errorf("%q becomes %q", values, got)
		}
	}
	if got := s3api.WithoutChunked(); got != "" {
		t.Error(got)
	}
}
