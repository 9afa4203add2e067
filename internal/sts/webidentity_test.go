package sts_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/authtest"
)

func TestWebIdentityBecomesCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, token := range map[string]string{
		"foreign": w.token(t, "build:main", nil),
		"ours":    w.builder.Token(t, "sts").Reveal(),
	} {
		out, err := w.assume(t, token, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := *out.AssumedRoleUser.Arn; got != "arn:aws:sts::000000000000:assumed-role/writer/job-7" {
			t.Errorf("%s: ARN %s", name, got)
		}
		if life := time.Until(*out.Credentials.Expiration); life < 59*time.Minute || life > time.Hour {
			t.Errorf("%s: lives %v, want the default of an hour", name, life)
		}
		if n := len(*out.Credentials.SessionToken); n > 2048 {
			t.Errorf("%s: a session token of %d bytes", name, n)
		}
		who, err := w.identity(t.Context(), out.Credentials)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if *who.Arn != *out.AssumedRoleUser.Arn || *who.UserId != *out.AssumedRoleUser.AssumedRoleId || *who.Account != "000000000000" {
			t.Errorf("%s: %s %s %s", name, *who.Arn, *who.UserId, *who.Account)
		}
		info, err := w.client(out.Credentials).GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: out.Credentials.AccessKeyId})
		if err != nil || *info.Account != "000000000000" {
			t.Errorf("%s: key info: %v", name, err)
		}
	}
	w.VerifyAudit(t)
}

// What the caller's issuer chose is text in the answer, whatever it looks like.
func TestAnswerIsNoMarkup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, subject := range []string{
		`build:<Arn>&amp;"'<!--`, "build:<![CDATA[x]]>", "build:]]>", "build:\u00e4\u20ac\U0001f511", "build:\ufffd", "build: a  b",
	} {
		out, err := w.assume(t, w.token(t, subject, nil), nil)
		if err != nil {
			t.Fatalf("%q: %v", subject, err)
		}
		if got := *out.SubjectFromWebIdentityToken; got != subject {
			t.Errorf("%q: the SDK reads %q", subject, got)
		}
		if *out.Provider != w.issuer.URL || *out.Audience != "sts-clients" {
			t.Errorf("%q: provider %q, audience %q", subject, *out.Provider, *out.Audience)
		}
	}
}

