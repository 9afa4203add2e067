package lint

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// stranger is the word of whatever somebody else may be called.
const stranger = "stranger-7f3a"

// letsIn asks the compiled statement. A condition that fails lets nobody in.
func (t *trusted) letsIn(id trust.Identity) bool {
	matched, _ := t.compiled.Match(context.Background(), id, trust.RequestContext{
		Time: time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC), Role: t.document.Name,
	})
	return matched
}

// strangers are identities that anybody could get at an issuer: with subjects that a
// pattern takes, and with claims as the well-known issuers make them, which say all that
// sounds harmless and name nobody in particular.
type strangers struct {
	url, issuer string
	audiences   []string
	pattern     string
	// condition is not "" where anybody chooses names at the issuer: then there are also
	// strangers called nearly as its texts say, as acme-evil is nearly acme.
	condition string
}

func (s *strangers) all() []trust.Identity {
	head, tail := strings.CutSuffix(s.pattern, "**")
	var made []trust.Identity
	for _, name := range append([]string{stranger}, nearly(s.condition)...) {
		subject := strings.ReplaceAll(head, "*", name)
		subjects := []string{subject}
		if tail {
			subjects = []string{subject + name}
		}
		if s.pattern == "**" {
			subjects = append(subjects, "repo:"+name+"/"+name+":ref:refs/heads/main", "project_path:"+name+"/"+name+":ref_type:branch:ref:main",
				"organization:"+name+":", "owner:"+name+":", "system:serviceaccount:"+name+":"+name)
		}
		for _, subject := range subjects {
			made = append(made, s.identity(subject, name))
		}
	}
	return made
}

func (s *strangers) identity(subject, name string) trust.Identity {
	audiences := s.audiences
	if len(audiences) == 0 {
		audiences = []string{name}
	}
	claims := strangerClaims(name)
	claims["sub"], claims["iss"], claims["aud"] = subject, s.url, audiences[0]
	return trust.Identity{
		Kind: trust.KindOIDC, Issuer: s.url, Subject: subject, IssuerName: s.issuer, Audience: audiences, Claims: claims,
	}
}

// nearly returns names that begin or end with the words in an expression.
func nearly(condition string) (names []string) {
	const most = 8
	for _, quoted := range quotedWord.FindAllString(condition, most) {
		word := quoted[1 : len(quoted)-1]
		names = append(names, word+stranger, stranger+word)
	}
	return names
}

// quotedWord is a text of an expression that does not begin or end with a sign which would
// keep it apart from a longer name.
var quotedWord = regexp.MustCompile(`"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"|'[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?'`)

// strangerClaims are those of the well-known issuers, all together.
func strangerClaims(name string) map[string]any {
	domain := name
	if !strings.Contains(domain, ".") {
		domain += ".example"
	}
	claims := map[string]any{
		// What anybody may truly have.
		"email_verified": true, "event_name": "push", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
		"environment": "production", "runner_environment": "github-hosted", "repository_visibility": "private",
		"token_use": "access", "typ": "Bearer", "scope": "openid", "exp": 1.9e9, "iat": 1.7e9, "nbf": 1.7e9, "amr": []any{"pwd", "mfa"},
		"email": name + "@" + domain, "hd": domain,
		"repository": name + "/" + name, "job_workflow_ref": name + "/" + name + "/.github/workflows/w.yml@refs/heads/main",
		"workflow_ref": name + "/" + name + "/.github/workflows/w.yml@refs/heads/main", "project_path": name + "/" + name,
		"roles": []any{name}, "groups": []any{name}, "cognito:groups": []any{name}, "kubernetes.io": map[string]any{
			"namespace": name, "serviceaccount": map[string]any{"name": name, "uid": name}, "pod": map[string]any{"name": name},
		},
	}
	for _, claim := range []string{
		"repository_owner", "repository_id", "repository_owner_id", "actor", "actor_id", "workflow", "enterprise", "jti", "azp", "client_id",
		"namespace_path", "namespace_id", "project_id", "user_login", "user_id", "organization_slug", "organization_id", "pipeline_slug",
		"terraform_organization_name", "terraform_organization_id", "terraform_workspace_name", "owner", "owner_id", "project", "org",
		"tid", "oid", "name", "preferred_username", "username", "cognito:username", "custom:service_id", "custom:tenant_id", "service_id",
		"tenant", "sid", "sha", "run_id",
	} {
		claims[claim] = name
	}
	return claims
}

func strangerService() trust.Identity {
	return trust.Identity{
		Kind: trust.KindService, Issuer: "https://countersign.example", Subject: stranger, Service: stranger, Audience: []string{"sts"},
		Claims: map[string]any{
			"iss": "https://countersign.example", "sub": stranger, "aud": "sts", "client_id": stranger, "service_id": stranger, "scope": "s2s:internal",
		},
	}
}

// strangerAWS is another role of an account.
func strangerAWS(account, arn string) trust.Identity {
	return trust.Identity{
		Kind: trust.KindAWS, Issuer: "arn:aws:iam::" + account + ":root", Subject: arn,
		AWS: &trust.AWSCaller{
			Partition: "aws", Account: account, ARN: arn, UserID: "AROASTRANGER7F3A00000:" + stranger, UniqueID: "AROASTRANGER7F3A00000",
			Type: trust.AWSAssumedRole, RoleName: stranger, SessionName: stranger,
		},
	}
}
