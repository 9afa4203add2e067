package resource

import (
	"regexp"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/awssts"
)

// arnParts takes arn:PARTITION:SERVICE:REGION:ACCOUNT:REST apart.
func arnParts(text string) (partition, service, region, account, rest string, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", "", "", "", "", false
	}
	return parts[1], parts[2], parts[3], parts[4], parts[5], true
}

// partitions are those of the endpoint table of AWS.
var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

func checkRoleARN(text string) (problem string) {
	const form = "must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"
	partition, service, region, account, rest, ok := arnParts(text)
	name, isRole := strings.CutPrefix(rest, "role/")
	if !ok || !slices.Contains(partitions, partition) || service != "iam" || region != "" || !isAccount(account) || !isRole || len(text) > 2048 {
		return form
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || strings.ContainsFunc(segment, func(r rune) bool { return !isIAMName(r) }) {
			return form
		}
	}
	return ""
}

// isIAMName reports whether a name of IAM may have the character.
//
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func isIAMName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+=,.@_-", r)
}

func isAccount(text string) bool {
	if len(text) != 12 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// checkRegion holds a region against the endpoints of AWS. One that the table does not know
// needs an endpoint of its own.
func checkRegion(b *AWSBroker) (problem string) {
	region, known := awssts.OfRegion(b.Region)
	partition, _, _, _, _, _ := arnParts(b.RoleARN)
	switch {
	case known && partition != "" && region.Partition != partition:
		return "is in another partition of AWS than role_arn"
	case !known && (b.Endpoint == "" || !regionForm.MatchString(b.Region)):
		return "must be a region of AWS, such as us-east-1; one that is not known here needs an endpoint too"
	}
	return ""
}

var regionForm = regexp.MustCompile(`\A[a-z]{2,8}(-[a-z0-9]{1,16}){2,3}\z`)
