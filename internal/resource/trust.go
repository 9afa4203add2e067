package resource

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

// The bounds of trust.
const (
	maxStatements     = 32
	maxTrustEntries   = 64
	maxTrustText      = 1024
	maxConditionBytes = 4 << 10
)

// TrustStatement says whom a role or a service trusts, by exactly one of its five proofs;
// all of what the proof's statement says must hold.
type TrustStatement struct {
	OIDC       *OIDCTrust       `json:"oidc,omitempty"`
	Kubernetes *KubernetesTrust `json:"kubernetes,omitempty"`
	GitHub     *GitHubTrust     `json:"github,omitempty"`
	AWS        *AWSTrust        `json:"aws,omitempty"`
	Service    *ServiceTrust    `json:"service,omitempty"`
	// InsecureAllow are rules of package lint that this statement may break (RULES D10).
	InsecureAllow []string `json:"insecure_allow,omitempty"`
}

// OIDCTrust trusts tokens of a foreign issuer.
type OIDCTrust struct {
	// Issuer is the name of an Issuer.
	Issuer string `json:"issuer"`
	// RequiredAudiences: one of them; none = any that the issuer's document names.
	RequiredAudiences []string `json:"required_audiences,omitempty"`
	// SubjectConditions are patterns of sub: one of them.
	SubjectConditions []string `json:"subject_conditions,omitempty"`
	Condition         string   `json:"condition,omitempty"`
}

// KubernetesTrust trusts one service account of a cluster.
type KubernetesTrust struct {
	Issuer string `json:"issuer"`
	// ServiceAccount is NAMESPACE/NAME.
	ServiceAccount    string   `json:"service_account"`
	RequiredAudiences []string `json:"required_audiences,omitempty"`
	Condition         string   `json:"condition,omitempty"`
}

// GitHubTrust trusts workflows of one repository of GitHub.
type GitHubTrust struct {
	// Issuer is "" for the Issuer whose URL is GitHub's.
	Issuer string `json:"issuer,omitempty"`
	// Repository is OWNER/NAME; Ref (refs/heads/main) and Environment are "" for any.
	Repository        string   `json:"repository"`
	Ref               string   `json:"ref,omitempty"`
	Environment       string   `json:"environment,omitempty"`
	RequiredAudiences []string `json:"required_audiences,omitempty"`
	Condition         string   `json:"condition,omitempty"`
}

// AWSTrust trusts callers of AWS: of one of the accounts, and of one of the patterns and
// ids where there are some.
type AWSTrust struct {
	TrustedAWSAccounts []string `json:"trusted_aws_accounts"`
	// SubjectConditions are patterns of the caller's ARN.
	SubjectConditions []string `json:"subject_conditions,omitempty"`
	// UniqueIDs are ids of users and roles, which no later one of the same name has.
	UniqueIDs []string `json:"unique_ids,omitempty"`
	Condition string   `json:"condition,omitempty"`
}

// ServiceTrust trusts services of ours.
type ServiceTrust struct {
	// Names are patterns.
	Names     []string `json:"names"`
	Condition string   `json:"condition,omitempty"`
}

// IssuerName returns the name of the issuer that the statement refers to, and where it is
// said; "" = it names none.
func (s *TrustStatement) IssuerName() (name, path string) {
	switch {
	case s.OIDC != nil:
		return s.OIDC.Issuer, "oidc.issuer"
	case s.Kubernetes != nil:
		return s.Kubernetes.Issuer, "kubernetes.issuer"
	case s.GitHub != nil:
		return s.GitHub.Issuer, "github.issuer"
	}
	return "", ""
}

// Condition returns the statement's condition and where it is said; "" = none.
func (s *TrustStatement) Condition() (text, path string) {
	switch {
	case s.OIDC != nil:
		return s.OIDC.Condition, "oidc.condition"
	case s.Kubernetes != nil:
		return s.Kubernetes.Condition, "kubernetes.condition"
	case s.GitHub != nil:
		return s.GitHub.Condition, "github.condition"
	case s.AWS != nil:
		return s.AWS.Condition, "aws.condition"
	case s.Service != nil:
		return s.Service.Condition, "service.condition"
	}
	return "", ""
}

