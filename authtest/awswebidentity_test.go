package authtest_test

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/authtest"
)

const awsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// stsReply has the fields of every answer.
type stsReply struct {
	XMLName  xml.Name
	Identity struct{ Arn, UserId, Account string } `xml:"GetCallerIdentityResult"`
	Session  struct {
		SubjectFromWebIdentityToken, Audience, Provider string
		AssumedRoleUser                                 struct{ AssumedRoleId, Arn string }
		Credentials                                     struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
	} `xml:"AssumeRoleWithWebIdentityResult"`
	Error struct{ Type, Code, Message string }
}

func post(t *testing.T, sts *authtest.AWSSTS, form url.Values) (int, stsReply) {
	t.Helper()
	response, err := http.PostForm(sts.URL, form)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func read(t *testing.T, response *http.Response) (int, stsReply) {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var reply stsReply
	if err := xml.Unmarshal(body, &reply); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if reply.XMLName.Space != awsNamespace || response.Header.Get("Content-Type") != "text/xml" || response.Header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("the answer is not AWS's: %v %v", reply.XMLName, response.Header)
	}
	return response.StatusCode, reply
}

// webIdentity is a double with one role that trusts one issuer.
type webIdentity struct {
	sts    *authtest.AWSSTS
	issuer *authtest.UserIssuer
	clock  *authtest.Clock
	role   string
}

func newWebIdentity(t *testing.T) webIdentity {
	t.Helper()
	clock := new(authtest.Clock)
	issuer := authtest.NewUserIssuer(t, "sts.amazonaws.com")
	issuer.Clock = clock
	sts := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{Clock: clock})
	role := sts.AddRole(t, authtest.AWSRole{
		Name: "writer", Path: "/team/",
		Trust: []authtest.AWSTrust{{Issuer: issuer.URL, Subjects: []string{"role:*:alice"}}},
	})
	return webIdentity{sts: sts, issuer: issuer, clock: clock, role: role}
}

func (w webIdentity) form(token string, more map[string]string) url.Values {
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {w.role},
		"RoleSessionName": {"session-1"}, "WebIdentityToken": {token},
	}
	for name, value := range more {
		form.Set(name, value)
	}
	return form
}

func TestAWSSTSIssuesCredentialsForAWebIdentity(t *testing.T) {
	t.Parallel()
	w := newWebIdentity(t)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
	token := w.issuer.Token(t, "role:writer:alice", map[string]any{"department": "docs"})
	status, reply := post(t, w.sts, w.form(token, map[string]string{"DurationSeconds": "900", "Policy": policy}))
	if status != http.StatusOK || reply.XMLName.Local != "AssumeRoleWithWebIdentityResponse" {
		t.Fatalf("%d %+v", status, reply)
	}
	if got, want := reply.Session.AssumedRoleUser.Arn, "arn:aws:sts::123456789012:assumed-role/writer/session-1"; got != want {
		t.Errorf("Arn %s, want %s: the path is in no session's ARN", got, want)
	}
	if !strings.HasPrefix(reply.Session.Credentials.AccessKeyId, "ASIA") || reply.Session.SubjectFromWebIdentityToken != "role:writer:alice" {
		t.Errorf("%+v", reply.Session)
	}
	expires, err := time.Parse(time.RFC3339, reply.Session.Credentials.Expiration)
	if left := expires.Sub(w.clock.Now()); err != nil || left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("expires %v %v", expires, err)
	}
	sessions := w.sts.Sessions()
	if len(sessions) != 1 || sessions[0].Policy != policy || sessions[0].Claims["department"] != "docs" || sessions[0].Duration != 15*time.Minute {
		t.Errorf("remembered: %+v", sessions)
	}
}

func TestAWSSTSRefusesWebIdentities(t *testing.T) {
	t.Parallel()
	w := newWebIdentity(t)
	good := func(claims map[string]any) string { return w.issuer.Token(t, "role:writer:alice", claims) }
	stranger := authtest.NewUserIssuer(t, "sts.amazonaws.com")
	now := w.clock.Now()
	tests := map[string]struct {
		token  string
		more   map[string]string
		status int
		code   string
	}{
		"no token":            {"", nil, 400, "ValidationError"},
		"no JWT":              {"a.b.c", nil, 400, "InvalidIdentityToken"},
		"unknown issuer":      {stranger.Token(t, "role:writer:alice", nil), nil, 400, "InvalidIdentityToken"},
		"foreign key":         {stranger.Token(t, "role:writer:alice", map[string]any{"iss": w.issuer.URL}), nil, 400, "InvalidIdentityToken"},
		"issuer with a slash": {good(map[string]any{"iss": w.issuer.URL + "/"}), nil, 400, "InvalidIdentityToken"},
		"other audience":      {good(map[string]any{"aud": "web-app"}), nil, 400, "InvalidIdentityToken"},
		"no audience":         {good(map[string]any{"aud": nil}), nil, 400, "InvalidIdentityToken"},
		"no expiry":           {good(map[string]any{"exp": nil}), nil, 400, "InvalidIdentityToken"},
		"expired":             {good(map[string]any{"exp": now.Add(-time.Second).Unix()}), nil, 400, "ExpiredTokenException"},
		"lives too long":      {good(map[string]any{"exp": now.Add(25 * time.Hour).Unix()}), nil, 400, "InvalidIdentityToken"},
		"of the future":       {good(map[string]any{"iat": now.Add(5 * time.Minute).Unix()}), nil, 400, "InvalidIdentityToken"},
		"other subject":       {w.issuer.Token(t, "role:writer:mallory", nil), nil, 403, "AccessDenied"},
		"other role":          {good(nil), map[string]string{"RoleArn": "arn:aws:iam::123456789012:role/none"}, 403, "AccessDenied"},
		"no role":             {good(nil), map[string]string{"RoleArn": "writer"}, 400, "ValidationError"},
		"bad session name":    {good(nil), map[string]string{"RoleSessionName": "a/b"}, 400, "ValidationError"},
		"too short":           {good(nil), map[string]string{"DurationSeconds": "899"}, 400, "ValidationError"},
		"over the role's":     {good(nil), map[string]string{"DurationSeconds": "3601"}, 400, "ValidationError"},
		"no number":           {good(nil), map[string]string{"DurationSeconds": "1h"}, 400, "ValidationError"},
		"long policy":         {good(nil), map[string]string{"Policy": strings.Repeat(" ", 2049)}, 400, "ValidationError"},
		"no policy":           {good(nil), map[string]string{"Policy": `{"Statement":[]}`}, 400, "MalformedPolicyDocument"},
		"bad effect":          {good(nil), map[string]string{"Policy": `{"Statement":[{"Effect":"allow"}]}`}, 400, "MalformedPolicyDocument"},
		"other version":       {good(nil), map[string]string{"Version": "2010-05-08"}, 400, "NoSuchVersion"},
		"other action":        {good(nil), map[string]string{"Action": "AssumeRole"}, 400, "InvalidAction"},
		"no action":           {good(nil), map[string]string{"Action": ""}, 400, "MissingAction"},
	}
	for name, test := range tests {
		status, reply := post(t, w.sts, w.form(test.token, test.more))
		if status != test.status || reply.Error.Code != test.code || reply.XMLName.Local != "ErrorResponse" || reply.Error.Type != "Sender" {
			t.Errorf("%s: %d %+v", name, status, reply.Error)
		}
	}
	if got := w.sts.Sessions(); len(got) != 0 {
		t.Errorf("sessions: %+v", got)
	}
	if got := len(w.sts.Calls()); got != len(tests) {
		t.Errorf("%d calls, want %d", got, len(tests))
	}
}

