package trust

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/condition"
	"github.com/countersign/countersign/pattern"
)

// Bounds of a statement: entries of a list, and bytes of a text.
const (
	maxEntries = 64
	maxText    = 1024
)

// Statement is a compiled trust statement. Safe for concurrent use.
type Statement struct {
	kind Kind
	// issuerName is the Issuer document, issuerURL what its URL must be; "" = any.
	issuerName, issuerURL string
	audiences             []string
	// subjects are patterns of the subject (oidc), the ARN (aws), the name (service).
	subjects []pattern.Pattern
	// claims must be there and be exactly these texts.
	claims      []claim
	accounts    []string
	uniqueIDs   []string
	condition   *condition.Program // nil = none
	fingerprint string
}

type claim struct{ name, value string }

// Compile checks a statement and makes it ready.
//
// Errors: countersign.BadPolicy, with a message that says what is wrong.
func Compile(spec StatementSpec) (Statement, error) {
	var s Statement
	var text string
	count := 0
	for _, part := range []struct {
		set     bool
		compile func() (string, error)
	}{
		{spec.OIDC != nil, func() (string, error) { return s.compileOIDC(spec.OIDC) }},
		{spec.Kubernetes != nil, func() (string, error) { return s.compileKubernetes(spec.Kubernetes) }},
		{spec.GitHub != nil, func() (string, error) { return s.compileGitHub(spec.GitHub) }},
		{spec.AWS != nil, func() (string, error) { return s.compileAWS(spec.AWS) }},
		{spec.Service != nil, func() (string, error) { return s.compileService(spec.Service) }},
	} {
		if !part.set {
			continue
		}
		count++
		var err error
		if text, err = part.compile(); err != nil {
			return Statement{}, err
		}
	}
	if count != 1 {
		return Statement{}, bad("a trust statement names exactly one proof: oidc, kubernetes, github, aws or service")
	}
	if err := s.compileCondition(text); err != nil {
		return Statement{}, err
	}
	s.fingerprint = s.hash(text)
	return s, nil
}

func (s *Statement) compileOIDC(o *OIDCSpec) (string, error) {
	s.kind, s.issuerName = KindOIDC, o.Issuer
	if !countersign.ValidName(o.Issuer) {
		return "", bad("issuer must be the name of an Issuer")
	}
	if len(o.SubjectConditions) == 0 && o.Condition == "" {
		return "", bad("without subject_conditions a condition is needed: nothing empty means everyone")
	}
	if err := s.setAudiences(o.RequiredAudiences); err != nil {
		return "", err
	}
	return o.Condition, s.setSubjects("subject_conditions", o.SubjectConditions, o.Condition)
}

func (s *Statement) compileKubernetes(k *KubernetesSpec) (string, error) {
	s.kind, s.issuerName = KindOIDC, k.Issuer
	if !countersign.ValidName(k.Issuer) {
		return "", bad("issuer must be the name of an Issuer")
	}
	namespace, name, found := strings.Cut(k.ServiceAccount, "/")
	if !found || !kubernetesName.MatchString(namespace) || !kubernetesName.MatchString(name) {
		return "", bad("service_account must be NAMESPACE/NAME")
	}
	s.claims = []claim{{"sub", "system:serviceaccount:" + namespace + ":" + name}}
	return k.Condition, s.setAudiences(k.RequiredAudiences)
}

func (s *Statement) compileGitHub(g *GitHubSpec) (string, error) {
	s.kind, s.issuerName, s.issuerURL = KindOIDC, g.Issuer, GitHubIssuer
	if g.Issuer != "" && !countersign.ValidName(g.Issuer) {
		return "", bad("issuer must be the name of an Issuer")
	}
	if !gitHubRepository.MatchString(g.Repository) {
		return "", bad("repository must be OWNER/NAME")
	}
	s.claims = []claim{{"repository", g.Repository}}
	for _, c := range []claim{{"ref", g.Ref}, {"environment", g.Environment}} {
		if c.value == "" {
			continue
		}
		// A reader would take a star for a pattern, and these are exact.
		if !plain(c.value) || strings.Contains(c.value, "*") {
			return "", bad(c.name + " is compared exactly: no * and no control characters")
		}
		s.claims = append(s.claims, c)
	}
	return g.Condition, s.setAudiences(g.RequiredAudiences)
}

