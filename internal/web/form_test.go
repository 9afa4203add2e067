package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
)

const formType = "application/x-www-form-urlencoded"

func formRequest(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token?grant_type=from-query&scope=from-query", strings.NewReader(body))
	r.Header.Set("Content-Type", formType)
	return r
}

func TestReadForm(t *testing.T) {
	t.Parallel()
	body := "grant_type=client_credentials&scope=s2s%3Ainternal+b&&audience=a&audience=b&empty=&bare&utf8=%C3%A4" + "ä"
	form, err := ReadForm(formRequest(body), 1000, "audience")
	if err != nil {
		t.Fatal(err)
	}
	want := []Param{{"grant_type", "client_credentials"}, {"scope", "s2s:internal b"}, {"audience", "a"}, {"audience", "b"}, {"empty", ""}, {"bare", ""}, {"utf8", "ää"}}
	if diff := cmp.Diff(want, form.Params()); diff != "" {
		t.Error(diff)
	}
	if form.Value("audience") != "a" || !cmp.Equal(form.Values("audience"), []string{"a", "b"}) || form.Values("none") != nil ||
		form.Value("none") != "" || form.Has("none") || !form.Has("bare") {
		t.Error("a getter is wrong")
	}
}

func TestReadFormMediaTypes(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{
		formType: true, "Application/X-WWW-Form-Urlencoded": true, formType + "; charset=UTF-8": true, formType + ";charset=utf-8": true,
		"": false, "application/json": false, "multipart/form-data; boundary=x": false, "text/plain": false, formType + "; charset=latin1": false,
		formType + "; x=y": false, formType + "; charset": false, formType + ", application/json": false, "application/x-www-form-urlencodedx": false,
	} {
		r := formRequest("a=b")
		r.Header.Set("Content-Type", value)
		if _, err := ReadForm(r, 100); ok != (err == nil) || !ok && countersign.ReasonOf(err) != countersign.ReasonMediaType {
			t.Errorf("%q: %v", value, err)
		}
	}
	for name, edit := range map[string]func(h http.Header){
		"none":     func(h http.Header) { h.Del("Content-Type") },
		"two":      func(h http.Header) { h.Add("Content-Type", formType) },
		"encoding": func(h http.Header) { h.Set("Content-Encoding", "gzip") },
	} {
		r := formRequest("a=b")
		edit(r.Header)
		if _, err := ReadForm(r, 100); countersign.ReasonOf(err) != countersign.ReasonMediaType {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadFormRefuses(t *testing.T) {
	t.Parallel()
	const invalid, doubled = countersign.ReasonBodyInvalid, countersign.ReasonParameterDuplicated
	tests := map[string]struct {
		body   string
		reason countersign.Reason
	}{
		"duplicate":              {"a=1&a=2", doubled},
		"duplicate, same value":  {"a=1&a=1", doubled},
		"duplicate, empty":       {"a=&a", doubled},
		"duplicate, escaped":     {"scope=1&sco%70e=2", doubled},
		"duplicate, odd name":    {"%22x=1&%22x=2", doubled},
		"bad escape":             {"a=%zz", invalid},
		"bad escape in name":     {"%=1", invalid},
		"escape cut":             {"a=%4", invalid},
		"NUL":                    {"a=x%00y", invalid},
		"raw NUL":                {"a=x\x00y", invalid},
		"not UTF-8":              {"a=%ff", invalid},
		"not UTF-8, raw":         {"a=\xff", invalid},
		"overlong":               {"a=%c0%af", invalid},
		"surrogate":              {"a=%ed%a0%80", invalid},
		"semicolon":              {"a=1;b=2", invalid},
		"no name":                {"=x", invalid},
		"too many":               {strings.Repeat("a=1&", 100) + "b=2", invalid},
		"too many, all empty":    {strings.Repeat("&", 100), invalid},
		"case is another name..": {"a=1&A=2&a=3", doubled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadForm(formRequest(test.body), 10000)
			if !errors.Is(err, countersign.Invalid) || countersign.ReasonOf(err) != test.reason {
				t.Errorf("got %v (%s)", err, countersign.ReasonOf(err))
			}
		})
	}
}

// CVE-2024-34079 of vulnerabilities.md 19: the caps are measured.
func TestReadFormBoundsTheBody(t *testing.T) {
	t.Parallel()
	read := 0
	counted := func(body string) io.Reader {
		return readerFunc(func(p []byte) (int, error) {
			if body == "" {
				return 0, io.EOF
			}
			n := copy(p, body)
			body = body[n:]
			read += n
			return n, nil
		})
	}
	big := "a=" + strings.Repeat("x", 1<<20)
	r := formRequest("")
	r.Body, r.ContentLength = io.NopCloser(counted(big)), int64(len(big))
	if _, err := ReadForm(r, 1000); !errors.Is(err, countersign.TooLarge) || countersign.ReasonOf(err) != countersign.ReasonBodyTooLarge || read != 0 {
		t.Errorf("declared: %v, read %d bytes", err, read)
	}
	r = formRequest("")
	r.Body, r.ContentLength = io.NopCloser(counted(big)), -1
	if _, err := ReadForm(r, 1000); !errors.Is(err, countersign.TooLarge) || read > 1001 {
		t.Errorf("chunked: %v, read %d bytes", err, read)
	}
	for _, length := range []int64{998, -1} { // exactly at the limit
		r = formRequest("a=" + strings.Repeat("x", 996))
		r.ContentLength = length
		if _, err := ReadForm(r, 998); err != nil {
			t.Errorf("at the limit: %v", err)
		}
	}
	for _, length := range []int64{10, -1} {
		r = formRequest("")
		r.Body, r.ContentLength = io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a=b")))), length
		if _, err := ReadForm(r, 100); countersign.ReasonOf(err) != countersign.ReasonBodyInvalid {
			t.Errorf("broken off: %v", err)
		}
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestErrorsNeverRepeatValues(t *testing.T) {
	t.Parallel()
	const canary = "canary-77"
	for _, body := range []string{"client_secret=" + canary + "%zz", "a=1;" + canary, "%22" + canary + "=1&%22" + canary + "=2", canary + "=\xff"} {
		_, err := ReadForm(formRequest(body), 1000)
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", body, err)
		}
	}
	for _, body := range []string{`{"a": "` + canary + `"}`, `{"name": {"` + canary + `": 1}}`, `{"x": "` + canary, `{"` + canary + ` ": 1}`} {
		var v struct {
			A    int    `json:"a"`
			Name string `json:"name"`
		}
		if err := parseJSON([]byte(body), &v); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzReadForm(f *testing.F) {
	for _, seed := range []string{"a=b&c=d", "a=%41+b", "&&=", "a;b", "%", "a=1&a=2", "ä=ö", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body, nil)
		if err != nil {
			return
		}
		// What we take, the standard library reads in the same way.
		want, err := url.ParseQuery(body)
		if err != nil {
			t.Fatalf("%q is taken, and url.ParseQuery says %v", body, err)
		}
		if len(want) != len(form.Params()) {
			t.Fatalf("%q: %v, want %v", body, form.Params(), want)
		}
		for _, p := range form.Params() {
			if values := want[p.Name]; len(values) != 1 || values[0] != p.Value {
				t.Errorf("%q: %q = %q, want %q", body, p.Name, p.Value, values)
			}
		}
	})
}

func BenchmarkReadForm(b *testing.B) {
	const body = "grant_type=client_credentials&audience=parse-service&scope=s2s%3Ainternal"
	r := formRequest("")
	reader := strings.NewReader(body)
	r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		if _, err := ReadForm(r, 64<<10); err != nil {
			b.Fatal(err)
		}
	}
}

// vulnerabilities 30: a secret or a token that was sent as a name is not repeated; the
// names of real parameters are.
func TestVulnerability30NamesOfNoKnownForm(t *testing.T) {
	t.Parallel()
	for name, repeated := range map[string]bool{
		"client_id": true, "scope": true, "x5": true,
		"csk_4fJx0Lh9yB7mK2pQ": false, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA": false, "A": false, "secret-word": false,
		strings.Repeat("a", 33): false,
	} {
		_, form := ReadForm(formRequest(name+"=1&"+name+"=2"), 1000)
		if form == nil || strings.Contains(form.Error(), name+" is") != repeated {
			t.Errorf("form: %s: %v", name, form)
		}
		err := parseJSON([]byte(`{"`+name+`":1}`), &struct{}{})
		if err == nil || strings.Contains(err.Error(), "field "+name) != repeated {
			t.Errorf("JSON: %s: %v", name, err)
		}
	}
}
