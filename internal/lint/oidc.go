package lint

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/pattern"
)

// tenancy is an issuer that gives tokens to whoever registers.
type tenancy struct {
	url string
	// subject is how subjects are written; ? stands for the part that says whose they are,
	// which must be literal in a pattern. More than one form may be there.
	subjects []string
}

// tenancies are the issuers whose tokens anybody can get. "?" alone: the whole subject.
var tenancies = []tenancy{
	{"https://token.actions.githubusercontent.com", []string{
		"repo:?/", "repository:?/", "repository_id:?:", "repository_owner:?:", "repository_owner_id:?:", "enterprise:?:", "enterprise_id:?:",
	}},
	{"https://gitlab.com", []string{"project_path:?/", "project_id:?:", "namespace_path:?:", "namespace_id:?:"}},
	{"https://app.terraform.io", []string{"organization:?:"}},
	{"https://agent.buildkite.com", []string{"organization:?:"}},
	{"https://oidc.vercel.com", []string{"owner:?:"}},
	{"https://api.pulumi.com/oidc", []string{"pulumi:deploy:org:?:", "pulumi:environments:org:?:"}},
	{"https://oidc.codefresh.io", []string{"account:?:"}},
	{"https://accounts.google.com", []string{"?"}},
	{"https://appleid.apple.com", []string{"?"}},
	{"https://cognito-identity.amazonaws.com", []string{"?"}},
	{"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", []string{"?"}},
	{"https://login.microsoftonline.com/common/v2.0", []string{"?"}},
	{"https://login.microsoftonline.com/organizations/v2.0", []string{"?"}},
	{"https://slack.com", []string{"?"}},
	{"https://www.linkedin.com/oauth", []string{"?"}},
	{"https://www.facebook.com", []string{"?"}},
	{"https://oauth2.sigstore.dev/auth", []string{"?"}},
}

func tenancyOf(url string) *tenancy {
	for i := range tenancies {
		if strings.TrimSuffix(url, "/") == tenancies[i].url {
			return &tenancies[i]
		}
	}
	return nil
}

// fixes reports whether the pattern says in plain words whose the subject is.
func (t *tenancy) fixes(p pattern.Pattern) bool {
	for _, form := range t.subjects {
		before, after, _ := strings.Cut(form, "?")
		whose, found := strings.CutPrefix(p.Head(), before)
		if !found {
			continue
		}
		if after == "" {
			return p.Literal()
		}
		if at := strings.Index(whose, after); at > 0 || at < 0 && p.Literal() {
			return true
		}
	}
	return false
}

func (t *trusted) oidc(o *resource.OIDCTrust) {
	issuers := t.issuersOf(o.Issuer, "oidc")
	t.audiences("oidc", o.RequiredAudiences, issuers)
	t.regexps("oidc.subject_conditions", o.SubjectConditions)
	if len(issuers) == 0 {
		t.subjects(o, nil)
		return
	}
	for _, i := range issuers {
		t.subjects(o, i)
	}
}

// subjects checks whose subjects the statement lets in.
func (t *trusted) subjects(o *resource.OIDCTrust, i *resource.Issuer) {
	patterns := o.SubjectConditions
	path := "oidc.subject_conditions"
	if len(patterns) == 0 {
		patterns, path = []string{"**"}, "oidc.condition"
	}
	url := likely(patterns[0])
	if i != nil {
		url = i.URL
	}
	of := tenancyOf(url)
	for _, text := range patterns {
		p, err := pattern.Parse(text)
		if err != nil {
			continue // told already
		}
		let := func() bool { return t.letsInToken(o, url, text) }
		switch {
		case of != nil && !of.fixes(p) && let():
			t.tell(ruleMultiTenant, path, "anybody can get a token of this issuer: say whose it must be, in plain words or by a condition")
			return
		case of == nil && p.Everything() && let():
			t.tell(ruleEveryone, path, "everybody to whom the issuer gives a token is let in")
			return
		case anyNamespace(p) && let():
			t.tell(ruleKubernetesAny, path, "service accounts of every namespace are let in")
			return
		}
		t.wide(path, text, o.Condition)
		t.short(path, text)
	}
}

// likely returns the URL of an issuer that is not there, as far as a subject tells.
func likely(subject string) string {
	switch {
	case strings.HasPrefix(subject, "repo:"):
		return trust.GitHubIssuer
	case strings.HasPrefix(subject, "project_path:"):
		return "https://gitlab.com"
	}
	return "https://issuer.example"
}

// wide tells of patterns of several repositories, and of whole ones.
func (t *trusted) wide(path, text, condition string) {
	for _, prefix := range []string{"repo:", "project_path:"} {
		rest, found := strings.CutPrefix(text, prefix)
		if !found || condition != "" {
			continue
		}
		project, ref, more := strings.Cut(rest, ":")
		switch {
		case strings.Contains(project, "*"):
			t.tell(ruleRepositoryWildcard, path, "one of them is for several repositories, also such as are made later")
		case more && (ref == "**" || strings.HasPrefix(ref, "ref:**") || strings.HasPrefix(ref, "ref_type:**")):
			t.tell(ruleGitHubNoRef, path, "one of them is for every branch, tag and pull request of a repository")
		}
	}
}

// short tells of patterns whose * at the end stops before what the issuer's subjects have
// more of.
func (t *trusted) short(path, text string) {
	rest, found := strings.CutSuffix(text, "*")
	if !found || strings.HasSuffix(rest, "*") {
		return
	}
	parts := strings.Split(rest, ":")
	switch parts[0] {
	case "repo", "project_path": // repo:OWNER/NAME:KEY:VALUE, and repo:OWNER/NAME:pull_request
		found = len(parts) == 2 || len(parts) == 3 && parts[2] == ""
	case "system": // system:serviceaccount:NAMESPACE:NAME
		found = len(parts) < 4
	default:
		found = false
	}
	if found {
		t.tell(rulePatternTail, path, "one of them ends in *, which stops at / and : before the end of such subjects; ** at the end does not")
	}
}

// anyNamespace reports whether a pattern of Kubernetes service accounts leaves the
// namespace open.
func anyNamespace(p pattern.Pattern) bool {
	const prefix = "system:serviceaccount:"
	if !strings.HasPrefix(p.String(), "system:") || p.Literal() {
		return false
	}
	namespace, found := strings.CutPrefix(p.Head(), prefix)
	return !found || !strings.Contains(namespace, ":")
}

// letsInToken reports whether a stranger, to whom the issuer gives a token, is let in by
// the condition, with a subject that the pattern takes.
func (t *trusted) letsInToken(o *resource.OIDCTrust, url, text string) bool {
	if o.Condition == "" {
		return true
	}
	s := strangers{url: url, issuer: o.Issuer, audiences: o.RequiredAudiences, pattern: text}
	if tenancyOf(url) != nil {
		s.condition = o.Condition
	}
	return slices.ContainsFunc(s.all(), t.letsIn)
}
