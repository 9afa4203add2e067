package sigv4

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
)

// vectors is the signing test suite of AWS, which is not part of this repository.
const vectors = "../../shared/vectors/sigv4"

type vector struct {
	Credentials struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	ExpirationInSeconds int       `json:"expiration_in_seconds"`
	Normalize           bool      `json:"normalize"`
	Region              string    `json:"region"`
	Service             string    `json:"service"`
	SignBody            bool      `json:"sign_body"`
	Timestamp           time.Time `json:"timestamp"`
	OmitSessionToken    bool      `json:"omit_session_token"`

	folder string
}

// form: the suite sends paths that are not encoded, so that its two encodings are one.
func (v vector) form() PathForm {
	if v.Normalize {
		return pathOnceNormalized
	}
	return pathAsIs
}

func (v vector) credentials() Credentials {
	c := Credentials{AccessKeyID: v.Credentials.AccessKeyID, SecretAccessKey: countersign.NewSecret(v.Credentials.SecretAccessKey)}
	if !v.OmitSessionToken {
		c.SessionToken = countersign.NewSecret(v.Credentials.Token)
	}
	return c
}

func (v vector) text(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(v.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

// request reads what net/http would refuse: paths and queries that are not encoded, and
// folded headers.
func (v vector) request(t *testing.T, name string) (*http.Request, string) {
	t.Helper()
	head, body, _ := strings.Cut(v.text(t, name)+"\n\n", "\n\n")
	body = strings.Trim(body, "\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(strings.TrimSuffix(lines[0], " HTTP/1.1"), " ")
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: make(http.Header), ContentLength: int64(len(body))}
	last := ""
	for _, line := range lines[1:] {
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, " ") {
			values := r.Header[last]
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		if last = http.CanonicalHeaderKey(key); last == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(key, value)
	}
	return r, body
}

func (v vector) signOptions(body string) SignOptions {
	return SignOptions{
		Region: v.Region, Service: v.Service, Time: v.Timestamp, PayloadHash: HashPayload([]byte(body)),
		SendPayloadHash: v.SignBody, Path: v.form(),
	}
}

func forEachVector(t *testing.T, run func(t *testing.T, v vector)) {
	folders, err := filepath.Glob(vectors + "/*/context.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) == 0 {
		t.Skip("the signing test suite of AWS is not at " + vectors)
	}
	for _, file := range folders {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			v := vector{folder: filepath.Dir(file)}
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			run(t, v)
		})
	}
}

func TestVectorsParseAndVerify(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		for _, form := range []string{"header", "query"} {
			r, body := v.request(t, form+"-signed-request.txt")
			q, err := Parse(r, ParseOptions{Path: v.form()})
			if v.OmitSessionToken {
				v.checkOmitted(t, form, q, err)
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			want := Request{
				AccessKeyID: v.Credentials.AccessKeyID, Scope: Scope{Date: "20150830", Region: v.Region, Service: v.Service},
				Time: v.Timestamp, Presigned: form == "query", SignedHeaders: q.SignedHeaders, PayloadHash: q.PayloadHash,
			}
			if want.Presigned {
				want.Expires = time.Duration(v.ExpirationInSeconds) * time.Second
			}
			if diff := cmp.Diff(want, *q, cmp.FilterPath(unexported, cmp.Ignore()), cmp.FilterValues(secrets, cmp.Ignore())); diff != "" {
				t.Errorf("%s: parsed (-want +got):\n%s", form, diff)
			}
			if got := q.SessionToken.Reveal(); got != v.Credentials.Token {
				t.Errorf("%s: session token %q", form, got)
			}
			if diff := cmp.Diff(v.text(t, form+"-canonical-request.txt"), string(q.signed.canonical)+HashPayload([]byte(body))); diff != "" {
				t.Errorf("%s: canonical request (-want +got):\n%s", form, diff)
			}
			if got := hex.EncodeToString(q.signed.signature[:]); got != v.text(t, form+"-signature.txt") {
				t.Errorf("%s: signature %s", form, got)
			}
			options := VerifyOptions{
				Secret: countersign.NewSecret(v.Credentials.SecretAccessKey), Now: v.Timestamp, Service: v.Service, BodyHash: HashPayload([]byte(body)),
			}
			if err := q.Verify(options); err != nil {
				t.Errorf("%s: %v", form, err)
			}
			options.Secret = countersign.NewSecret(v.Credentials.SecretAccessKey + "x")
			if err := q.Verify(options); countersign.CodeOf(err) != countersign.BadSignature {
				t.Errorf("%s: another secret: %v", form, err)
			}
		}
	})
}

// checkOmitted: the suite has one request whose session token was added after signing.
// We refuse that in both forms (RULES F3).
func (v vector) checkOmitted(t *testing.T, form string, q *Request, err error) {
	t.Helper()
	if form == "header" {
		if countersign.ReasonOf(err) != countersign.ReasonHeaderUnsigned {
			t.Errorf("header: an unsigned session token: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	err = q.Verify(VerifyOptions{Secret: countersign.NewSecret(v.Credentials.SecretAccessKey), Now: v.Timestamp, Service: v.Service, BodyHash: EmptyPayloadHash})
	if countersign.CodeOf(err) != countersign.BadSignature {
		t.Errorf("query: an unsigned session token: %v", err)
	}
}

func TestVectorsSign(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		r, body := v.request(t, "request.txt")
		if err := Sign(r, v.credentials(), v.signOptions(body)); err != nil {
			t.Fatal(err)
		}
		if got, want := r.Header.Get("Authorization"), "Signature="+v.text(t, "header-signature.txt"); !strings.HasSuffix(got, want) {
			t.Errorf("Authorization %q, want %s", got, want)
		}
	})
}

func TestVectorsPresign(t *testing.T) {
	t.Parallel()
	forEachVector(t, func(t *testing.T, v vector) {
		r, body := v.request(t, "request.txt")
		options := v.signOptions(body)
		options.SendPayloadHash = false // the suite has none in a query
		u, err := Presign(r, v.credentials(), options, time.Duration(v.ExpirationInSeconds)*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query().Get("X-Amz-Signature"); got != v.text(t, "query-signature.txt") {
			t.Errorf("URL %s, want signature %s", u, v.text(t, "query-signature.txt"))
		}
	})
}

func unexported(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && field.Name() == "signed"
}

func secrets(_, _ countersign.Secret) bool { return true }