// Trust returns the trust statements of a role or a service; nil for other kinds.
func (d *Document) Trust() []TrustStatement {
	switch {
	case d.Role != nil:
		return d.Role.Trust
	case d.Service != nil:
		return d.Service.Trust
	}
	return nil
}

// SharedWith returns the other tenants whose documents may refer to the object (RULES A6).
func (d *Document) SharedWith() []string {
	switch {
	case d.Service != nil:
		return d.Service.SharedWith
	case d.Issuer != nil:
		return d.Issuer.SharedWith
	case d.Role != nil:
		return d.Role.SharedWith
	case d.Bucket != nil:
		return d.Bucket.SharedWith
	}
	return nil
}

var proofs = []string{"oidc", "kubernetes", "github", "aws", "service"}

// readTrust reads statements. A service's may only be proofs that it can show instead of
// its secret, none of which is a token of ours.
func readTrust(f *fields, ofRole bool) []TrustStatement {
	var list []TrustStatement
	if list, ok := f.values["trust"].(*ast.SequenceNode); ok && len(list.Values) == 0 {
		f.wrong("trust", "must have at least one statement: nobody else is trusted")
	}
	for _, item := range f.items("trust", maxStatements) {
		list = append(list, readStatement(item, ofRole))
	}
	return list
}

func readStatement(f *fields, ofRole bool) TrustStatement {
	var s TrustStatement
	given := 0
	for _, proof := range proofs {
		if !f.has(proof) {
			continue
		}
		given++
		inner := f.inner(proof)
		if !ofRole && proof == "service" {
			f.wrong(proof, "goes with roles only: a service proves itself by somebody else's word")
			continue
		}
		if inner == nil {
			continue
		}
		switch proof {
		case "oidc":
			s.OIDC = readOIDCTrust(inner)
		case "kubernetes":
			s.Kubernetes = readKubernetesTrust(inner)
		case "github":
			s.GitHub = readGitHubTrust(inner)
		case "aws":
			s.AWS = readAWSTrust(inner)
		case "service":
			s.Service = readServiceTrust(inner)
		}
		inner.done()
	}
	f.asked = append(f.asked, proofs...)
	s.InsecureAllow = sorted(f.texts("insecure_allow", maxTrustEntries))
	if given != 1 {
		f.r.problems.Add(f.r.problem(f.at, f.path, "must name exactly one proof of "+strings.Join(proofs, ", ")))
	}
	f.done()
	return s
}

func readOIDCTrust(f *fields) *OIDCTrust {
	t := &OIDCTrust{
		Issuer: f.issuerName(true), RequiredAudiences: f.audiences(),
		Condition: f.condition(),
	}
	t.SubjectConditions = f.patterns("subject_conditions", t.Condition)
	if len(t.SubjectConditions) == 0 && t.Condition == "" && !f.has("subject_conditions") && !f.has("condition") {
		f.wrong("subject_conditions", "is missing: without a condition it says whom the role trusts")
	}
	return t
}

func readKubernetesTrust(f *fields) *KubernetesTrust {
	t := &KubernetesTrust{
		Issuer: f.issuerName(true), ServiceAccount: f.text("service_account"),
		RequiredAudiences: f.audiences(), Condition: f.condition(),
	}
	if f.required("service_account") && t.ServiceAccount != "" {
		namespace, name, _ := strings.Cut(t.ServiceAccount, "/")
		if !kubernetesName.MatchString(namespace) || !kubernetesName.MatchString(name) {
			f.wrong("service_account", "must be NAMESPACE/NAME, without wildcards")
		}
	}
	return t
}

