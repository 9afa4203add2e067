package s3origin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/sigv4"
)

// Broker gets credentials of a role of AWS that trusts our issuer: *broker.AWS.
type Broker interface {
	Credentials(ctx context.Context, r broker.Request) (broker.Credentials, error)
	Forget(r broker.Request, accessKeyID string)
}

// webIdentity are credentials that the broker keeps and renews.
type webIdentity struct {
	broker  Broker
	request broker.Request
}

// newWebIdentity: the session may do what the bucket of the store is for, and no more,
// whatever else the role may.
func newWebIdentity(b Broker, bucket string, o *resource.S3Origin) (*webIdentity, error) {
	if b == nil {
		return nil, countersign.NewError(countersign.Unavailable, "", "the server has no issuer that AWS could trust")
	}
	w := o.Credentials.WebIdentity
	policy, err := sessionPolicy(w.RoleARN, o)
	if err != nil {
		return nil, err
	}
	return &webIdentity{b, broker.Request{
		Bucket: bucket, RoleARN: w.RoleARN, Region: w.Region, Endpoint: w.Endpoint, SessionName: bucket, Policy: policy, Duration: broker.MaxDuration,
	}}, nil
}

type policyStatement struct {
	Effect   string
	Action   []string
	Resource []string
}

// sessionPolicy is the policy of a session for one bucket, below its prefix. What encrypts
// objects there is asked by S3 in the session's name.
//
// Source: IAM User Guide, "Session policies"; Amazon S3 User Guide, "Using server-side
// encryption with AWS KMS keys".
func sessionPolicy(roleARN string, o *resource.S3Origin) (string, error) {
	partition := "aws"
	if parts := strings.SplitN(roleARN, ":", 3); len(parts) == 3 {
		partition = parts[1]
	}
	arn := "arn:" + partition + ":s3:::" + o.Bucket
	text, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []policyStatement{
			{"Allow", []string{"s3:*"}, []string{arn, arn + "/" + quotePattern(o.Prefix) + "*"}},
			{"Allow", []string{"kms:Decrypt", "kms:GenerateDataKey"}, []string{"*"}},
		},
	})
	if err != nil {
		return "", countersign.WrapError(countersign.Internal, "", "", err)
	}
	return string(text), nil
}

// quotePattern writes what has a meaning in a resource of a policy as itself.
//
// Source: IAM User Guide, "Policy elements: Variables and tags", "Special characters".
func quotePattern(text string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(text)
}

// Get implements Credentials. What AWS denies is denied to us, not to who asks.
func (w *webIdentity) Get(ctx context.Context) (sigv4.Credentials, error) {
	got, err := w.broker.Credentials(ctx, w.request)
	if err != nil {
		if code := countersign.CodeOf(err); code == countersign.Throttled || code == countersign.Unavailable {
			return sigv4.Credentials{}, err
		}
		return sigv4.Credentials{}, uncredited(errors.New(err.Error())) // its text is for the log, its code is not the caller's
	}
	return sigv4.Credentials{AccessKeyID: got.AccessKeyID, SecretAccessKey: got.SecretAccessKey, SessionToken: got.SessionToken}, nil
}

// Refused implements Credentials.
func (w *webIdentity) Refused(used sigv4.Credentials) { w.broker.Forget(w.request, used.AccessKeyID) }

// Identity implements Credentials: the session's policy is part of what it may.
func (w *webIdentity) Identity() string {
	return "web identity " + w.request.RoleARN + " " + w.request.Policy
}

// Close implements Credentials.
func (w *webIdentity) Close() error { return nil }
