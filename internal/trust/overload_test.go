package trust_test

import (
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// TestVulnerability21 is CVE-2024-29892 and its like: no claim of a foreign token sets what
// only its issuer's document, or a token of ours, can set.
func TestVulnerability21(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	v := newVerifier(t, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, nil)
	id, err := v.WebIdentity(t.Context(), mint(idpKey, head().with(object{"typ": "at+jwt"}), i.claims().with(object{
		"service_id": "document-service", "service_uid": "u-1", "client_id": "document-service", "tenant": "acme", "tenant_id": "acme",
		"sub_iss": ownIssuer, "act": object{"sub": "document-service"}, "custom:service_id": "document-service",
		"aws": object{"account": "123456789012"}, "aws.account": "123456789012", "service.name": "document-service",
		"roles": []string{"super-admin"}, "scope": "s2s:internal", "scp": []string{"s2s:internal"},
	})))
	if err != nil {
		t.Fatal(err)
	}
	if id.Kind != trust.KindOIDC || id.Issuer != i.URL || id.Service != "" || id.ServiceUID != "" || id.ClaimedService != "" ||
		id.Tenant != "" || id.Roles != nil || id.Scopes != nil || id.AWS != nil || id.TokenID != "" || id.KID != "" {
		t.Errorf("got %+v", id)
	}
	for _, spec := range []trust.StatementSpec{
		{Service: &trust.ServiceSpec{Names: []string{"document-service"}}},
		awsTrust(trust.AWSSpec{SubjectConditions: []string{"**"}, Condition: "true"}),
		oidc(trust.OIDCSpec{Condition: `service.name != ""`}),
		oidc(trust.OIDCSpec{Condition: `service.tenant == "acme"`}),
	} {
		if matched, why := compile(t, spec).Match(t.Context(), id, trust.RequestContext{Time: now}); matched {
			t.Errorf("%+v matched: %s", spec, why)
		}
	}
}

// TestVulnerability20: trust that lets in more people than its author thinks is no statement
// here; what compiles and is still dangerous is for package lint.
func TestVulnerability20(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]trust.StatementSpec{
		"nobody in particular":       oidc(trust.OIDCSpec{Issuer: "github", RequiredAudiences: []string{"sts"}}),
		"every subject":              oidc(trust.OIDCSpec{Issuer: "github", SubjectConditions: []string{"**"}}),
		"every repository":           {GitHub: &trust.GitHubSpec{Repository: "*/*"}},
		"every namespace":            {Kubernetes: &trust.KubernetesSpec{Issuer: "cluster-a", ServiceAccount: "*/default"}},
		"every caller of an account": {AWS: &trust.AWSSpec{TrustedAWSAccounts: []string{"123456789012"}}},
		"every account":              {AWS: &trust.AWSSpec{TrustedAWSAccounts: []string{"*"}, SubjectConditions: []string{"arn:**"}}},
		"every service":              {Service: &trust.ServiceSpec{Names: []string{"**"}}},
	} {
		if _, err := trust.Compile(spec); countersign.CodeOf(err) != countersign.BadPolicy {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A pattern is no regular expression: a dot is a dot.
	s := compile(t, oidc(trust.OIDCSpec{SubjectConditions: []string{"https://.*.example.com"}}))
	for subject, want := range map[string]bool{"https://.a.example.com": true, "https://evil.test/a.example.com": false, "https://a.example.com": false} {
		id := workload()
		id.Subject = subject
		if matched, _ := s.Match(t.Context(), id, trust.RequestContext{}); matched != want {
			t.Errorf("%s: %v", subject, matched)
		}
	}
}