func TestAWSSTSAsksTheIssuerThatTheTokenNames(t *testing.T) {
	t.Parallel()
	w := newWebIdentity(t)
	token := w.issuer.Token(t, "role:writer:alice", nil)
	// An issuer that is trusted and does not answer.
	claims := map[string]any{"iss": "http://127.0.0.1:1"}
	w.sts.AddRole(t, authtest.AWSRole{Name: "other", Trust: []authtest.AWSTrust{{Issuer: "http://127.0.0.1:1"}}})
	unreachable := w.issuer.Token(t, "role:writer:alice", maps.Clone(claims))
	if status, reply := post(t, w.sts, w.form(unreachable, nil)); status != 400 || reply.Error.Code != "IDPCommunicationError" {
		t.Errorf("%d %+v", status, reply.Error)
	}
	if status, reply := post(t, w.sts, w.form(token, nil)); status != 200 {
		t.Errorf("%d %+v", status, reply.Error)
	}
}

func TestAWSSTSRepliesOnDemand(t *testing.T) {
	t.Parallel()
	sts := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	sts.ReplyNext(authtest.AWSThrottling(), authtest.AWSErrorReply(500, "InternalFailure", ""),
		authtest.AWSIdentityReply("123456789012", "arn:aws:iam::999999999999:root", "999999999999"))
	form := url.Values{"Action": {"GetCallerIdentity"}}
	if status, reply := post(t, sts, form); status != 400 || reply.Error.Code != "Throttling" {
		t.Errorf("%d %+v", status, reply)
	}
	if status, reply := post(t, sts, form); status != 500 || reply.Error.Type != "Receiver" {
		t.Errorf("%d %+v", status, reply)
	}
	if status, reply := post(t, sts, form); status != 200 || reply.Identity.Account != "123456789012" {
		t.Errorf("%d %+v", status, reply)
	}
	if status, reply := post(t, sts, form); status != 403 || reply.Error.Code != "MissingAuthenticationToken" {
		t.Errorf("after the replies: %d %+v", status, reply)
	}
	sts.ReplyAlways(authtest.AWSThrottling())
	for range 2 {
		if status, _ := post(t, sts, form); status != 400 {
			t.Errorf("%d", status)
		}
	}
	sts.ReplyAlways(nil)
	if status, _ := post(t, sts, form); status != 403 {
		t.Errorf("%d", status)
	}
	if got := len(sts.Calls()); got != 7 {
		t.Errorf("%d calls", got)
	}
}

func TestAWSSTSRepliesThatAreNone(t *testing.T) {
	t.Parallel()
	sts := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	sts.ReplyNext(authtest.RedirectReply(http.StatusTemporaryRedirect, "http://127.0.0.1:1/"), authtest.HugeReply(1<<20),
		authtest.CutReply("<GetCallerIdentityResponse>"), authtest.RawReply(200, "text/html", "<p>"))
	get := func() (*http.Response, []byte, error) {
		response, err := noRedirect.Get(sts.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return response, body, err
	}
	if response, _, _ := get(); response.StatusCode != http.StatusTemporaryRedirect || response.Header.Get("Location") == "" {
		t.Errorf("%+v", response)
	}
	if _, body, err := get(); err != nil || len(body) < 1<<20 {
		t.Errorf("huge: %d bytes, %v", len(body), err)
	}
	if _, _, err := get(); err == nil {
		t.Error("the cut answer was whole")
	}
	if response, body, err := get(); err != nil || string(body) != "<p>" || response.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%s %v", body, err)
	}
	sts.ReplyNext(authtest.HangReply())
	hanging := &http.Client{Timeout: 200 * time.Millisecond}
	response, err := hanging.Post(sts.URL, "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity"))
	if err == nil {
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err == nil {
		t.Error("the hanging answer ended")
	}
}
