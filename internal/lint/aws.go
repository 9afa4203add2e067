package lint

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/pattern"
)

func (t *trusted) aws(a *resource.AWSTrust) {
	const path = "aws.subject_conditions"
	t.regexps(path, a.SubjectConditions)
	if len(a.SubjectConditions) == 0 {
		if len(a.UniqueIDs) == 0 && t.letsInAccount(a) {
			t.tell(ruleEveryone, "aws.condition", "everybody in the account is let in")
		}
		return
	}
	for _, text := range a.SubjectConditions {
		p, err := pattern.Parse(text)
		if err != nil {
			continue // told already
		}
		if p.Everything() {
			if len(a.UniqueIDs) == 0 && t.letsInAccount(a) {
				t.tell(ruleEveryone, path, "everybody in the account is let in")
			}
			continue
		}
		if rule, message := arnProblem(p, a.TrustedAWSAccounts); rule != "" {
			t.tell(rule, path, message)
		}
	}
}

func (t *trusted) letsInAccount(a *resource.AWSTrust) bool {
	account := a.TrustedAWSAccounts[0]
	return t.letsIn(strangerAWS(account, "arn:aws:sts::"+account+":assumed-role/"+stranger+"/"+stranger))
}

// arnProblem says what is wrong with a pattern of callers' ARNs:
// arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION, arn:PARTITION:iam::ACCOUNT:user/PATH.
func arnProblem(p pattern.Pattern, accounts []string) (rule, message string) {
	parts := strings.SplitN(p.String(), ":", 6)
	literal := strings.SplitN(p.Head(), ":", 6)
	switch {
	case !strings.HasPrefix(p.Head(), "arn:") && !strings.HasPrefix("arn:", p.Head()):
		return ruleAWSNeverMatches, "one of them does not begin with arn:"
	case len(literal) < 6:
		return ruleAWSAccountWildcard, "one of them leaves the account open: write its number"
	case !slices.Contains(accounts, parts[4]):
		return ruleAWSNeverMatches, "one of them is of an account that is not in trusted_aws_accounts"
	}
	kind, name, found := strings.Cut(parts[5], "/")
	switch {
	case parts[2] == "iam" && kind == "role":
		return ruleAWSNeverMatches, "no caller has the ARN of a role: an assumed role is arn:aws:sts::ACCOUNT:assumed-role/NAME/*"
	case kind == "root":
		return ruleAWSRoot, "root is the account's root user, not everybody in the account"
	case strings.Contains(kind, "*"):
		return ruleAWSAnyRole, "one of them is for every role and user of the account"
	case kind == "assumed-role":
		return assumedRoleProblem(name, found)
	case kind == "user" && strings.HasPrefix(name, "*"):
		return ruleAWSAnyRole, "one of them is for every user of the account"
	}
	return "", ""
}

// assumedRoleProblem is about NAME/SESSION.
func assumedRoleProblem(rest string, found bool) (rule, message string) {
	name, session, two := strings.Cut(rest, "/")
	switch {
	case !found:
		return ruleAWSNeverMatches, "the ARN of an assumed role has its name behind assumed-role/"
	case !two && strings.HasSuffix(name, "*") && !strings.HasSuffix(name, "**"):
		return rulePatternTail, "one of them ends in *, which stops before the session's name: assumed-role/NAME/*"
	case !two && !strings.HasSuffix(name, "**"):
		return ruleAWSNeverMatches, "the ARN of an assumed role ends in the session's name: assumed-role/NAME/*"
	case strings.HasPrefix(name, "*"):
		return ruleAWSAnyRole, "one of them is for every role of the account"
	case two && !strings.Contains(session, "*"):
		return ruleAWSSessionName, "one of them has a session name, which whoever assumes the role chooses"
	}
	return "", ""
}