var (
	kubernetesName   = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\z`)
	gitHubRepository = regexp.MustCompile(`\A[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}\z`)
	awsAccount       = regexp.MustCompile(`\A[0-9]{12}\z`)
	awsUniqueID      = regexp.MustCompile(`\AA[A-Z0-9]{15,127}\z`)
)

func (s *Statement) compileAWS(a *AWSSpec) (string, error) {
	s.kind = KindAWS
	if len(a.TrustedAWSAccounts) == 0 || len(a.TrustedAWSAccounts) > maxEntries {
		return "", bad("trusted_aws_accounts must name 1 to 64 accounts")
	}
	for _, account := range a.TrustedAWSAccounts {
		if !awsAccount.MatchString(account) {
			return "", bad("trusted_aws_accounts: an account has 12 digits")
		}
	}
	if len(a.UniqueIDs) > maxEntries {
		return "", bad("unique_ids: more than 64")
	}
	for _, id := range a.UniqueIDs {
		if !awsUniqueID.MatchString(id) {
			return "", bad("unique_ids: not the id of a user or role (AIDA…, AROA…)")
		}
	}
	if len(a.SubjectConditions) == 0 && len(a.UniqueIDs) == 0 && a.Condition == "" {
		return "", bad("an account alone is not enough: subject_conditions, unique_ids or a condition is needed")
	}
	s.accounts, s.uniqueIDs = sortedSet(a.TrustedAWSAccounts), sortedSet(a.UniqueIDs)
	return a.Condition, s.setSubjects("subject_conditions", a.SubjectConditions, a.Condition)
}

func (s *Statement) compileService(v *ServiceSpec) (string, error) {
	s.kind = KindService
	if len(v.Names) == 0 {
		return "", bad("names must name a service")
	}
	return v.Condition, s.setSubjects("names", v.Names, v.Condition)
}

func (s *Statement) setAudiences(audiences []string) error {
	if len(audiences) > maxEntries {
		return bad("required_audiences: more than 64")
	}
	for _, a := range audiences {
		if !plain(a) {
			return bad("required_audiences: an audience is empty, too long or not plain text")
		}
	}
	s.audiences = sortedSet(audiences)
	return nil
}

// setSubjects compiles patterns. One that matches everything needs a condition (RULES D1).
func (s *Statement) setSubjects(field string, patterns []string, condition string) error {
	if len(patterns) > maxEntries {
		return bad(field + ": more than 64")
	}
	for _, text := range sortedSet(patterns) {
		p, err := pattern.Parse(text)
		if err != nil {
			return bad(fmt.Sprintf("%s: %q %s", field, clip(text), countersign.MessageOf(err)))
		}
		if len(text) > maxText {
			return bad(field + ": a pattern is longer than 1 KiB")
		}
		if p.Everything() && condition == "" {
			return bad(field + ": " + text + " alone needs a condition")
		}
		s.subjects = append(s.subjects, p)
	}
	return nil
}

// Kind is that of the proof that the statement is about.
func (s Statement) Kind() Kind { return s.kind }

// Fingerprint returns 16 hex digits that tell this statement from others: sessions carry
// them, and end with the statement that they were proven by (RULES A5).
func (s Statement) Fingerprint() string { return s.fingerprint }

// hash is over all that the statement decides by: a count before each list and a length
// before each text, so that no two statements read the same.
func (s *Statement) hash(condition string) string {
	h := sha256.New()
	number := func(n int) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(n)) //nolint:gosec // G115: a length
		_, _ = h.Write(size[:])
	}
	list := func(texts ...string) {
		number(len(texts))
		for _, text := range texts {
			number(len(text))
			_, _ = h.Write([]byte(text))
		}
	}
	list("trust statement v1", string(s.kind), s.issuerName, s.issuerURL, condition)
	list(s.audiences...)
	list(s.accounts...)
	list(s.uniqueIDs...)
	for _, p := range s.subjects {
		list("subject", p.String())
	}
	for _, c := range s.claims {
		list("claim", c.name, c.value)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func sortedSet(texts []string) []string {
	set := slices.Clone(texts)
	slices.Sort(set)
	return slices.Compact(set)
}

// plain reports whether text may stand in a statement.
func plain(text string) bool {
	return text != "" && len(text) <= maxText && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

func clip(text string) string {
	const limit = 100
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

func bad(msg string) error {
	return countersign.NewError(countersign.BadPolicy, countersign.ReasonResourceInvalid, msg)
}