// TestEveryModelledErrorIsTyped reaches each error that the model has for the actions that we
// serve, as the SDK's own type.
func TestEveryModelledErrorIsTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := func() string { return w.token(t, "build:main", nil) }
	revoked := w.builder.Token(t, "sts")
	w.RevokeToken(t, revoked)
	policy := func(text string) func(*sts.AssumeRoleWithWebIdentityInput) {
		return func(in *sts.AssumeRoleWithWebIdentityInput) { in.Policy = &text }
	}
	brokered := func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String("arn:aws:iam::000000000000:role/brokered")
	}
	long := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::documents/resumes/` +
		strings.Repeat("x", 900) + `","arn:aws:s3:::documents/resumes/` + strings.Repeat("y", 900) + `"]}]}`
	down := w.token(t, "build:main", map[string]any{"iss": "https://nobody.invalid"})
	w.Apply(t, "{kind: Issuer, name: gone, url: 'https://nobody.invalid', subject: workload, profile: oidc, audiences: [sts-clients]}")

	check := func(name, token string, change func(*sts.AssumeRoleWithWebIdentityInput), is func(error) bool) {
		t.Helper()
		_, err := w.assume(t, token, change)
		if err == nil || !is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("MalformedPolicyDocument", good(), policy(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"X":{"y":"z"}}}]}`), typed[*types.MalformedPolicyDocumentException])
	check("PackedPolicyTooLarge", good(), policy(long), typed[*types.PackedPolicyTooLargeException])
	check("IDPRejectedClaim", revoked.Reveal(), nil, typed[*types.IDPRejectedClaimException])
	check("IDPCommunicationError", down, nil, typed[*types.IDPCommunicationErrorException])
	check("InvalidIdentityToken", "not.a.token", nil, typed[*types.InvalidIdentityTokenException])
	check("ExpiredToken", w.token(t, "build:main", map[string]any{"exp": w.Clock.Now().Add(-2 * time.Minute).Unix()}), nil, typed[*types.ExpiredTokenException])
	_ = brokered // RegionDisabled: see the broker's test
}

func typed[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}

// TestWebIdentityRefuses holds what no SDK sends, and what callers get wrong.
func TestWebIdentityRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tests := []struct {
		name    string
		changes map[string]string
		status  int
		code    string
	}{
		{"no action", map[string]string{"Action": "-"}, 400, "MissingParameter"},
		{"another action", map[string]string{"Action": "AssumeRole"}, 400, "InvalidAction"},
		{"action in small letters", map[string]string{"Action": "assumerolewithwebidentity"}, 400, "InvalidAction"},
		{"parameter in small letters", map[string]string{"Action": "-", "action": "AssumeRoleWithWebIdentity"}, 400, "MissingParameter"},
		{"another version", map[string]string{"Version": "2010-05-08"}, 400, "InvalidAction"},
		{"an unknown parameter", map[string]string{"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/X"}, 400, "ValidationError"},
		{"a provider id", map[string]string{"ProviderId": "www.amazon.com"}, 400, "ValidationError"},
		{"no role", map[string]string{"RoleArn": "-"}, 400, "MissingParameter"},
		{"no session name", map[string]string{"RoleSessionName": "-"}, 400, "MissingParameter"},
		{"an empty session name", map[string]string{"RoleSessionName": ""}, 400, "ValidationError"},
		{"a short session name", map[string]string{"RoleSessionName": "a"}, 400, "ValidationError"},
		{"a long session name", map[string]string{"RoleSessionName": strings.Repeat("a", 65)}, 400, "ValidationError"},
		{"a session name with a slash", map[string]string{"RoleSessionName": "a/b"}, 400, "ValidationError"},
		{"a session name with a line end", map[string]string{"RoleSessionName": "ab\n"}, 400, "ValidationError"},
		{"a session name with an umlaut", map[string]string{"RoleSessionName": "straße"}, 400, "ValidationError"},
		{"no token", map[string]string{"WebIdentityToken": "-"}, 400, "MissingParameter"},
		{"a huge token", map[string]string{"WebIdentityToken": strings.Repeat("x", 17<<10)}, 400, "InvalidIdentityToken"},
		{"a bare role name", map[string]string{"RoleArn": "writer"}, 400, "ValidationError"},
		{"a user's ARN", map[string]string{"RoleArn": "arn:aws:iam::000000000000:user/writer"}, 400, "ValidationError"},
		{"a role that is not there", map[string]string{"RoleArn": writerARN + "s"}, 403, "AccessDenied"},
		{"a role's name with a path", map[string]string{"RoleArn": "arn:aws:iam::000000000000:role/x/writer"}, 403, "AccessDenied"},
		{"a role of another account", map[string]string{"RoleArn": "arn:aws:iam::123456789012:role/writer"}, 403, "AccessDenied"},
		{"a short duration", map[string]string{"DurationSeconds": "899"}, 400, "ValidationError"},
		{"a long duration", map[string]string{"DurationSeconds": "43201"}, 400, "ValidationError"},
		{"more than the role's maximum", map[string]string{"DurationSeconds": "7201"}, 400, "ValidationError"},
		{"a duration with a sign", map[string]string{"DurationSeconds": "+900"}, 400, "ValidationError"},
		{"a duration in words", map[string]string{"DurationSeconds": "1h"}, 400, "ValidationError"},
		{"a duration with a fraction", map[string]string{"DurationSeconds": "900.5"}, 400, "ValidationError"},
		{"an empty policy", map[string]string{"Policy": ""}, 400, "ValidationError"},
		{"a policy that is too long", map[string]string{"Policy": strings.Repeat(" ", 2049)}, 400, "ValidationError"},
		{"a policy that is no JSON", map[string]string{"Policy": "{"}, 400, "MalformedPolicyDocument"},
		{"tags, which web identities don't take", map[string]string{"Tags.member.1.Key": "a", "Tags.member.1.Value": "b"}, 400, "ValidationError"},
		{"a signature beside it", map[string]string{"X-Amz-Signature": "0"}, 400, "ValidationError"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := send(t, http.MethodPost, w.URL+"/sts", w.form(t, test.changes).Encode(), nil)
			if got.status != test.status || got.code != test.code {
				t.Errorf("%d %s, want %d %s", got.status, got.code, test.status, test.code)
			}
			if strings.Contains(got.body, "Credentials") {
				t.Error("there are credentials in a refusal")
			}
		})
	}
}

// TestQueryPlaces holds where the parameters may be: in one place, each once.
func TestQueryPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := w.form(t, nil)
	encoded := form.Encode()
	tests := []struct {
		name, method, target, body string
		status                     int
	}{
		{"body at /sts", "POST", "/sts", encoded, 200},
		{"body at /sts/", "POST", "/sts/", encoded, 200},
		{"body at /", "POST", "/", encoded, 200},
		{"body at //", "POST", "//", encoded, 200},
		{"query of a POST", "POST", "/sts?" + encoded, "", 200},
		{"query of a GET", "GET", "/sts?" + encoded, "", 200},
		{"both", "POST", "/sts?" + encoded, encoded, 400},
		{"the action in the query, the rest in the body", "POST", "/sts?Action=AssumeRoleWithWebIdentity", strings.Replace(encoded, "Action=AssumeRoleWithWebIdentity&", "", 1), 400},
		{"a parameter twice", "POST", "/sts", encoded + "&RoleSessionName=other", 400},
		{"the action twice", "POST", "/sts", encoded + "&Action=GetCallerIdentity", 400},
		{"the action twice, once encoded", "POST", "/sts", encoded + "&%41ction=GetCallerIdentity", 400},
		{"the action twice in the query", "GET", "/sts?" + encoded + "&Action=GetCallerIdentity", "", 400},
		{"a GET with a body", "GET", "/sts", encoded, 400},
		{"a semicolon", "POST", "/sts", encoded + ";Action=GetCallerIdentity", 400},
		{"GET of /", "GET", "/?" + encoded, "", 405},
		{"PUT", "PUT", "/sts", encoded, 405},
		{"too large", "POST", "/sts", encoded + "&X=" + strings.Repeat("x", 64<<10), 413},
		{"another path", "POST", "/sts/x", encoded, 404},
		{"three slashes", "POST", "///", encoded, 307},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := send(t, test.method, w.URL+test.target, test.body, nil); got.status != test.status {
				t.Errorf("%d %s, want %d", got.status, got.body, test.status)
			}
		})
	}
	t.Run("JSON is no form", func(t *testing.T) {
		t.Parallel()
		got := send(t, "POST", w.URL+"/sts", `{"Action":"GetCallerIdentity"}`, http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"AWSSecurityTokenServiceV20110615.GetCallerIdentity"}})
		if got.status != 400 {
			t.Errorf("%d", got.status)
		}
	})
	t.Run("XML whatever is accepted", func(t *testing.T) {
		t.Parallel()
		got := send(t, "POST", w.URL+"/sts", encoded, http.Header{"Accept": {"application/json"}})
		if got.header.Get("Content-Type") != "text/xml; charset=utf-8" || got.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(got.body, "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">") {
			t.Errorf("%v %s", got.header, got.body[:80])
		}
	})
}

// TestWebIdentityTrust holds who may assume a role, by which token.
func TestWebIdentityTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.CreateService(t, "other", authtest.Service{Audiences: []string{"sts"}})
	now := w.Clock.Now()
	tests := []struct {
		name, token  string
		code, reason string
	}{
		{"another subject", w.token(t, "deploy:main", nil), "AccessDenied", "trust_not_matched"},
		{"a star crosses no colon", w.token(t, "build:main:x", nil), "AccessDenied", "trust_not_matched"},
		{"another audience", w.token(t, "build:main", map[string]any{"aud": "others"}), "InvalidIdentityToken", "aud_mismatch"},
		{"no audience", w.token(t, "build:main", map[string]any{"aud": nil}), "InvalidIdentityToken", ""},
		{"no expiry", w.token(t, "build:main", map[string]any{"exp": nil}), "InvalidIdentityToken", ""},
		{"not yet valid", w.token(t, "build:main", map[string]any{"nbf": now.Add(5 * time.Minute).Unix()}), "InvalidIdentityToken", "token_not_yet_valid"},
		{"an unknown issuer", w.token(t, "build:main", map[string]any{"iss": "https://evil.example"}), "InvalidIdentityToken", "issuer_unknown"},
		{"an issuer that begins like ours", w.token(t, "build:main", map[string]any{"iss": w.issuer.URL + "@evil.example"}), "InvalidIdentityToken", "issuer_unknown"},
		{"our own issuer's name in a foreign token", w.token(t, "builder", map[string]any{"iss": w.URL, "aud": "sts"}), "InvalidIdentityToken", ""},
		{"a token of ours for somebody else", w.builder.Token(t, "parse-service").Reveal(), "InvalidIdentityToken", "aud_mismatch"},
		{"another service", other.Token(t, "sts").Reveal(), "AccessDenied", "trust_not_matched"},
		{"a user whose subject reads like a service", w.token(t, "builder", nil), "AccessDenied", "trust_not_matched"},
	}
	for _, test := range tests {
		_, err := w.assume(t, test.token, nil)
		if code := errorCode(err); code != test.code {
			t.Errorf("%s: %v, want %s", test.name, err, test.code)
		}
		if got := w.reason(t, "assume"); test.reason != "" && got != test.reason {
			t.Errorf("%s: reason %s, want %s", test.name, got, test.reason)
		}
	}
}

func errorCode(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// TestRuleD3TemplatesRefuseTheSession: a value that is missing or could reach beyond the
// prefix refuses; nothing becomes an empty prefix.
func TestRuleD3TemplatesRefuseTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	templated := func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String("arn:aws:iam::000000000000:role/templated")
	}
	if _, err := w.assume(t, w.token(t, "build:main", map[string]any{"tenant": "acme", "department": "legal"}), templated); err != nil {
		t.Fatal(err)
	}
	for name, claims := range map[string]map[string]any{
		"nothing":       {},
		"no tenant":     {"department": "legal"},
		"other tenant":  {"tenant": "globex", "department": "legal"},
		"no claim":      {"tenant": "acme"},
		"empty claim":   {"tenant": "acme", "department": ""},
		"slash":         {"tenant": "acme", "department": "a/b"},
		"dots":          {"tenant": "acme", "department": ".."},
		"brace":         {"tenant": "acme", "department": "{tenant}"},
		"star":          {"tenant": "acme", "department": "*"},
		"list":          {"tenant": "acme", "department": []string{"legal"}},
		"number":        {"tenant": "acme", "department": 7},
		"a line end":    {"tenant": "acme", "department": "a\nb"},
		"a NUL":         {"tenant": "acme", "department": "a\x00"},
		"backslash":     {"tenant": "acme", "department": `a\b`},
		"claims object": {"tenant": "acme", "department": map[string]any{"x": "y"}},
	} {
		if _, err := w.assume(t, w.token(t, "build:main", claims), templated); errorCode(err) != "AccessDenied" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMessagesTellNoExpectedValue: a denial gives nothing away, and is XML whatever came.
func TestMessagesTellNoExpectedValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	evil := `<Error>&"'` + "\u2028"
	got := send(t, "POST", w.URL+"/sts", w.form(t, map[string]string{"WebIdentityToken": w.token(t, evil, nil)}).Encode(), nil)
	if got.status != 403 || strings.Contains(got.body, "build:") || strings.Contains(got.body, evil) {
		t.Errorf("%d %s", got.status, got.body)
	}
	same := send(t, "POST", w.URL+"/sts", w.form(t, map[string]string{"RoleArn": writerARN + "-that-is-not-there"}).Encode(), nil)
	mask := func(a answer) string {
		text, _, _ := strings.Cut(a.body, "<RequestId>")
		return strings.NewReplacer("(trust_not_matched)", "", "(role_unknown)", "").Replace(text)
	}
	if mask(got) != mask(same) {
		t.Errorf("a role that is not there is told apart:\n%s\n%s", mask(got), mask(same))
	}
}

// A HEAD would mint credentials that nobody gets.
func TestHeadMintsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/sts", "/sts/"} {
		got := send(t, http.MethodHead, w.URL+path+"?"+w.form(t, nil).Encode(), "", nil)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, POST" {
			t.Errorf("HEAD %s: %d", path, got.status)
		}
	}
	for _, e := range w.Events(t) {
		if e.Action == "assume" && e.Decision == "issued" {
			t.Error("a session was minted")
		}
	}
}
