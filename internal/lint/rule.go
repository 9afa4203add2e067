package lint

import "slices"

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	// Error: it is not saved.
	Error Severity = "error"
	// Warning: it is saved and told.
	Warning Severity = "warning"
)

// Rule is a row of the table.
type Rule struct {
	// Name is what findings and insecure_allow call it.
	Name     string
	Severity Severity
	// Overridable: insecure_allow of a trust statement may name it.
	Overridable bool
	// About says what it finds.
	About string
}

// The names of the rules.
const (
	ruleDocument           = "document"
	ruleOwnIssuer          = "own_issuer"
	ruleIssuerOverlap      = "issuer_overlap"
	ruleCondition          = "condition"
	ruleInsecureAllow      = "insecure_allow"
	ruleEveryone           = "everyone"
	ruleMultiTenant        = "multi_tenant"
	ruleKubernetesAny      = "kubernetes_any_namespace"
	ruleKubernetesDefault  = "kubernetes_default_account"
	ruleAWSAccountWildcard = "aws_account_wildcard"
	ruleAudienceOfOthers   = "audience_of_others"
	ruleAudienceAny        = "audience_any"
	ruleAudienceUnknown    = "audience_unknown"
	ruleGitHubNoRef        = "github_no_ref"
	ruleRepositoryWildcard = "repository_wildcard"
	rulePatternTail        = "pattern_tail"
	rulePatternRegexp      = "pattern_regexp"
	ruleAWSNeverMatches    = "aws_never_matches"
	ruleAWSAnyRole         = "aws_any_role"
	ruleAWSRoot            = "aws_root"
	ruleAWSSessionName     = "aws_session_name"
	ruleIssuerMissing      = "issuer_missing"
	ruleSessionLong        = "session_long"
	ruleListPrefix         = "list_prefix"
	ruleBucketMissing      = "bucket_missing"
	ruleBucketPublic       = "bucket_public"
	ruleBucketOverlap      = "bucket_overlap"
	ruleBucketUnused       = "bucket_role_unused"
	rulePlainOrigin        = "origin_plain_http"
	ruleAllowUnused        = "insecure_allow_unused"
)

// rules is the table of RULES D10.
var rules = []Rule{
	{ruleDocument, Error, false, "a document that is not understood"},
	{ruleOwnIssuer, Error, false, "our own issuer as an Issuer"},
	{ruleIssuerOverlap, Error, false, "two issuers with one URL and an audience in common"},
	{ruleCondition, Error, false, "a condition that does not compile, is not typed or costs too much"},
	{ruleInsecureAllow, Error, false, "insecure_allow names no rule that can be overridden"},
	{ruleEveryone, Error, true, "everybody to whom the issuer, the account or this server gives a proof is let in"},
	{ruleMultiTenant, Error, true, "anybody can get a token of the issuer, and the statement does not say whose it must be"},
	{ruleKubernetesAny, Error, true, "service accounts of every namespace of a cluster"},
	{ruleAWSAccountWildcard, Error, true, "a pattern of ARNs that leaves the account open"},
	{ruleAudienceOfOthers, Warning, true, "an audience of tokens that are made for somebody else, who could use them here"},
	{ruleAudienceAny, Warning, true, "the issuer has several audiences, and the statement takes any of them"},
	{ruleAudienceUnknown, Warning, true, "an audience that the issuer's document does not take, so that nothing matches"},
	{ruleKubernetesDefault, Warning, true, "the service account of every pod of a namespace that does not name one"},
	{ruleGitHubNoRef, Warning, true, "every branch, tag and pull request of a repository"},
	{ruleRepositoryWildcard, Warning, true, "several repositories or projects of one owner"},
	{rulePatternTail, Warning, true, "a pattern that ends in * and would only match with **"},
	{rulePatternRegexp, Warning, true, "a pattern with signs of a regular expression, which mean nothing here"},
	{ruleAWSNeverMatches, Warning, true, "a pattern of ARNs that no caller has"},
	{ruleAWSAnyRole, Warning, true, "every role or user of an account"},
	{ruleAWSRoot, Warning, true, "the root user of an account, not the account"},
	{ruleAWSSessionName, Warning, true, "a session name, which whoever assumes the role chooses"},
	{ruleIssuerMissing, Warning, true, "an issuer that is not there"},
	{ruleSessionLong, Warning, false, "sessions of more than 4 hours"},
	{ruleListPrefix, Warning, false, "a list of a prefix that does not end in /, which is never allowed"},
	{ruleBucketMissing, Warning, false, "a permission for a bucket that is not there"},
	{ruleBucketPublic, Warning, false, "a bucket whose objects anybody may read"},
	{ruleBucketOverlap, Warning, false, "two buckets over the same objects: who may use one of them gets at the other's"},
	{ruleBucketUnused, Warning, false, "a role in allowed_roles whose permissions do not name the bucket"},
	{rulePlainOrigin, Warning, false, "an origin that is reached by plain http off this machine"},
	{ruleAllowUnused, Warning, false, "insecure_allow names a rule that the statement keeps"},
}

// Rules returns the table.
func Rules() []Rule { return slices.Clone(rules) }

// ruleOf returns a rule by its name; nil when there is none.
func ruleOf(name string) *Rule {
	for i := range rules {
		if rules[i].Name == name {
			return &rules[i]
		}
	}
	return nil
}
