package authn_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// s3Rig is what proves S3 requests, with roles, an issuer and a service on real pieces.
type s3Rig struct {
	*fixture.Parts
	s3     *authn.S3
	sealer *session.Sealer
}

func newS3Rig(tb testing.TB) *s3Rig { return newS3RigAt(tb, start) }

func newS3RigAt(tb testing.TB, at time.Time) *s3Rig {
	tb.Helper()
	rig := &s3Rig{Parts: fixture.Open(tb, fixture.Config{Start: at})}
	rig.sealer = session.New(session.Config{Keys: rig.Keys, DeploymentID: "0123456789abcdef", Now: rig.Clock.Now})
	var err error
	if rig.s3, err = authn.NewS3(authn.S3Config{Sealer: rig.sealer, Registry: rig.Registry, Now: rig.Clock.Now}); err != nil {
		tb.Fatal(err)
	}
	rig.create(tb, resource.KindIssuer, "workloads", `{
		"url": "https://idp.example.com", "subject": "workload", "profile": "oidc", "audiences": ["sts-clients"]}`)
	rig.role(tb, "writer", `[{"bucket": "documents", "prefixes": ["resumes/", "exact.txt"], "actions": ["get_object", "put_object", "list_bucket"]}]`)
	return rig
}

func (r *s3Rig) create(tb testing.TB, kind, name, spec string) {
	tb.Helper()
	err := r.Store.Update(tb.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateObject(ctx, store.Object{
			UID: "uid-" + name, Kind: kind, Name: name, Spec: []byte(spec), Revision: 1, CreatedAt: start, UpdatedAt: start,
		})
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func (r *s3Rig) role(tb testing.TB, name, permissions string) {
	tb.Helper()
	r.create(tb, resource.KindRole, name, `{
		"trust": [{"oidc": {"issuer": "workloads", "subject_conditions": ["build:*"]}}], "permissions": `+permissions+`}`)
}

// mint returns credentials of a role for an hour, of a session that change may change.
func (r *s3Rig) mint(tb testing.TB, role string, change func(*session.Session)) sigv4.Credentials {
	tb.Helper()
	found, err := r.Registry.Role(tb.Context(), role)
	if err != nil {
		tb.Fatal(err)
	}
	s := session.Session{
		Role: found.Name, RoleUID: found.UID, Name: "job-7", Kind: session.OIDC, Issuer: "https://idp.example.com",
		Subject: "build:main", IssuerUID: "uid-workloads", Fingerprint: found.Trust[0].Fingerprint(),
		IssuedAt: r.Clock.Now(), ExpiresAt: r.Clock.Now().Add(time.Hour),
	}
	if change != nil {
		change(&s)
	}
	c, _, err := r.sealer.Mint(s)
	if err != nil {
		tb.Fatal(err)
	}
	return sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// s3Request is a request with a body as a server gets it, not signed.
func s3Request(method, path, body string) *http.Request {
	return httptest.NewRequest(method, "https://s3.example.com"+path, strings.NewReader(body))
}

func (r *s3Rig) sign(tb testing.TB, request *http.Request, c sigv4.Credentials, payload string) *http.Request {
	tb.Helper()
	o := sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: r.Clock.Now(), PayloadHash: payload}
	if err := sigv4.Sign(request, c, o); err != nil {
		tb.Fatal(err)
	}
	return request
}

func (r *s3Rig) presign(tb testing.TB, request *http.Request, c sigv4.Credentials, expires time.Duration) *http.Request {
	tb.Helper()
	u, err := sigv4.Presign(request, c, sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: r.Clock.Now()}, expires)
	if err != nil {
		tb.Fatal(err)
	}
	return httptest.NewRequest(request.Method, u.String(), nil)
}

// get is a signed GET of a key that the role may get.
func (r *s3Rig) get(tb testing.TB, c sigv4.Credentials) *http.Request {
	tb.Helper()
	return r.sign(tb, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, sigv4.EmptyPayloadHash)
}

// refuse wants that no caller comes of a request, with one of the codes.
func (r *s3Rig) refuse(tb testing.TB, what string, request *http.Request, o authn.S3Options, codes ...countersign.Code) {
	tb.Helper()
	caller, err := r.s3.Authenticate(request, o)
	if caller != nil || !slices.Contains(codes, countersign.CodeOf(err)) {
		tb.Errorf("%s: %v, %v, want %v", what, caller != nil, err, codes)
	}
}

func TestS3Session(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	for name, request := range map[string]*http.Request{
		"header": rig.get(t, c), "presigned": rig.presign(t, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, time.Minute),
	} {
		caller, err := rig.s3.Authenticate(request, authn.S3Options{AllowUnsigned: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if caller.Session.Subject != "build:main" || caller.Role.Name != "writer" || caller.Signed().AccessKeyID != c.AccessKeyID {
			t.Errorf("%s: %+v", name, caller.Session)
		}
		for what, want := range map[[3]string]bool{
			{"get_object", "documents", "resumes/a.pdf"}:    true,
			{"head_object", "documents", "resumes/a.pdf"}:   true,
			{"get_object", "documents", "exact.txt"}:        true,
			{"list_bucket", "documents", "resumes/2026/"}:   true,
			{"get_object", "documents", "exact.txt2"}:       false,
			{"get_object", "documents", "resumes"}:          false,
			{"get_object", "other", "resumes/a.pdf"}:        false,
			{"get_object", "", "resumes/a.pdf"}:             false,
			{"delete_object", "documents", "resumes/a.pdf"}: false,
			{"list_bucket", "documents", ""}:                false,
			{"list_bucket", "documents", "res"}:             false,
			{"GetObject", "documents", "resumes/a.pdf"}:     false,
			{"", "documents", "resumes/a.pdf"}:              false,
		} {
			if got := caller.Allow(what[0], what[1], what[2]); got != want {
				t.Errorf("%s: Allow(%q) = %t", name, what, got)
			}
		}
	}
	if (*authn.S3Caller)(nil).Allow("get_object", "documents", "resumes/a.pdf") || new(authn.S3Caller).Allow("get_object", "documents", "resumes/a.pdf") {
		t.Error("nobody may do something")
	}
}

func TestRuleD5PrefixDecidesThePath(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	for name, test := range map[string]struct {
		id    string
		token countersign.Secret
	}{
		"ASIA without a token":      {c.AccessKeyID, countersign.Secret{}},
		"AKIA with a token":         {"AKIA" + c.AccessKeyID[4:], c.SessionToken},
		"AKIA without one, unknown": {"AKIA" + c.AccessKeyID[4:], countersign.Secret{}},
		"neither":                   {"AROA" + c.AccessKeyID[4:], c.SessionToken},
		"small letters":             {"asia" + c.AccessKeyID[4:], c.SessionToken},
		"another id":                {"ASIA" + strings.Repeat("A", 16), c.SessionToken},
		"a token that is none":      {c.AccessKeyID, countersign.NewSecret("token")},
		"half a token":              {c.AccessKeyID, countersign.NewSecret(c.SessionToken.Reveal()[:100])},
	} {
		other := sigv4.Credentials{AccessKeyID: test.id, SecretAccessKey: c.SecretAccessKey, SessionToken: test.token}
		rig.refuse(t, name, rig.get(t, other), authn.S3Options{AllowUnsigned: true}, countersign.BadClient)
	}
}

func TestRuleF2FailedMaterialIsNeverAnonymous(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	wrong := c
	wrong.SecretAccessKey = countersign.NewSecret("wrong")
	failed := []countersign.Code{
		countersign.BadHeader, countersign.Invalid, countersign.BadClient, countersign.BadSignature, countersign.BadToken,
		countersign.Expired, countersign.Skewed, countersign.BodyMismatch,
	}
	for name, change := range map[string]func(*http.Request) *http.Request{
		"an empty header": func(r *http.Request) *http.Request { r.Header.Set("Authorization", ""); return r },
		"a bearer":        func(r *http.Request) *http.Request { r.Header.Set("Authorization", "Bearer x"); return r },
		"a password":      func(r *http.Request) *http.Request { r.Header.Set("Authorization", "Basic eDp5"); return r },
		"version 2":       func(r *http.Request) *http.Request { r.Header.Set("Authorization", "AWS AKIA:x"); return r },
		"version 4A": func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", "AWS4-ECDSA-P256-SHA256 x")
			return r
		},
		"two headers": func(*http.Request) *http.Request {
			r := rig.get(t, c)
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
			return r
		},
		"a token alone":  func(r *http.Request) *http.Request { r.Header.Set("X-Amz-Security-Token", "x"); return r },
		"an empty token": func(r *http.Request) *http.Request { r.Header.Set("X-Amz-Security-Token", ""); return r },
		"a query of version 2": func(r *http.Request) *http.Request {
			r.URL.RawQuery = "AWSAccessKeyId=x&Signature=y&Expires=1"
			return r
		},
		"half a query":         func(r *http.Request) *http.Request { r.URL.RawQuery = "X-Amz-Signature="; return r },
		"a query in small":     func(r *http.Request) *http.Request { r.URL.RawQuery = "x-amz-credential=x"; return r },
		"a token in the query": func(r *http.Request) *http.Request { r.URL.RawQuery = "X-Amz-Security-Token=x"; return r },
		"the wrong secret":     func(*http.Request) *http.Request { return rig.get(t, wrong) },
		"header and query": func(*http.Request) *http.Request {
			r := rig.get(t, c)
			r.URL.RawQuery = rig.presign(t, s3Request("GET", "/documents/resumes/a.pdf", ""), c, time.Minute).URL.RawQuery
			return r
		},
		"a header and SigV2": func(*http.Request) *http.Request { r := rig.get(t, c); r.URL.RawQuery = "AWSAccessKeyId=x"; return r },
		"the wrong one, by URL": func(*http.Request) *http.Request {
			return rig.presign(t, s3Request("GET", "/documents/resumes/a.pdf", ""), wrong, time.Minute)
		},
		"a key of the query twice": func(*http.Request) *http.Request {
			return rig.sign(t, s3Request("GET", "/documents?prefix=resumes/&prefix=x", ""), c, sigv4.EmptyPayloadHash)
		},
		"a key in two spellings": func(*http.Request) *http.Request {
			return rig.sign(t, s3Request("GET", "/documents?prefix=resumes/&Prefix=x", ""), c, sigv4.EmptyPayloadHash)
		},
	} {
		request := change(s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""))
		rig.refuse(t, name, request, authn.S3Options{AllowUnsigned: true}, failed...)
	}
	rig.refuse(t, "nothing at all", s3Request(http.MethodGet, "/documents/resumes/a.pdf?x-id=GetObject", ""), authn.S3Options{}, countersign.Unauthenticated)
}

func TestRuleF3PresignedEndsWithTheSession(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	end := rig.Clock.Now().Add(time.Hour)
	short := rig.presign(t, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, 10*time.Minute)
	long := rig.presign(t, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, sigv4.MaxExpires)
	for request, want := range map[*http.Request]time.Time{short: rig.Clock.Now().Add(10 * time.Minute), long: end, rig.get(t, c): end} {
		caller, err := rig.s3.Authenticate(request, authn.S3Options{AllowUnsigned: true})
		if err != nil || !caller.ExpiresAt().Equal(want) {
			t.Errorf("%v, want one until %s", err, want)
		}
	}
	rig.Clock.Advance(10 * time.Minute)
	rig.refuse(t, "the short one", short, authn.S3Options{AllowUnsigned: true}, countersign.Expired)
	rig.Clock.Set(end.Add(-time.Second))
	if _, err := rig.s3.Authenticate(long, authn.S3Options{AllowUnsigned: true}); err != nil {
		t.Errorf("the long one: %v", err)
	}
	rig.Clock.Set(end)
	rig.refuse(t, "the long one", long, authn.S3Options{AllowUnsigned: true}, countersign.Expired)
	// The signature covers the token and the host.
	rig.Clock.Set(start)
	other := rig.mint(t, "writer", nil)
	moved := rig.presign(t, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, time.Minute)
	moved.Host = "evil.example.com"
	rig.refuse(t, "another host", moved, authn.S3Options{AllowUnsigned: true}, countersign.BadSignature)
	swapped := rig.presign(t, s3Request(http.MethodGet, "/documents/resumes/a.pdf", ""), c, time.Minute)
	query := swapped.URL.Query()
	query.Set("X-Amz-Security-Token", other.SessionToken.Reveal())
	swapped.URL.RawQuery = query.Encode()
	rig.refuse(t, "the token of another session", swapped, authn.S3Options{AllowUnsigned: true}, countersign.BadClient, countersign.BadSignature)
}

func TestRuleF4UnsignedBodiesAndScopes(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	put := func(payload string) *http.Request {
		r := s3Request(http.MethodPut, "/documents/resumes/a.pdf", "abc")
		if payload == sigv4.StreamingUnsignedTrailer {
			r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
			r.Header.Set("X-Amz-Decoded-Content-Length", "3")
		}
		return rig.sign(t, r, c, payload)
	}
	for _, payload := range []string{sigv4.UnsignedPayload, sigv4.StreamingUnsignedTrailer} {
		rig.refuse(t, payload, put(payload), authn.S3Options{}, countersign.BodyMismatch)
		if _, err := rig.s3.Authenticate(put(payload), authn.S3Options{AllowUnsigned: true}); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
	link := rig.presign(t, s3Request(http.MethodPut, "/documents/resumes/a.pdf", ""), c, time.Minute)
	rig.refuse(t, "presigned", link, authn.S3Options{}, countersign.BodyMismatch)
	for service, path := range map[string]sigv4.PathForm{"sts": sigv4.PathObject, "s3-outposts": sigv4.PathObject, "S3": sigv4.PathObject, "execute-api": sigv4.PathObject} {
		r := s3Request(http.MethodGet, "/documents/resumes/a.pdf", "")
		err := sigv4.Sign(r, c, sigv4.SignOptions{Region: "us-east-1", Service: service, Time: rig.Clock.Now(), SendPayloadHash: true, PayloadHash: sigv4.EmptyPayloadHash, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		rig.refuse(t, "signed for "+service, r, authn.S3Options{AllowUnsigned: true}, countersign.BadSignature)
	}
}

func TestRuleC3SkewOfSignatures(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	rig.Clock.Advance(20 * time.Minute)
	c := rig.mint(t, "writer", nil)
	request := rig.get(t, c)
	at := rig.Clock.Now()
	for after, want := range map[time.Duration]countersign.Code{
		15 * time.Minute: "", 15*time.Minute + time.Second: countersign.Skewed,
	} {
		rig.Clock.Set(at.Add(after))
		if _, err := rig.s3.Authenticate(request, authn.S3Options{}); countersign.CodeOf(err) != want {
			t.Errorf("%s after: %v, want %q", after, err, want)
		}
	}
}

func TestRuleD3TemplatesOfSessions(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	rig.role(t, "templates", `[{"bucket": "{tenant}-docs", "prefixes": ["{service}/{role}/{issuer}/{claims.dept}/"], "actions": ["get_object"]}]`)
	full := func(s *session.Session) {
		s.Tenant, s.Service, s.Values = "acme", "", map[string]string{"issuer": "workloads", "claims.dept": "hr", "service": "x"}
	}
	of := func(change func(*session.Session)) func(*session.Session) {
		return func(s *session.Session) { full(s); s.Service = "reader"; s.ServiceUID = "uid-reader"; change(s) }
	}
	err := rig.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateService(ctx, store.Service{UID: "uid-reader", Name: "reader", Revision: 1, CreatedAt: start, UpdatedAt: start})
	})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := rig.s3.Authenticate(rig.get(t, rig.mint(t, "templates", of(func(*session.Session) {}))), authn.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{
		"reader/templates/workloads/hr/a": true, "reader/templates/workloads/hrx/a": false,
		"{service}/{role}/{issuer}/{claims.dept}/a": false, "x/templates/workloads/hr/a": false,
	} {
		if caller.Allow("get_object", "acme-docs", key) != want || caller.Allow("get_object", "{tenant}-docs", key) {
			t.Errorf("%s: want %t", key, want)
		}
	}
	for name, change := range map[string]func(*session.Session){
		"no tenant":          of(func(s *session.Session) { s.Tenant = "" }),
		"no service":         full, // what was sealed under the name of a verified value is not one
		"no issuer":          of(func(s *session.Session) { delete(s.Values, "issuer") }),
		"no claim":           of(func(s *session.Session) { delete(s.Values, "claims.dept") }),
		"a claim with /":     of(func(s *session.Session) { s.Values["claims.dept"] = "hr/../x" }),
		"a claim with a *":   of(func(s *session.Session) { s.Values["claims.dept"] = "*" }),
		"a template":         of(func(s *session.Session) { s.Values["claims.dept"] = "{tenant}" }),
		"a tenant of a host": of(func(s *session.Session) { s.Tenant = "ACME" }),
	} {
		rig.refuse(t, name, rig.get(t, rig.mint(t, "templates", change)), authn.S3Options{}, countersign.Denied)
	}
}

func TestRuleD7SessionPolicyNarrows(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	narrow, err := policy.ParseSessionPolicy(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
		{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"},
		{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::documents/resumes/secret*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := rig.s3.Authenticate(rig.get(t, rig.mint(t, "writer", func(s *session.Session) { s.Policy = narrow.String() })), authn.S3Options{})
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[[3]string]bool{
		{"get_object", "documents", "resumes/a.pdf"}:      true,
		{"get_object", "documents", "resumes/secret.pdf"}: false,
		{"put_object", "documents", "resumes/a.pdf"}:      false,
		{"get_object", "documents", "other/a.pdf"}:        false, // the role does not
		{"delete_object", "documents", "resumes/a.pdf"}:   false,
	} {
		if got := caller.Allow(what[0], what[1], what[2]); got != want {
			t.Errorf("Allow(%q) = %t", what, got)
		}
	}
	malformed := rig.get(t, rig.mint(t, "writer", func(s *session.Session) { s.Policy = "not what we write" }))
	rig.refuse(t, "a policy that does not open", malformed, authn.S3Options{}, countersign.BadToken)
}
