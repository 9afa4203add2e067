package trust_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// stop is a transport that records what would be sent and sends nothing.
type stop struct{ sent *http.Request }

func (s *stop) RoundTrip(r *http.Request) (*http.Response, error) {
	s.sent = r
	return nil, countersign.NewError(countersign.Upstream, "", "stopped")
}

// FuzzAWSProof: whatever comes, what is sent is one of the two exact requests, to AWS, with
// our Accept and our server id signed, and it is refused or sent once.
func FuzzAWSProof(f *testing.F) {
	for _, p := range []trust.AWSProof{
		signPost(f, "https://sts.amazonaws.com/", keyPair, nil),
		signPost(f, "https://sts.us-east-1.amazonaws.com/", sessionKeys(), map[string]string{"X-Amz-User-Agent": "x", "Accept": "text/xml"}),
		presign(f, "https://sts.cn-north-1.amazonaws.com.cn/", sessionKeys(), 60),
		presign(f, "https://sts.eu-west-1.amazonaws.com/", keyPair, 900),
	} {
		f.Add(p.URL, p.Body, p.Headers)
	}
	f.Add("https://sts.amazonaws.com/?Action=GetCallerIdentity", "", `{"Host":"sts.amazonaws.com","host":"x"}`)
	f.Fuzz(func(t *testing.T, url, body, headers string) {
		transport := &stop{}
		once := &memory{}
		a, err := trust.NewAWS(trust.AWSConfig{ServerID: serverID, SingleUse: once, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		a.SetClient(&http.Client{Transport: transport})
		_, err = a.Verify(context.Background(), trust.AWSProof{URL: url, Body: body, Headers: headers})
		r := transport.sent
		if r == nil {
			if err == nil {
				t.Fatal("proven by nobody")
			}
			return
		}
		base, _, _ := strings.Cut(url, "?")
		if len(once.used) != 1 || countersign.CodeOf(err) != countersign.Upstream {
			t.Errorf("%d signatures were noted, %v", len(once.used), err)
		}
		if r.URL.Scheme != "https" || !strings.HasPrefix(r.URL.Host, "sts") || r.URL.Path != "/" || r.URL.User != nil || r.Host != r.URL.Host ||
			base != "https://"+r.URL.Host+"/" {
			t.Errorf("sent to %s", r.URL)
		}
		if got := r.Header.Values("Accept"); len(got) != 1 || got[0] != "text/xml" {
			t.Errorf("Accept %q", got)
		}
		if r.Header.Get("X-Countersign-Server-Id") != serverID {
			t.Error("no server id")
		}
		query := r.URL.Query()
		signed := query.Get("X-Amz-SignedHeaders")
		if r.Method == http.MethodPost {
			_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
			signed, _, _ = strings.Cut(rest, ",")
			if len(query) != 0 || body != callBody && body != "Version=2011-06-15&Action=GetCallerIdentity" {
				t.Errorf("sent %s, %q", r.URL, body)
			}
		} else if r.Method != http.MethodGet || body != "" || len(query) < 8 || len(query) > 9 || len(query["Action"]) != 1 || query.Get("Action") != "GetCallerIdentity" {
			t.Errorf("sent %s %s", r.Method, r.URL)
		}
		if names := ";" + signed + ";"; !strings.Contains(names, ";host;") || !strings.Contains(names, ";x-countersign-server-id;") {
			t.Errorf("signed %s", signed)
		}
	})
}

// FuzzStatement: whatever is written compiles or is refused, and what compiles trusts
// nobody by accident: not the zero identity, not another kind of proof.
func FuzzStatement(f *testing.F) {
	f.Add("idp", "repo:acme/*", "sts", `claims.ref == "x"`, "repo:acme/docs")
	f.Add("idp", "**", "", `true`, "x")
	f.Add("", "a*b*c**", "a", ``, "abbbc")
	f.Add("a", "arn:aws:sts::123456789012:assumed-role/*/i-*", "", ``, "arn:aws:sts::123456789012:assumed-role/a/i-b")
	f.Fuzz(func(t *testing.T, issuer, subject, audience, condition, value string) {
		for kind, spec := range map[trust.Kind]trust.StatementSpec{
			trust.KindOIDC:    {OIDC: &trust.OIDCSpec{Issuer: issuer, SubjectConditions: []string{subject}, RequiredAudiences: []string{audience}, Condition: condition}},
			trust.KindAWS:     {AWS: &trust.AWSSpec{TrustedAWSAccounts: []string{"123456789012"}, SubjectConditions: []string{subject}, Condition: condition}},
			trust.KindService: {Service: &trust.ServiceSpec{Names: []string{subject}, Condition: condition}},
		} {
			s, err := trust.Compile(spec)
			if err != nil {
				if countersign.CodeOf(err) != countersign.BadPolicy {
					t.Errorf("refused with %v", err)
				}
				continue
			}
			if again, err := trust.Compile(spec); err != nil || again.Fingerprint() != s.Fingerprint() || len(s.Fingerprint()) != 16 {
				t.Errorf("a second time: %v, %s, %s", err, again.Fingerprint(), s.Fingerprint())
			}
			id := trust.Identity{Kind: kind, Issuer: "x", IssuerName: issuer, Subject: value, Service: value, Audience: []string{audience}}
			if kind == trust.KindAWS {
				id.AWS = &trust.AWSCaller{Account: "123456789012", ARN: value}
			}
			matched, why := s.Match(t.Context(), id, trust.RequestContext{Time: now})
			if matched != (why == countersign.ReasonOK) {
				t.Errorf("matched %v, %s", matched, why)
			}
			if matched && condition == "" && !strings.Contains(subject, "*") && subject != value {
				t.Errorf("%q matched %q", subject, value)
			}
			_ = s.Near(id)
			other := id
			other.Kind = "other"
			for _, nobody := range []trust.Identity{{}, {Kind: kind}, other} {
				if matched, _ := s.Match(t.Context(), nobody, trust.RequestContext{Time: now}); matched {
					t.Errorf("%+v matched", nobody)
				}
			}
		}
	})
}

// FuzzWebIdentity: no token that this test did not sign proves anybody.
func FuzzWebIdentity(f *testing.F) {
	issuers := &documents{}
	v := newVerifier(f, issuers, nil)
	own := mint(ownKey, ownHead(), ownClaims())
	f.Add(own)
	f.Add(own[:len(own)-1])
	f.Add(mint(idpKey, head(), object{"iss": "https://idp.example.com", "sub": "x", "aud": "sts", "exp": now.Unix() + 60}))
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.WebIdentity(t.Context(), token)
		switch code := countersign.CodeOf(err); code {
		case "":
			if token != own || id.Service != "document-service" {
				t.Errorf("%q proved %+v", token, id)
			}
		case countersign.BadToken, countersign.Expired:
		default:
			t.Errorf("refused with %v", err)
		}
	})
}
