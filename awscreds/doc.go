// Package awscreds trades a proof of identity for temporary AWS-style credentials, and
// keeps them fresh. What it makes is an aws.CredentialsProvider of aws-sdk-go-v2:
//
//	cfg.Credentials = awscreds.NewWebIdentity(awscreds.WebIdentityConfig{
//		STS:     "https://auth.example.com/sts",
//		RoleARN: "arn:aws:iam::000000000000:role/document-writer",
//		Source:  source, // of package tokensource
//	})
//
// [NewWebIdentity] shows a token (AssumeRoleWithWebIdentity). The STS may be Countersign or
// AWS itself: only the configuration differs. [NewAWSIdentity] shows that it can sign as an
// AWS principal (AssumeRoleWithAWSIdentity): the credentials of a Lambda function, an EC2
// instance or a person become those of a role at Countersign; no secret leaves the program.
//
// # The cache of a Provider
//
//	holds      the credentials of one role
//	life       until they expire
//	refresh    in the background, 60 to 90 seconds before they expire (in the last half of
//	           a life that is shorter than three minutes), when credentials are asked for;
//	           nobody who can be given valid ones waits. One login in flight
//	failure    the last good credentials are given until they expire; new attempts back
//	           off from 1 second to 1 minute (30 seconds to 5 minutes when the STS
//	           refuses), or as long as Retry-After says, up to 5 minutes
//
// There are no timers: a provider that nobody asks does nothing. An aws.CredentialsCache
// around it, which config.LoadDefaultConfig adds, asks it again every few seconds
// ([Provider.AdjustExpiresBy]) and so takes nothing of this away.
//
// # Errors
//
// Every error is or holds a *countersign.Error. When the STS answered, it is an [*Error],
// which satisfies smithy's APIError as the errors of the AWS SDK do, so that errors.As
// finds either:
//
//	var api smithy.APIError
//	if errors.As(err, &api) && api.ErrorCode() == "AccessDenied" { … }
//
// # What it does not do
//
// It keeps nothing on disk, reads nothing of the environment and follows no redirect.
//
// Layer 3.
package awscreds
