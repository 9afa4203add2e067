package sts

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/web"
)

// FuzzQuery: whatever comes, the parameters come from one place, each once, and a request
// that is taken asks for nothing that is out of bounds.
func FuzzQuery(f *testing.F) {
	good := url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::000000000000:role/writer"},
		"RoleSessionName": {"job-7"}, "WebIdentityToken": {"a.b.c"}, "DurationSeconds": {"3600"}, "Policy": {"{}"}}.Encode()
	f.Add("", good)
	f.Add(good, "")
	f.Add("Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a", "")
	f.Add("Action=AssumeRoleWithWebIdentity", good)
	f.Add("", good+"&Action=GetCallerIdentity")
	f.Add("", "Action=AssumeRoleWithAWSIdentity&Tags.member.1.Key=a&Tags.member.1.Value=b&RoleArn=arn:aws:iam::000000000000:role/w")
	h := &Handler{cfg: Config{AccountID: "000000000000"}}
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/sts", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q, err := parse(r)
		if err != nil {
			return
		}
		if _, known := actions[q.action]; !known {
			t.Fatalf("an unknown action %q", q.action)
		}
		inQuery, errQuery := web.ParseQuery(query)
		inBody, errBody := web.ParseQuery(body)
		if errQuery != nil || errBody != nil || len(inQuery.Params()) > 0 && len(inBody.Params()) > 0 {
			t.Fatal("parameters of two places, or what is no form")
		}
		seen := make(map[string]bool)
		for _, p := range q.form.Params() {
			if seen[p.Name] {
				t.Fatalf("%q twice", p.Name)
			}
			seen[p.Name] = true
		}
		a, err := h.parseAssume(q)
		if err != nil {
			return
		}
		if a.sessionName != "" && !validSessionName(a.sessionName) || a.duration != 0 && (a.duration < minDuration || a.duration > maxDuration) ||
			len(a.policy) > maxPolicyBytes || len(a.tags) > maxTags {
			t.Fatalf("out of bounds: %+v", a)
		}
		_, _ = parseProof(q)
	})
}

// FuzzDefaultSessionName: the name that is made of an ARN is always one.
func FuzzDefaultSessionName(f *testing.F) {
	f.Add("arn:aws:sts::123456789012:assumed-role/lambda/resize")
	f.Add("arn:aws:iam::123456789012:user/x")
	f.Add("/é")
	f.Fuzz(func(t *testing.T, arn string) {
		if name := defaultSessionName(arn); !validSessionName(name) {
			t.Errorf("%q", name)
		}
	})
}
