package trust_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

func compile(t testing.TB, spec trust.StatementSpec) trust.Statement {
	t.Helper()
	s, err := trust.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func oidc(o trust.OIDCSpec) trust.StatementSpec {
	if o.Issuer == "" {
		o.Issuer = "idp"
	}
	return trust.StatementSpec{OIDC: &o}
}

// workload is somebody of the issuer idp.
func workload() trust.Identity {
	return trust.Identity{
		Kind: trust.KindOIDC, Issuer: "https://idp.example.com", Subject: "repo:acme/docs:ref:refs/heads/main",
		IssuerName: "idp", IssuerUID: "u-1", Audience: []string{"sts", "other"},
		Claims: map[string]any{
			"sub": "repo:acme/docs:ref:refs/heads/main", "repository": "acme/docs", "ref": "refs/heads/main",
			"environment": "prod", "n": float64(7), "list": []any{"a", "b"}, "custom:service_id": "document-service",
		},
	}
}

func github() trust.Identity {
	id := workload()
	id.Issuer = trust.GitHubIssuer
	return id
}

func ownService(name string) trust.Identity {
	return trust.Identity{Kind: trust.KindService, Issuer: "https://auth.example.com", Subject: name, Service: name, ServiceUID: "u",
		Tenant: "acme", Audience: []string{"sts"}, Claims: map[string]any{"sub": name, "scope": "a b"}}
}

func awsRole() trust.Identity {
	return trust.Identity{
		Kind: trust.KindAWS, Issuer: "arn:aws:iam::123456789012:root", Subject: "arn:aws:sts::123456789012:assumed-role/document-lambda",
		AWS: &trust.AWSCaller{Partition: "aws", Account: "123456789012", ARN: roleARN, UserID: roleID, UniqueID: "AROAIOSFODNN7EXAMPLE",
			Type: trust.AWSAssumedRole, RoleName: "document-lambda", SessionName: "run-1"},
	}
}

func awsTrust(a trust.AWSSpec) trust.StatementSpec {
	if a.TrustedAWSAccounts == nil {
		a.TrustedAWSAccounts = []string{"123456789012"}
	}
	return trust.StatementSpec{AWS: &a}
}

func TestStatementsMatch(t *testing.T) {
	t.Parallel()
	account := trust.Identity{Kind: trust.KindOIDC, Issuer: "https://k.example.com", IssuerName: "cluster-a", Subject: "system:serviceaccount:docs:document-service",
		Audience: []string{"sts"}, Claims: map[string]any{"sub": "system:serviceaccount:docs:document-service"}}
	tests := []struct {
		name string
		spec trust.StatementSpec
		id   trust.Identity
		want countersign.Reason
	}{
		{"subject", oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:acme/docs:**"}}), workload(), "ok"},
		{"second subject", oidc(trust.OIDCSpec{SubjectConditions: []string{"x", "repo:acme/docs:ref:refs/heads/main"}}), workload(), "ok"},
		{"audience and subject", oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:**"}, RequiredAudiences: []string{"x", "other"}}), workload(), "ok"},
		{"condition", oidc(trust.OIDCSpec{Condition: `claims.repository == "acme/docs" && claims.n == 7.0 && "a" in claims.list`}), workload(), "ok"},
		{"claim with a colon", oidc(trust.OIDCSpec{Condition: `claims["custom:service_id"] == "document-service"`}), workload(), "ok"},
		{"everything with a condition", oidc(trust.OIDCSpec{SubjectConditions: []string{"**"}, Condition: `claims.environment == "prod"`}), workload(), "ok"},
		{"time and role", oidc(trust.OIDCSpec{Condition: `request.role == "writer" && request.time < timestamp("2030-01-01T00:00:00Z")`}), workload(), "ok"},

		{"another issuer", oidc(trust.OIDCSpec{Issuer: "other", SubjectConditions: []string{"repo:**"}}), workload(), countersign.ReasonTrustIssuer},
		{"another audience", oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:**"}, RequiredAudiences: []string{"STS"}}), workload(), countersign.ReasonTrustAudience},
		{"another subject", oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:acme/doc"}}), workload(), countersign.ReasonTrustSubject},
		{"a false condition", oidc(trust.OIDCSpec{SubjectConditions: []string{"repo:**"}, Condition: `claims.ref == "x"`}), workload(), countersign.ReasonTrustCondition},
		{"AND inside", oidc(trust.OIDCSpec{SubjectConditions: []string{"x"}, Condition: `claims.ref == "refs/heads/main"`}), workload(), countersign.ReasonTrustSubject},
		{"of a service", oidc(trust.OIDCSpec{SubjectConditions: []string{"**"}, Condition: "true"}), ownService("document-service"), countersign.ReasonTrustProof},
		{"of an AWS caller", oidc(trust.OIDCSpec{SubjectConditions: []string{"**"}, Condition: "true"}), awsRole(), countersign.ReasonTrustProof},
		{"of nobody", oidc(trust.OIDCSpec{SubjectConditions: []string{"**"}, Condition: "true"}), trust.Identity{}, countersign.ReasonTrustProof},

		{"kubernetes", trust.StatementSpec{Kubernetes: &trust.KubernetesSpec{Issuer: "cluster-a", ServiceAccount: "docs/document-service"}}, account, "ok"},
		{"another service account", trust.StatementSpec{Kubernetes: &trust.KubernetesSpec{Issuer: "cluster-a", ServiceAccount: "docs/document"}}, account, countersign.ReasonTrustClaim},
		{"another cluster", trust.StatementSpec{Kubernetes: &trust.KubernetesSpec{Issuer: "cluster-b", ServiceAccount: "docs/document-service"}}, account, countersign.ReasonTrustIssuer},

		{"github", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/docs", Ref: "refs/heads/main", Environment: "prod"}}, github(), "ok"},
		{"github of a document", trust.StatementSpec{GitHub: &trust.GitHubSpec{Issuer: "idp", Repository: "acme/docs"}}, github(), "ok"},
		{"another repository", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/doc"}}, github(), countersign.ReasonTrustClaim},
		{"a repository in other case", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "Acme/docs"}}, github(), countersign.ReasonTrustClaim},
		{"another ref", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/docs", Ref: "refs/heads/mai"}}, github(), countersign.ReasonTrustClaim},
		{"another environment", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/docs", Environment: "dev"}}, github(), countersign.ReasonTrustClaim},
		{"not of GitHub", trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/docs"}}, workload(), countersign.ReasonTrustIssuer},
		{"not of GitHub, though named", trust.StatementSpec{GitHub: &trust.GitHubSpec{Issuer: "idp", Repository: "acme/docs"}}, workload(), countersign.ReasonTrustIssuer},

		{"aws", awsTrust(trust.AWSSpec{SubjectConditions: []string{"arn:aws:sts::123456789012:assumed-role/document-lambda/*"}}), awsRole(), "ok"},
		{"aws by id", awsTrust(trust.AWSSpec{UniqueIDs: []string{"AROAIOSFODNN7EXAMPLE"}}), awsRole(), "ok"},
		{"aws by condition", awsTrust(trust.AWSSpec{Condition: `aws.account == "123456789012" && aws.partition == "aws" && aws.user_id.startsWith("AROA")`}), awsRole(), "ok"},
		{"another account", awsTrust(trust.AWSSpec{TrustedAWSAccounts: []string{"210987654321"}, SubjectConditions: []string{"arn:**"}}), awsRole(), countersign.ReasonTrustAccount},
		{"another role", awsTrust(trust.AWSSpec{SubjectConditions: []string{"arn:aws:sts::123456789012:assumed-role/document/*"}}), awsRole(), countersign.ReasonTrustSubject},
		{"aws of a token", awsTrust(trust.AWSSpec{SubjectConditions: []string{"**"}, Condition: "true"}), workload(), countersign.ReasonTrustProof},

		{"service", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"document-service"}}}, ownService("document-service"), "ok"},
		{"services by pattern", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"document-*"}}}, ownService("document-service"), "ok"},
		{"service with a condition", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"*"}, Condition: `service.tenant == "acme"`}}, ownService("document-service"), "ok"},
		{"another service", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"document-service"}}}, ownService("document-services"), countersign.ReasonTrustSubject},
		{"another tenant", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"*"}, Condition: `service.tenant == "b"`}}, ownService("document-service"), countersign.ReasonTrustCondition},
		{"service of a token", trust.StatementSpec{Service: &trust.ServiceSpec{Names: []string{"**"}, Condition: "true"}}, workload(), countersign.ReasonTrustProof},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			matched, why := compile(t, test.spec).Match(t.Context(), test.id, trust.RequestContext{Time: now, Role: "writer"})
			if why != test.want || matched != (test.want == countersign.ReasonOK) {
				t.Errorf("got %v, %s, want %s", matched, why, test.want)
			}
		})
	}
	if matched, _ := (trust.Statement{}).Match(t.Context(), trust.Identity{}, trust.RequestContext{}); matched {
		t.Error("the zero statement matches nobody")
	}
}

