package routepolicy_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/routepolicy"
)

// What is called canonical is the same for everybody: decoded once, twice, and cleaned.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "/a%20b/", "/%2e%2e/", "/a%252fb", "//", "/é", "/%C3%A9", "/a%", "/a;b"} {
		f.Add(seed)
	}
	p := mustCompile(f, ruleOf("{services: [a]}", anyGet, ""))
	f.Fuzz(func(t *testing.T, escaped string) {
		got := decide(t, p, "GET", escaped, service("a"))
		if !got.Allowed {
			if got.Reason != countersign.ReasonRouteNotCanonical {
				t.Errorf("%q: %+v", escaped, got)
			}
			return
		}
		decoded, err := url.PathUnescape(escaped)
		if err != nil || strings.ContainsAny(decoded, ";\\\x00") || strings.Count(decoded, "/") != strings.Count(escaped, "/") {
			t.Fatalf("%q is not canonical: %v", escaped, err)
		}
		clean := path.Clean(decoded)
		if strings.HasSuffix(decoded, "/") && clean != "/" {
			clean += "/"
		}
		again, err := url.PathUnescape(decoded)
		if clean != decoded || err == nil && again != decoded {
			t.Errorf("%q: %q, %q, %q", escaped, decoded, clean, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{fromInterface, first + "---\n" + second, "a: &a [*a]", "{", "- - - a"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		documents, err := routepolicy.Parse(text)
		if err != nil {
			if len(problemsOf(t, err)) == 0 {
				t.Error("refused without a problem")
			}
			return
		}
		p, err := routepolicy.Compile(documents)
		if err != nil {
			problemsOf(t, err)
			return
		}
		p.Decide(t.Context(), routepolicy.Request{Method: "GET", Path: "/v1/tenants/acme/x", Principal: userBy("a", "acme", "admin"), Time: noon})
	})
}