func readGitHubTrust(f *fields) *GitHubTrust {
	t := &GitHubTrust{
		Issuer: f.issuerName(false), Repository: f.text("repository"), Ref: f.text("ref"), Environment: f.text("environment"),
		RequiredAudiences: f.audiences(), Condition: f.condition(),
	}
	if f.required("repository") && t.Repository != "" && !gitHubRepository.MatchString(t.Repository) {
		f.wrong("repository", "must be OWNER/NAME, without wildcards")
	}
	for key, text := range map[string]string{"ref": t.Ref, "environment": t.Environment} {
		if strings.Contains(text, "*") || len(text) > maxTrustText {
			f.wrong(key, "is compared exactly: no wildcards, and not longer than 1 KiB")
		}
	}
	if t.Ref != "" && !strings.HasPrefix(t.Ref, "refs/") {
		f.wrong("ref", "must be a whole ref, such as refs/heads/main")
	}
	return t
}

func readAWSTrust(f *fields) *AWSTrust {
	accounts, ids := f.texts("trusted_aws_accounts", maxTrustEntries), f.texts("unique_ids", maxTrustEntries)
	t := &AWSTrust{TrustedAWSAccounts: sorted(accounts), UniqueIDs: sorted(ids), Condition: f.condition()}
	t.SubjectConditions = f.patterns("subject_conditions", t.Condition)
	if f.required("trusted_aws_accounts") && len(accounts) == 0 {
		f.wrong("trusted_aws_accounts", "must name at least one account")
	}
	f.each("trusted_aws_accounts", accounts, func(text string) string {
		if !isAccount(text) {
			return "an account is 12 digits in quotes, without wildcards"
		}
		return ""
	})
	f.each("unique_ids", ids, func(text string) string {
		if !awsUniqueID.MatchString(text) {
			return "must be the id of a user or a role, such as AROA…"
		}
		return ""
	})
	if !f.has("subject_conditions") && !f.has("unique_ids") && !f.has("condition") {
		f.wrong("subject_conditions", "is missing: an account alone is not enough; unique_ids or a condition will do too")
	}
	return t
}

func readServiceTrust(f *fields) *ServiceTrust {
	t := &ServiceTrust{Condition: f.condition()}
	t.Names = f.patterns("names", t.Condition)
	f.required("names")
	return t
}

var (
	kubernetesName   = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\z`)
	gitHubRepository = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}\z`)
	awsUniqueID      = regexp.MustCompile(`\AA[A-Z0-9]{15,127}\z`)
)

func (f *fields) issuerName(required bool) string {
	name := f.text("issuer")
	if (!required || f.required("issuer")) && name != "" && !countersign.ValidName(name) {
		f.wrong("issuer", "must be the name of an Issuer, which is where its url is written")
	}
	return name
}

func (f *fields) audiences() []string {
	list := f.texts("required_audiences", maxTrustEntries)
	if f.has("required_audiences") && len(list) == 0 {
		f.wrong("required_audiences", "must not be empty")
	}
	f.each("required_audiences", list, func(text string) string {
		if len(text) > maxTrustText || strings.ContainsAny(text, "\n\t") {
			return "must be an audience"
		}
		return ""
	})
	return sorted(list)
}

// condition reads an expression; that it compiles is for package lint to say.
func (f *fields) condition() string {
	text := f.text("condition")
	if len(text) > maxConditionBytes {
		f.wrong("condition", fmt.Sprintf("is longer than %d bytes", maxConditionBytes))
	}
	return text
}

// patterns reads patterns. One that matches everything needs a condition (RULES D1).
func (f *fields) patterns(key, condition string) []string {
	list := f.texts(key, maxTrustEntries)
	if f.has(key) && len(list) == 0 {
		f.wrong(key, "must not be empty")
	}
	f.each(key, list, func(text string) string {
		p, err := policy.ParsePattern(text)
		switch {
		case err != nil:
			return countersign.MessageOf(err)
		case len(text) > maxTrustText:
			return "is longer than 1 KiB"
		case p.Everything() && condition == "":
			return text + " alone is everybody: it needs a condition"
		}
		return ""
	})
	return sorted(list)
}

// sharedWith reads the tenants that may refer to an object.
func (f *fields) sharedWith() []string {
	list := f.texts("shared_with", maxAsserted)
	f.each("shared_with", list, func(text string) string {
		if !countersign.ValidName(text) {
			return nameForm
		}
		return ""
	})
	return sorted(list)
}