// TestRuleA2NoBareName: a service of a foreign issuer is none of ours, whatever it is called.
func TestRuleA2NoBareName(t *testing.T) {
	t.Parallel()
	id := workload()
	id.Service, id.ClaimedService = id.Issuer+"/document-service", "document-service"
	s := compile(t, oidc(trust.OIDCSpec{Condition: `service.name == "document-service"`}))
	if matched, _ := s.Match(t.Context(), id, trust.RequestContext{}); matched {
		t.Error("a bare name matched a foreign service")
	}
}

// TestRuleD1: patterns are anchored, and * crosses no separator.
func TestRuleD1(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern, subject string
		want, near       bool
	}{
		{"repo:acme/*", "repo:acme/docs", true, false},
		{"repo:acme/*", "repo:acme/docs:ref:refs/heads/main", false, true},
		{"repo:acme/*", "repo:acme/", false, true},
		{"repo:acme/**", "repo:acme/", true, false},
		{"repo:acme/docs", "xrepo:acme/docs", false, false},
		{"repo:acme/docs", "repo:acme/docsx", false, false},
		{"repo:acme/docs|repo:acme/other", "repo:acme/docs", false, false},
		{"repo:acme/.*", "repo:acme/docs", false, false},
		{"repo:acme/doc?", "repo:acme/docs", false, false},
		{"repo:acme/[d]ocs", "repo:acme/docs", false, false},
		{"REPO:acme/docs", "repo:acme/docs", false, false},
		{"repo:*:ref", "repo:acme/docs:ref", false, false},
	}
	for _, test := range tests {
		s := compile(t, oidc(trust.OIDCSpec{SubjectConditions: []string{test.pattern}}))
		id := workload()
		id.Subject = test.subject
		if got, _ := s.Match(t.Context(), id, trust.RequestContext{}); got != test.want {
			t.Errorf("%s and %s: %v", test.pattern, test.subject, got)
		}
		if got := len(s.Near(id)) > 0; got != test.near {
			t.Errorf("%s and %s: near %v", test.pattern, test.subject, got)
		}
	}
}

