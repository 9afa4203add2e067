package trust

import (
	"errors"
	"regexp"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
)

var (
	awsName   = regexp.MustCompile(`\A[A-Za-z0-9_+=,.@-]{1,128}\z`)
	awsPath   = regexp.MustCompile(`\A/([!-)+-~]{1,510}/)?\z`) // printable, and no *
	awsUserID = regexp.MustCompile(`\A[A-Za-z0-9_+=,.@:-]{2,256}\z`)
)

var (
	errCaller    = errors.New("Account, Arn or UserId is missing, twice or malformed")
	errAccount   = errors.New("the ARN is of another account")
	errPartition = errors.New("the ARN is of another partition than the host")
	errUserID    = errors.New("the UserId is not that of the ARN")
)

// readCaller reads the result of GetCallerIdentity. Each part must agree with the others.
//
// Source: AWS STS API, GetCallerIdentity; IAM, "IAM identifiers".
func readCaller(result *awssts.Element, partition string) (*AWSCaller, error) {
	c := AWSCaller{Partition: partition}
	var ok [3]bool
	c.Account, ok[0] = result.One("Account")
	c.ARN, ok[1] = result.One("Arn")
	c.UserID, ok[2] = result.One("UserId")
	if ok != [3]bool{true, true, true} || !result.Only("Account", "Arn", "UserId") ||
		!awsAccount.MatchString(c.Account) || !awsUserID.MatchString(c.UserID) {
		return nil, unbelieved(errCaller)
	}
	if err := c.readARN(); err != nil {
		return nil, unbelieved(err)
	}
	return &c, nil
}

// readARN reads arn:PARTITION:SERVICE::ACCOUNT:RESOURCE.
func (c *AWSCaller) readARN() error {
	parts := strings.SplitN(c.ARN, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[3] != "" {
		return errCaller
	}
	if parts[1] != c.Partition {
		return errPartition
	}
	if parts[4] != c.Account {
		return errAccount
	}
	id, rest, hasRest := strings.Cut(c.UserID, ":")
	c.UniqueID = id
	kind, name, _ := strings.Cut(parts[5], "/")
	c.Type = kind
	switch service := parts[2]; {
	case service == "iam" && parts[5] == AWSRoot:
		return unless(c.UserID == c.Account, errUserID)
	case service == "iam" && kind == AWSUser:
		last := strings.LastIndexByte(name, '/') + 1
		if !awsName.MatchString(name[last:]) || !awsPath.MatchString("/"+name[:last]) {
			return errCaller
		}
		return unless(!hasRest, errUserID)
	case service == "sts" && kind == AWSAssumedRole:
		c.RoleName, c.SessionName, _ = strings.Cut(name, "/")
		if !awsName.MatchString(c.RoleName) || !awsName.MatchString(c.SessionName) {
			return errCaller
		}
		return unless(hasRest && rest == c.SessionName && awsUniqueID.MatchString(id), errUserID)
	case service == "sts" && kind == AWSFederatedUser:
		if !awsName.MatchString(name) {
			return errCaller
		}
		return unless(id == c.Account && rest == name, errUserID)
	}
	return errCaller
}

// identity is what is proven: the account, and the caller without what it chose itself.
func (c *AWSCaller) identity() Identity {
	subject := c.ARN
	switch c.Type {
	case AWSAssumedRole:
		subject = strings.TrimSuffix(c.ARN, "/"+c.SessionName)
	case AWSFederatedUser:
		subject, _, _ = strings.Cut(c.ARN, "/")
	}
	return Identity{
		Kind: KindAWS, Issuer: "arn:" + c.Partition + ":iam::" + c.Account + ":" + AWSRoot, Subject: subject, AWS: c,
	}
}

func unless(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

func unbelieved(err error) error {
	return countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, msgReply, err)
}
