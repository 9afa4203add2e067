package cognitoseed

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
)

// The attribute that says which service an account is.
const (
	attributeName = "service_id"
	attribute     = "custom:" + attributeName
)

var poolID = regexp.MustCompile(`^[\w-]{1,40}_[0-9a-zA-Z]{1,40}$`)

func validPoolID(id string) bool { return len(id) <= 55 && poolID.MatchString(id) }

// pool is what matters of the user pool.
type pool struct {
	// hasAttribute: custom:service_id is there. mutable: it can be changed afterwards.
	hasAttribute, mutable bool
	// signUp: whoever knows a client can make an account.
	signUp bool
	// minimumPassword is the shortest password that it takes.
	minimumPassword int
}

func (s *seed) inspectPool(ctx context.Context) error {
	out, err := s.Cognito.DescribeUserPool(ctx, &cognitoidentityprovider.DescribeUserPoolInput{UserPoolId: &s.UserPoolID})
	if err != nil {
		return failed("read the user pool "+s.UserPoolID, err)
	}
	described := out.UserPool
	if described == nil {
		return conflict("the user pool " + s.UserPoolID + " has no description")
	}
	if len(described.UsernameAttributes) > 0 {
		return conflict("people sign in to this pool with an e-mail address or telephone number: services need a pool that signs in by user name")
	}
	if described.MfaConfiguration == types.UserPoolMfaTypeOn {
		return conflict("the pool wants a second factor from everybody: a service has none")
	}
	s.pool = pool{signUp: described.AdminCreateUserConfig == nil || !described.AdminCreateUserConfig.AllowAdminCreateUserOnly}
	if p := described.Policies; p != nil && p.PasswordPolicy != nil {
		s.pool.minimumPassword = int(aws.ToInt32(p.PasswordPolicy.MinimumLength))
	}
	return s.pool.inspectSchema(described.SchemaAttributes)
}

func (p *pool) inspectSchema(schema []types.SchemaAttributeType) error {
	for _, a := range schema {
		switch name := aws.ToString(a.Name); {
		case name == attribute || name == attributeName:
			if a.AttributeDataType != types.AttributeDataTypeString {
				return conflict(attribute + " is there and is no text")
			}
			p.hasAttribute, p.mutable = true, aws.ToBool(a.Mutable)
		case strings.EqualFold(name, attribute) || strings.EqualFold(name, attributeName):
			return conflict(name + " differs from " + attribute + " by letters only: one could be taken for the other")
		case aws.ToBool(a.Required) && name != "sub":
			return conflict("the pool requires the attribute " + name + ", which a service does not have: services need a pool of their own")
		}
	}
	return nil
}

// ensureAttribute adds the attribute. It can't be changed once an account has it: not
// even by a client that was allowed too much later.
func (s *seed) ensureAttribute(ctx context.Context) error {
	if s.pool.hasAttribute {
		return nil
	}
	return s.step(AddAttribute, attribute, func() error {
		_, err := s.Cognito.AddCustomAttributes(ctx, &cognitoidentityprovider.AddCustomAttributesInput{
			UserPoolId: &s.UserPoolID,
			CustomAttributes: []types.SchemaAttributeType{{
				Name: aws.String(attributeName), AttributeDataType: types.AttributeDataTypeString,
				Mutable: aws.Bool(false), Required: aws.Bool(false),
				StringAttributeConstraints: &types.StringAttributeConstraintsType{
					MinLength: aws.String("1"), MaxLength: aws.String("63"),
				},
			}},
		})
		return err
	})
}

// writable reports whether a client lets its users write the attribute: when it is in
// the client's list, or when there is no list, since the default is not ours to know.
func writable(c *types.UserPoolClientType) bool {
	return len(c.WriteAttributes) == 0 || slices.ContainsFunc(c.WriteAttributes, func(name string) bool {
		return strings.EqualFold(name, attribute)
	})
}
