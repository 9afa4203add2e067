package trust

// StatementSpec is a trust statement as it is written. Exactly one of the five is set.
type StatementSpec struct {
	OIDC       *OIDCSpec
	Kubernetes *KubernetesSpec
	GitHub     *GitHubSpec
	AWS        *AWSSpec
	Service    *ServiceSpec
}

// OIDCSpec trusts tokens of an Issuer document.
type OIDCSpec struct {
	// Issuer is the document's name.
	Issuer string
	// RequiredAudiences: the token has one of them; none = any that the issuer accepts.
	RequiredAudiences []string
	// SubjectConditions are patterns of sub, any of them; with none there is a Condition.
	SubjectConditions []string
	Condition         string
}

// KubernetesSpec trusts one service account of a cluster.
type KubernetesSpec struct {
	Issuer string
	// ServiceAccount is NAMESPACE/NAME.
	ServiceAccount    string
	RequiredAudiences []string
	Condition         string
}

// GitHubSpec trusts workflows of one repository of GitHub. Repository, Ref and Environment
// are compared exactly with the claims of these names, whatever the form of sub.
type GitHubSpec struct {
	// Issuer is "" for any document with the URL [GitHubIssuer].
	Issuer string
	// Repository is OWNER/NAME. Ref (refs/heads/main) and Environment are "" for any.
	Repository, Ref, Environment string
	RequiredAudiences            []string
	Condition                    string
}

// AWSSpec trusts AWS callers.
type AWSSpec struct {
	TrustedAWSAccounts []string
	// SubjectConditions are patterns of the caller's whole ARN, any of them.
	SubjectConditions []string
	// UniqueIDs are ids of users and roles (AIDA…, AROA…), any of them: a user or role that
	// was deleted and made again has another one.
	UniqueIDs []string
	Condition string
}

// ServiceSpec trusts services of ours.
type ServiceSpec struct {
	// Names are patterns.
	Names     []string
	Condition string
}

// GitHubIssuer is the issuer of GitHub's workflows.
const GitHubIssuer = "https://token.actions.githubusercontent.com"
