package cognitoseed

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/countersign/countersign"
)

// accountPrefix comes before the name of a service in the name of its account.
const accountPrefix = "service-"

// account is one service's, as it is found.
type account struct {
	service, username string
	exists            bool
	// signsIn: the stored password is the account's.
	signsIn bool
	// stored is what the Parameter Store has, by the parameter's name.
	stored map[string]countersign.Secret
}

func (s *seed) inspectAccount(ctx context.Context, service string) (*account, error) {
	a := &account{service: service, username: accountPrefix + service, stored: make(map[string]countersign.Secret)}
	for _, name := range []string{parameterUsername, parameterPassword, parameterClientID, parameterClientSecret} {
		value, err := s.parameter(ctx, s.parameterName(service, name))
		if err != nil {
			return nil, err
		}
		a.stored[name] = value
	}
	if err := s.inspectEnvrc(service); err != nil {
		return nil, err
	}
	found, err := s.Cognito.AdminGetUser(ctx, &cognitoidentityprovider.AdminGetUserInput{
		UserPoolId: &s.UserPoolID, Username: &a.username,
	})
	if isCode(err, "UserNotFoundException") {
		return a, nil
	}
	if err != nil {
		return nil, failed("read the account "+a.username, err)
	}
	a.exists = true
	if err := a.checkOwned(found); err != nil {
		return nil, err
	}
	return a, s.checkPassword(ctx, a, found.UserStatus)
}

// checkOwned refuses an account of that name that is not this service's.
func (a *account) checkOwned(found *cognitoidentityprovider.AdminGetUserOutput) error {
	for _, attr := range found.UserAttributes {
		switch name := aws.ToString(attr.Name); {
		case name == attribute && aws.ToString(attr.Value) == a.service:
			if !found.Enabled {
				return conflict("the account " + a.username + " is disabled: that is for an operator to undo")
			}
			return nil
		case strings.EqualFold(name, attribute):
			return conflict("the account " + a.username + " is another service's by its " + attribute)
		}
	}
	return conflict("there is an account " + a.username + " without " + attribute + ": it was not made here; delete it first")
}

// checkPassword signs in with the stored password, the only way to know whether it is
// the account's. A password that nobody stored is not replaced unasked: whoever uses the
// account may have it from elsewhere.
func (s *seed) checkPassword(ctx context.Context, a *account, status types.UserStatusType) error {
	stored := a.stored[parameterPassword]
	if status == types.UserStatusTypeForceChangePassword {
		return nil // it was made, and its password was never set
	}
	if s.Rotate {
		return nil
	}
	if stored.IsZero() {
		return conflict("the account " + a.username + " is there and its password is not in the Parameter Store: give it a new one with --rotate")
	}
	if s.client.id == "" {
		return nil // the client is still to be made: the password is set again after that
	}
	out, err := s.Cognito.InitiateAuth(ctx, &cognitoidentityprovider.InitiateAuthInput{
		AuthFlow: types.AuthFlowTypeUserPasswordAuth, ClientId: &s.client.id,
		AuthParameters: map[string]string{
			"USERNAME": a.username, "PASSWORD": stored.Reveal(), "SECRET_HASH": secretHash(a.username, s.client),
		},
	})
	if isCode(err, "NotAuthorizedException") {
		return nil
	}
	if err != nil {
		return failed("sign in as "+a.username, err)
	}
	if out.ChallengeName != "" {
		return conflict("the account " + a.username + " has to answer " + string(out.ChallengeName) + " to sign in: a service can't")
	}
	a.signsIn = true
	return nil
}

// ensureAccount makes the account, stores what it signs in with, and only then makes the
// stored password the account's: a run that breaks off in between is completed by the
// next one.
func (s *seed) ensureAccount(ctx context.Context, a *account) error {
	if !a.exists {
		if err := s.step(CreateAccount, a.username, func() error { return s.createAccount(ctx, a) }); err != nil {
			return err
		}
	}
	password := a.stored[parameterPassword]
	if s.Rotate || password.IsZero() || !a.exists {
		password = newPassword(s.pool.minimumPassword)
	}
	wanted := []struct {
		name  string
		value countersign.Secret
	}{
		{parameterUsername, countersign.NewSecret(a.username)},
		{parameterPassword, password},
		{parameterClientID, countersign.NewSecret(s.client.id)},
		{parameterClientSecret, s.client.secret},
	}
	for _, w := range wanted {
		if err := s.ensureParameter(ctx, s.parameterName(a.service, w.name), a.stored[w.name], w.value); err != nil {
			return err
		}
	}
	if s.Rotate || !a.signsIn {
		if err := s.step(SetPassword, a.username, func() error { return s.setPassword(ctx, a, password) }); err != nil {
			return err
		}
	}
	if s.SignOut && a.exists {
		if err := s.step(SignOut, a.username, func() error { return s.signOut(ctx, a) }); err != nil {
			return err
		}
	}
	return s.ensureEnvrc(a, password)
}

// createAccount names the service at once: an account without the attribute is nobody's.
func (s *seed) createAccount(ctx context.Context, a *account) error {
	_, err := s.Cognito.AdminCreateUser(ctx, &cognitoidentityprovider.AdminCreateUserInput{
		UserPoolId: &s.UserPoolID, Username: &a.username, MessageAction: types.MessageActionTypeSuppress,
		// Of a password that nobody gets; the account can do nothing until it has another.
		TemporaryPassword: aws.String(newPassword(s.pool.minimumPassword).Reveal()),
		UserAttributes:    []types.AttributeType{{Name: aws.String(attribute), Value: &a.service}},
	})
	return err
}

func (s *seed) setPassword(ctx context.Context, a *account, password countersign.Secret) error {
	_, err := s.Cognito.AdminSetUserPassword(ctx, &cognitoidentityprovider.AdminSetUserPasswordInput{
		UserPoolId: &s.UserPoolID, Username: &a.username, Password: aws.String(password.Reveal()), Permanent: true,
	})
	return err
}

func (s *seed) signOut(ctx context.Context, a *account) error {
	_, err := s.Cognito.AdminUserGlobalSignOut(ctx, &cognitoidentityprovider.AdminUserGlobalSignOutInput{
		UserPoolId: &s.UserPoolID, Username: &a.username,
	})
	return err
}
