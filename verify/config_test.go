package verify_test

import (
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// TestVulnerability12ConfigThatTrustsTooMuchDoesNotStart: among others without an
// audience, with a symmetric algorithm, with an issuer over plain http.
func TestVulnerability12ConfigThatTrustsTooMuchDoesNotStart(t *testing.T) {
	t.Parallel()
	own := func(change func(*verify.Issuer)) verify.Config {
		i := verify.Issuer{URL: issuerURL}
		change(&i)
		return verify.Config{Audience: audience, Issuers: []verify.Issuer{i}}
	}
	tests := map[string]verify.Config{
		"nothing":     {},
		"no issuer":   {Audience: audience},
		"no audience": {Issuers: []verify.Issuer{{URL: issuerURL}}},
		"one of two without audience": {Issuers: []verify.Issuer{
			{URL: issuerURL, Audiences: []string{"a"}}, {URL: foreignURL, Subject: verify.User},
		}},
		"empty audiences": own(func(i *verify.Issuer) { i.Audiences = []string{} }),
		"empty audience":  own(func(i *verify.Issuer) { i.Audiences = []string{""} }),
		"negative cache":  {Audience: audience, MaxCached: -2, Issuers: []verify.Issuer{{URL: issuerURL}}},

		"no URL":            own(func(i *verify.Issuer) { i.URL = "" }),
		"plain http":        own(func(i *verify.Issuer) { i.URL = "http://auth.example.com" }),
		"plain http inside": own(func(i *verify.Issuer) { i.URL, i.AllowPrivateAddresses = "http://10.0.0.1", true }),
		"user information":  own(func(i *verify.Issuer) { i.URL = "https://a:b@auth.example.com" }),
		"query":             own(func(i *verify.Issuer) { i.URL = "https://auth.example.com?a=b" }),
		"fragment":          own(func(i *verify.Issuer) { i.URL = "https://auth.example.com#a" }),
		"no scheme":         own(func(i *verify.Issuer) { i.URL = "auth.example.com" }),
		"JWKS plain http":   own(func(i *verify.Issuer) { i.JWKSURL = "http://auth.example.com/jwks" }),
		"JWKS on our host":  own(func(i *verify.Issuer) { i.JWKSURL = "http://127.0.0.1:8440/jwks" }),
		"JWKS relative":     own(func(i *verify.Issuer) { i.JWKSURL = "/jwks" }),

		"HS256":             own(func(i *verify.Issuer) { i.Algorithms = []string{"ES256", "HS256"} }),
		"none":              own(func(i *verify.Issuer) { i.Algorithms = []string{"none"} }),
		"unknown profile":   own(func(i *verify.Issuer) { i.Profile = "saml" }),
		"unknown subject":   own(func(i *verify.Issuer) { i.Subject = 7 }),
		"OIDC, no subject":  own(func(i *verify.Issuer) { i.Profile = verify.OIDC }),
		"mapping for ours":  own(func(i *verify.Issuer) { i.Roles = map[string]string{"a": "b"} }),
		"scopes for ours":   own(func(i *verify.Issuer) { i.Scopes = []string{"a"} }),
		"claims for ours":   own(func(i *verify.Issuer) { i.Claims.Service = "sub" }),
		"token use of ours": own(func(i *verify.Issuer) { i.TokenUse = "id" }),
		"cognito, no use":   own(func(i *verify.Issuer) { i.Profile, i.Subject = verify.Cognito, verify.User }),
		"cognito, other use": own(func(i *verify.Issuer) {
			i.Profile, i.Subject, i.TokenUse = verify.Cognito, verify.User, "refresh"
		}),
		"service with a slash": own(func(i *verify.Issuer) { i.Subject, i.Services = verify.Service, []string{"a/b"} }),
		"empty service":        own(func(i *verify.Issuer) { i.Subject, i.Services = verify.Service, []string{""} }),
		"empty tenant":         own(func(i *verify.Issuer) { i.Subject, i.Tenants = verify.User, []string{""} }),
		"empty scope":          own(func(i *verify.Issuer) { i.Subject, i.Scopes = verify.User, []string{""} }),
	}
	for name, cfg := range tests {
		if _, err := verify.New(cfg); countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}

func TestRuleD10IssuersThatCanNotBeToldApart(t *testing.T) {
	t.Parallel()
	user := func(audiences ...string) verify.Issuer {
		return verify.Issuer{URL: foreignURL, Subject: verify.User, Audiences: audiences}
	}
	for name, test := range map[string]struct {
		cfg verify.Config
		ok  bool
	}{
		"the same":              {verify.Config{Audience: audience, Issuers: []verify.Issuer{user(), user()}}, false},
		"overlapping":           {verify.Config{Issuers: []verify.Issuer{user("a", "b"), user("b", "c")}}, false},
		"default and the same":  {verify.Config{Audience: "a", Issuers: []verify.Issuer{user(), user("a")}}, false},
		"any audience, no list": {verify.Config{InsecureAnyAudience: true, Issuers: []verify.Issuer{user(), user("a")}}, false},
		"distinct":              {verify.Config{Issuers: []verify.Issuer{user("a"), user("b"), user("c", "d")}}, true},
		"another URL":           {verify.Config{Audience: "a", Issuers: []verify.Issuer{user(), {URL: foreignURL + "/", Subject: verify.User}}}, true},
	} {
		v, err := verify.New(test.cfg)
		if (err == nil) != test.ok || err != nil && countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%s: %v, want ok %v", name, err, test.ok)
		}
		if v != nil {
			_ = v.Close()
		}
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	if got := newVerifier(t, config()).Audience(); got != audience {
		t.Errorf("Audience = %q", got)
	}
}

func TestIssuerNeedsNoURLWithKeysOfItsOwn(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Issuers[0].URL = "kubernetes/serviceaccount"
	v := newVerifier(t, cfg)
	if _, err := v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"iss": "kubernetes/serviceaccount"}))); err != nil {
		t.Error(err)
	}
}
