package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/pattern"
)

// statement checks one trust statement, and what it says it may break.
func (c *checker) statement(index int, s *resource.TrustStatement) {
	at := fmt.Sprintf("trust[%d].", index)
	before := len(c.found)
	compiled, err := trust.Compile(specOf(s))
	if err != nil {
		path, message := c.uncompiled(s, err)
		c.add(ruleCondition, at+path, message)
	} else {
		t := &trusted{checker: c, at: at, compiled: compiled}
		switch {
		case s.OIDC != nil:
			t.oidc(s.OIDC)
		case s.Kubernetes != nil:
			t.kubernetes(s.Kubernetes)
		case s.GitHub != nil:
			t.github(s.GitHub)
		case s.AWS != nil:
			t.aws(s.AWS)
		case s.Service != nil:
			t.service(s.Service)
		}
	}
	c.allow(at, s.InsecureAllow, before)
}

// uncompiled tells where a statement does not compile: in its condition, if it does with
// another one.
func (c *checker) uncompiled(s *resource.TrustStatement, err error) (path, message string) {
	text, path := s.Condition()
	proof, _, _ := strings.Cut(path, ".")
	if text == "" {
		return proof, countersign.MessageOf(err)
	}
	spec := specOf(s)
	switch {
	case spec.OIDC != nil:
		spec.OIDC.Condition = "true"
	case spec.Kubernetes != nil:
		spec.Kubernetes.Condition = "true"
	case spec.GitHub != nil:
		spec.GitHub.Condition = "true"
	case spec.AWS != nil:
		spec.AWS.Condition = "true"
	case spec.Service != nil:
		spec.Service.Condition = "true"
	}
	if _, err := trust.Compile(spec); err != nil {
		return proof, countersign.MessageOf(err)
	}
	return path, strings.TrimPrefix(countersign.MessageOf(err), "condition: ")
}

// specOf says a statement in the words of package trust; it shares no struct with s.
func specOf(s *resource.TrustStatement) (spec trust.StatementSpec) {
	if s.OIDC != nil {
		made := trust.OIDCSpec(*s.OIDC)
		spec.OIDC = &made
	}
	if s.Kubernetes != nil {
		made := trust.KubernetesSpec(*s.Kubernetes)
		spec.Kubernetes = &made
	}
	if s.GitHub != nil {
		made := trust.GitHubSpec(*s.GitHub)
		spec.GitHub = &made
	}
	if s.AWS != nil {
		made := trust.AWSSpec(*s.AWS)
		spec.AWS = &made
	}
	if s.Service != nil {
		made := trust.ServiceSpec(*s.Service)
		spec.Service = &made
	}
	return spec
}

// allow makes warnings of what the statement says it may break.
func (c *checker) allow(at string, allowed []string, before int) {
	for _, name := range allowed {
		rule := ruleOf(name)
		if rule == nil || !rule.Overridable {
			c.add(ruleInsecureAllow, at+"insecure_allow", "one of them is no rule that can be overridden")
			continue
		}
		used := false
		for i := before; i < len(c.found); i++ {
			if c.found[i].Rule == name {
				used = true
				c.found[i].Allowed = c.found[i].Severity == Error
				c.found[i].Severity = Warning
			}
		}
		if !used {
			c.add(ruleAllowUnused, at+"insecure_allow", "the statement does not break "+name+": leave it out")
		}
	}
}

// trusted is one statement that is being checked.
type trusted struct {
	*checker
	at       string
	compiled trust.Statement
}

func (t *trusted) tell(rule, path, message string) { t.add(rule, t.at+path, message) }

func (t *trusted) kubernetes(k *resource.KubernetesTrust) {
	issuers := t.issuersOf(k.Issuer, "kubernetes")
	t.audiences("kubernetes", k.RequiredAudiences, issuers)
	if _, name, _ := strings.Cut(k.ServiceAccount, "/"); name == "default" && k.Condition == "" {
		t.tell(ruleKubernetesDefault, "kubernetes.service_account", "default is what every pod of the namespace runs as that does not say otherwise")
	}
}

func (t *trusted) github(g *resource.GitHubTrust) {
	issuers := t.issuersOf(g.Issuer, "github")
	t.audiences("github", g.RequiredAudiences, issuers)
	if slices.ContainsFunc(issuers, func(i *resource.Issuer) bool { return i.URL != trust.GitHubIssuer }) {
		t.tell(ruleIssuerMissing, "github.issuer", "the issuer's url is not "+trust.GitHubIssuer)
	}
	if g.Ref == "" && g.Environment == "" && g.Condition == "" {
		t.tell(ruleGitHubNoRef, "github", "without ref and environment every branch, tag and pull request of the repository is let in")
	}
}

func (t *trusted) service(s *resource.ServiceTrust) {
	if slices.ContainsFunc(s.Names, everything) && t.letsIn(strangerService()) {
		t.tell(ruleEveryone, "service", "every service that is registered here is let in")
	}
	t.regexps("service.names", s.Names)
}

// issuersOf returns the issuers whose tokens the statement takes.
func (t *trusted) issuersOf(name, proof string) []*resource.Issuer {
	issuers := t.named(name, trust.GitHubIssuer)
	if len(issuers) > 0 {
		return issuers
	}
	if name == "" {
		t.tell(ruleIssuerMissing, proof, "there is no Issuer with the url "+trust.GitHubIssuer)
	} else {
		t.tell(ruleIssuerMissing, proof+".issuer", "there is no Issuer of this name")
	}
	return nil
}

// audiences holds what a statement requires against what its issuers take.
func (t *trusted) audiences(proof string, required []string, issuers []*resource.Issuer) {
	for _, i := range issuers {
		if len(required) == 0 && len(i.Audiences) > 1 {
			t.tell(ruleAudienceAny, proof, "the issuer has several audiences: required_audiences says which one this is for")
			return
		}
	}
	if len(issuers) == 0 {
		return
	}
	for _, audience := range required {
		if !slices.ContainsFunc(issuers, func(i *resource.Issuer) bool { return slices.Contains(i.Audiences, audience) }) {
			t.tell(ruleAudienceUnknown, proof+".required_audiences", "the issuer's document does not have the audience "+audience+", so that its tokens are refused")
		}
	}
}

// audienceOfOthers says whose tokens have a well-known audience; "" = nobody's that is
// known.
func audienceOfOthers(audience string) string {
	switch {
	case strings.HasPrefix(audience, "https://kubernetes.default.svc"), audience == "kubernetes.default.svc":
		return "the Kubernetes API"
	case audience == "sts.amazonaws.com":
		return "AWS"
	case strings.HasPrefix(audience, "https://github.com/"):
		return "whoever asks GitHub without an audience"
	case audience == "api://AzureADTokenExchange":
		return "Azure"
	}
	return ""
}

// regexps finds what the author took for regular expressions.
func (t *trusted) regexps(path string, patterns []string) {
	for _, text := range patterns {
		if strings.Contains(text, ".*") || strings.ContainsAny(text, "^$|()[]\\") {
			t.tell(rulePatternRegexp, path, "one of them looks like a regular expression; only * and a last ** mean something here")
			return
		}
	}
}

func everything(text string) bool {
	p, err := pattern.Parse(text)
	return err == nil && p.Everything()
}
