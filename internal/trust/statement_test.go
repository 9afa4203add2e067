package trust_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

func contextOver(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// TestCompileRefuses: what could mean more than its author thinks is no statement.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2000)
	tests := map[string]trust.StatementSpec{
		"nothing":                 {},
		"two proofs":              {Service: &trust.ServiceSpec{Names: []string{"a"}}, OIDC: &trust.OIDCSpec{Issuer: "idp", SubjectConditions: []string{"a"}}},
		"no issuer":               {OIDC: &trust.OIDCSpec{SubjectConditions: []string{"a"}}},
		"a URL as issuer":         oidc(trust.OIDCSpec{Issuer: "https://idp.example.com", SubjectConditions: []string{"a"}}),
		"everybody of an issuer":  oidc(trust.OIDCSpec{}),
		"audiences alone":         oidc(trust.OIDCSpec{RequiredAudiences: []string{"sts"}}),
		"a star alone":            oidc(trust.OIDCSpec{SubjectConditions: []string{"*"}}),
		"two stars alone":         oidc(trust.OIDCSpec{SubjectConditions: []string{"a", "**"}}),
		"two stars inside":        oidc(trust.OIDCSpec{SubjectConditions: []string{"a**b"}}),
		"three stars":             oidc(trust.OIDCSpec{SubjectConditions: []string{"a***"}}),
		"an empty pattern":        oidc(trust.OIDCSpec{SubjectConditions: []string{""}}),
		"a long pattern":          oidc(trust.OIDCSpec{SubjectConditions: []string{long}}),
		"a control":               oidc(trust.OIDCSpec{SubjectConditions: []string{"a\nb"}}),
		"too many":                oidc(trust.OIDCSpec{SubjectConditions: make([]string, 65)}),
		"an empty audience":       oidc(trust.OIDCSpec{SubjectConditions: []string{"a"}, RequiredAudiences: []string{""}}),
		"a condition of no type":  oidc(trust.OIDCSpec{Condition: `"x"`}),
		"a condition with errors": oidc(trust.OIDCSpec{Condition: `claims.`}),
		"an unknown variable":     oidc(trust.OIDCSpec{Condition: `nobody == "x"`}),
		"a costly condition":      oidc(trust.OIDCSpec{Condition: `claims.all(a, claims.all(b, claims.all(c, a == b && b == c)))`}),
		"aws of a token":          oidc(trust.OIDCSpec{Condition: `aws.account == "123456789012"`}),
		"claims of aws":           awsTrust(trust.AWSSpec{Condition: `claims.sub == "x"`}),
		"service of aws":          awsTrust(trust.AWSSpec{Condition: `service.name == "x"`}),

		"no service account":    {Kubernetes: &trust.KubernetesSpec{Issuer: "a"}},
		"a name alone":          {Kubernetes: &trust.KubernetesSpec{Issuer: "a", ServiceAccount: "x"}},
		"three parts":           {Kubernetes: &trust.KubernetesSpec{Issuer: "a", ServiceAccount: "x/y/z"}},
		"a star as a name":      {Kubernetes: &trust.KubernetesSpec{Issuer: "a", ServiceAccount: "x/*"}},
		"a colon in a name":     {Kubernetes: &trust.KubernetesSpec{Issuer: "a", ServiceAccount: "x:y/z"}},
		"no cluster":            {Kubernetes: &trust.KubernetesSpec{ServiceAccount: "x/y"}},
		"no repository":         {GitHub: &trust.GitHubSpec{Ref: "refs/heads/main"}},
		"every repository":      {GitHub: &trust.GitHubSpec{Repository: "acme/*"}},
		"a repository alone":    {GitHub: &trust.GitHubSpec{Repository: "docs"}},
		"a star as a ref":       {GitHub: &trust.GitHubSpec{Repository: "acme/docs", Ref: "refs/heads/*"}},
		"a star as environment": {GitHub: &trust.GitHubSpec{Repository: "acme/docs", Environment: "*"}},
		"a subject as one":      {GitHub: &trust.GitHubSpec{Repository: "repo:acme/docs"}},

		"no account":                     {AWS: &trust.AWSSpec{SubjectConditions: []string{"arn:**"}}},
		"a whole account":                awsTrust(trust.AWSSpec{}),
		"a short account":                awsTrust(trust.AWSSpec{TrustedAWSAccounts: []string{"12345"}, SubjectConditions: []string{"arn:**"}}),
		"an account with a star":         awsTrust(trust.AWSSpec{TrustedAWSAccounts: []string{"*"}, SubjectConditions: []string{"arn:**"}}),
		"all of an account":              awsTrust(trust.AWSSpec{SubjectConditions: []string{"**"}}),
		"an account as unique id":        awsTrust(trust.AWSSpec{UniqueIDs: []string{"123456789012"}}),
		"a pattern as unique id":         awsTrust(trust.AWSSpec{UniqueIDs: []string{"AROA*"}}),
		"a session as unique id":         awsTrust(trust.AWSSpec{UniqueIDs: []string{"AROAIOSFODNN7EXAMPLE:x"}}),
		"no service":                     {Service: &trust.ServiceSpec{}},
		"no service, though a condition": {Service: &trust.ServiceSpec{Condition: "true"}},
		"every service":                  {Service: &trust.ServiceSpec{Names: []string{"*"}}},
	}
	for name, spec := range tests {
		if _, err := trust.Compile(spec); countersign.CodeOf(err) != countersign.BadPolicy || countersign.MessageOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRuleA5Fingerprint: whatever changes about a statement gives it another fingerprint,
// and what changes nothing gives it none.
func TestRuleA5Fingerprint(t *testing.T) {
	t.Parallel()
	specs := []trust.StatementSpec{
		oidc(trust.OIDCSpec{SubjectConditions: []string{"a"}}),
		oidc(trust.OIDCSpec{SubjectConditions: []string{"a", "b"}}),
		oidc(trust.OIDCSpec{SubjectConditions: []string{"ab"}}),
		oidc(trust.OIDCSpec{SubjectConditions: []string{"a"}, RequiredAudiences: []string{"b"}}),
		oidc(trust.OIDCSpec{SubjectConditions: []string{"a"}, Condition: "true"}),
		oidc(trust.OIDCSpec{SubjectConditions: []string{"a"}, Condition: "false"}),
		oidc(trust.OIDCSpec{Issuer: "other", SubjectConditions: []string{"a"}}),
		{Service: &trust.ServiceSpec{Names: []string{"a"}}},
		{Kubernetes: &trust.KubernetesSpec{Issuer: "idp", ServiceAccount: "a/b"}},
		{Kubernetes: &trust.KubernetesSpec{Issuer: "idp", ServiceAccount: "a/c"}},
		{GitHub: &trust.GitHubSpec{Repository: "acme/docs"}},
		{GitHub: &trust.GitHubSpec{Repository: "acme/docs", Ref: "a"}},
		{GitHub: &trust.GitHubSpec{Repository: "acme/docs", Environment: "a"}},
		{GitHub: &trust.GitHubSpec{Issuer: "idp", Repository: "acme/docs"}},
		awsTrust(trust.AWSSpec{SubjectConditions: []string{"a"}}),
		awsTrust(trust.AWSSpec{SubjectConditions: []string{"a"}, UniqueIDs: []string{"AROAIOSFODNN7EXAMPLE"}}),
		awsTrust(trust.AWSSpec{TrustedAWSAccounts: []string{"123456789012", "210987654321"}, SubjectConditions: []string{"a"}}),
	}
	seen := make(map[string]int)
	for i, spec := range specs {
		print := compile(t, spec).Fingerprint()
		if !regexp.MustCompile(`\A[0-9a-f]{16}\z`).MatchString(print) {
			t.Errorf("%d: %q", i, print)
		}
		if other, twice := seen[print]; twice {
			t.Errorf("%d has the fingerprint of %d", i, other)
		}
		seen[print] = i
		if compile(t, spec).Fingerprint() != print {
			t.Errorf("%d: another fingerprint at the second time", i)
		}
	}
	one := compile(t, oidc(trust.OIDCSpec{SubjectConditions: []string{"a", "b"}, RequiredAudiences: []string{"x", "y"}}))
	two := compile(t, oidc(trust.OIDCSpec{SubjectConditions: []string{"b", "a", "b"}, RequiredAudiences: []string{"y", "x"}}))
	if one.Fingerprint() != two.Fingerprint() {
		t.Error("the order of a list counts")
	}
}
