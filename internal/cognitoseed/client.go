package cognitoseed

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/countersign/countersign"
)

// maxClients bounds how many app clients of a pool are looked at: Cognito's own limit
// is 1000, or 10,000 on request.
const maxClients = 10_000

// client is the app client that services sign in through; its id is "" until it is made.
type client struct {
	id     string
	secret countersign.Secret
}

// inspectClients looks at every app client of the pool: the accounts of services are
// accounts of the whole pool, and sign in through any of its clients.
func (s *seed) inspectClients(ctx context.Context) error {
	ids, err := s.clientIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		out, err := s.Cognito.DescribeUserPoolClient(ctx, &cognitoidentityprovider.DescribeUserPoolClientInput{
			UserPoolId: &s.UserPoolID, ClientId: &id,
		})
		if err != nil {
			return failed("read the app client "+id, err)
		}
		if out.UserPoolClient == nil {
			return conflict("the app client " + id + " has no description")
		}
		if err := s.inspectClient(out.UserPoolClient); err != nil {
			return err
		}
	}
	if s.ClientID != "" && s.client.id == "" {
		return countersign.NewError(countersign.NotFound, "", "the pool has no app client "+s.ClientID)
	}
	return nil
}

func (s *seed) clientIDs(ctx context.Context) ([]string, error) {
	var ids []string
	var next *string
	for {
		out, err := s.Cognito.ListUserPoolClients(ctx, &cognitoidentityprovider.ListUserPoolClientsInput{
			UserPoolId: &s.UserPoolID, MaxResults: aws.Int32(60), NextToken: next,
		})
		if err != nil {
			return nil, failed("list the app clients", err)
		}
		for _, c := range out.UserPoolClients {
			ids = append(ids, aws.ToString(c.ClientId))
		}
		if next = out.NextToken; aws.ToString(next) == "" {
			return ids, nil
		}
		if len(ids) > maxClients {
			return nil, conflict("the pool has more app clients than can be looked at")
		}
	}
}

// inspectClient refuses a client whose users could write which service they are, and
// takes note of the one that services are to use.
func (s *seed) inspectClient(c *types.UserPoolClientType) error {
	id, name := aws.ToString(c.ClientId), aws.ToString(c.ClientName)
	ours := id == s.ClientID || (s.ClientID == "" && name == s.ClientName)
	// Who can't change the attribute of an account nor make one, can't write it,
	// whatever a client says; ours must be right even so.
	changeable := s.pool.signUp || (s.pool.hasAttribute && s.pool.mutable)
	if writable(c) && (ours || changeable) {
		return conflict("the app client " + id + " (" + name + ") lets its users write " + attribute +
			", so each could say that it is any service: give it a list of WriteAttributes without it")
	}
	if !ours {
		return nil
	}
	if s.client.id != "" {
		return conflict("several app clients are named " + name + ": say which with its id")
	}
	switch {
	case aws.ToString(c.ClientSecret) == "":
		return conflict("the app client " + id + " has no secret")
	case !slices.Contains(c.ExplicitAuthFlows, types.ExplicitAuthFlowsTypeAllowUserPasswordAuth):
		return conflict("the app client " + id + " does not allow ALLOW_USER_PASSWORD_AUTH")
	case len(c.ReadAttributes) > 0 && !slices.Contains(c.ReadAttributes, attribute):
		return conflict("the app client " + id + " may not read " + attribute + ": it would be in no ID token")
	}
	s.client = client{id: id, secret: countersign.NewSecret(*c.ClientSecret)}
	return nil
}

// ensureClient makes the app client. The list of what users may write is never empty,
// since Cognito takes an empty one for its default; a nickname means nothing here.
func (s *seed) ensureClient(ctx context.Context) error {
	if s.client.id != "" {
		return nil
	}
	return s.step(CreateClient, s.ClientName, func() error {
		out, err := s.Cognito.CreateUserPoolClient(ctx, &cognitoidentityprovider.CreateUserPoolClientInput{
			UserPoolId: &s.UserPoolID, ClientName: &s.ClientName, GenerateSecret: true,
			ExplicitAuthFlows: []types.ExplicitAuthFlowsType{
				types.ExplicitAuthFlowsTypeAllowUserPasswordAuth, types.ExplicitAuthFlowsTypeAllowRefreshTokenAuth,
			},
			ReadAttributes:             []string{attribute},
			WriteAttributes:            []string{"nickname"},
			PreventUserExistenceErrors: types.PreventUserExistenceErrorTypesEnabled,
			EnableTokenRevocation:      aws.Bool(true),
			IdTokenValidity:            aws.Int32(60),
			AccessTokenValidity:        aws.Int32(60),
			TokenValidityUnits: &types.TokenValidityUnitsType{
				IdToken: types.TimeUnitsTypeMinutes, AccessToken: types.TimeUnitsTypeMinutes, RefreshToken: types.TimeUnitsTypeDays,
			},
		})
		if err != nil {
			return err
		}
		made := out.UserPoolClient
		if made == nil || aws.ToString(made.ClientSecret) == "" {
			return conflict("the app client was made without a secret")
		}
		// Whatever answers must have understood the lists.
		if writable(made) {
			return conflict("the app client " + aws.ToString(made.ClientId) + " was made, but lets its users write " + attribute + ": delete it")
		}
		s.client = client{id: aws.ToString(made.ClientId), secret: countersign.NewSecret(*made.ClientSecret)}
		return nil
	})
}