// TestRuleD4: an error, an unknown and a missing claim are no match, also behind a not.
func TestRuleD4(t *testing.T) {
	t.Parallel()
	for _, condition := range []string{
		`claims.missing == "x"`, `!(claims.missing == "x")`, `claims.n == "x"`, `claims.list.all(x, claims.missing == x)`,
		`1 / 0 == 1`, `!(claims.sub.startsWith("x")) && claims.missing != ""`, `request.time < timestamp("2030-01-01T00:00:00Z")`,
		`claims.ref.matches("heads")`, `int(claims.ref) > 0`,
	} {
		s := compile(t, oidc(trust.OIDCSpec{Condition: condition}))
		if matched, why := s.Match(t.Context(), workload(), trust.RequestContext{}); matched || why != countersign.ReasonTrustCondition {
			t.Errorf("%s: %v, %s", condition, matched, why)
		}
	}
	s := compile(t, oidc(trust.OIDCSpec{Condition: `claims.sub != ""`}))
	large := workload()
	large.Claims["pad"] = strings.Repeat("x", 65<<10)
	if matched, _ := s.Match(t.Context(), large, trust.RequestContext{Time: now}); matched {
		t.Error("an input over 64 KiB matched")
	}
}

// TestVulnerability6: what a caller names itself matches nothing that is not written for it.
func TestVulnerability6(t *testing.T) {
	t.Parallel()
	s := compile(t, awsTrust(trust.AWSSpec{SubjectConditions: []string{"arn:aws:sts::123456789012:assumed-role/*-lambda/*", "arn:aws:iam::123456789012:user/*"}}))
	for arn, want := range map[string]bool{
		"arn:aws:sts::123456789012:assumed-role/document-lambda/run-1":       true,
		"arn:aws:sts::123456789012:assumed-role/other/document-lambda":       false,
		"arn:aws:sts::123456789012:assumed-role/other/x-lambda/y":            false,
		"arn:aws:sts::123456789012:assumed-role/other:x-lambda/y":            false,
		"arn:aws:iam::123456789012:user/alice":                               true,
		"arn:aws:iam::123456789012:user/path/alice":                          false,
		"arn:aws:sts::123456789012:federated-user/document-lambda":           false,
		"xarn:aws:iam::123456789012:user/alice":                              false,
		"arn:aws:sts::123456789012:assumed-role/document-lambda/run-1\nevil": true, // the STS's reply can't hold it: TestVulnerability2
	} {
		id := awsRole()
		id.AWS.ARN = arn
		if got, _ := s.Match(t.Context(), id, trust.RequestContext{}); got != want {
			t.Errorf("%s: %v", arn, got)
		}
	}
	for _, condition := range []string{`request.session_name == "x"`, `request.tags.a == "x"`, `session.name == "x"`} {
		if _, err := trust.Compile(oidc(trust.OIDCSpec{Condition: condition})); countersign.CodeOf(err) != countersign.BadPolicy {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

// TestVulnerability7: a role that was deleted and made again is another one.
func TestVulnerability7(t *testing.T) {
	t.Parallel()
	s := compile(t, awsTrust(trust.AWSSpec{
		SubjectConditions: []string{"arn:aws:sts::123456789012:assumed-role/document-lambda/*"}, UniqueIDs: []string{"AROAIOSFODNN7EXAMPLE"},
	}))
	if matched, _ := s.Match(t.Context(), awsRole(), trust.RequestContext{}); !matched {
		t.Error("the role does not match")
	}
	again := awsRole()
	again.AWS.UserID, again.AWS.UniqueID = "AROAIOSFODNN7EXAMPLF:run-1", "AROAIOSFODNN7EXAMPLF"
	if matched, why := s.Match(t.Context(), again, trust.RequestContext{}); matched || why != countersign.ReasonTrustUniqueID {
		t.Errorf("got %v, %s", matched, why)
	}
	again.AWS.UniqueID = "AROAIOSFODNN7EXAMPLE:run-1"
	if matched, _ := s.Match(t.Context(), again, trust.RequestContext{}); matched {
		t.Error("more than the part before : matched")
	}
}

func TestMatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := compile(t, oidc(trust.OIDCSpec{Condition: "true"}))
	ctx, cancel := contextOver(t)
	cancel()
	if matched, _ := s.Match(ctx, workload(), trust.RequestContext{Time: time.Now()}); matched {
		t.Error("matched")
	}
}

// TestRuleA6 holds whose issuers a statement may take: by name its own tenant's, the platform's
// and shared ones; by URL the first two.
func TestRuleA6StatementsTakeIssuersOfTheirTenant(t *testing.T) {
	t.Parallel()
	named := compile(t, trust.StatementSpec{GitHub: &trust.GitHubSpec{Issuer: "idp", Repository: "acme/docs"}})
	byURL := compile(t, trust.StatementSpec{GitHub: &trust.GitHubSpec{Repository: "acme/docs"}})
	for _, test := range []struct {
		statement, issuer string
		shared            []string
		named, byURL      bool
	}{
		{"", "", nil, true, true},
		{"acme", "", nil, true, true},
		{"acme", "acme", nil, true, true},
		{"acme", "globex", nil, false, false},
		{"acme", "globex", []string{"initech"}, false, false},
		{"acme", "globex", []string{"initech", "acme"}, true, false},
		{"", "globex", nil, true, false}, // the platform's statements may name any
	} {
		id := github()
		id.IssuerTenant, id.IssuerSharedWith = test.issuer, test.shared
		for s, want := range map[*trust.Statement]bool{&named: test.named, &byURL: test.byURL} {
			matched, why := s.Match(t.Context(), id, trust.RequestContext{Time: now, Tenant: test.statement})
			if matched != want || !matched && why != countersign.ReasonRoleTenant {
				t.Errorf("%q trusts an issuer of %q shared with %v (by URL: %v): %v, %s", test.statement, test.issuer, test.shared, s == &byURL, matched, why)
			}
		}
	}
}
