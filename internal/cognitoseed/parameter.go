package cognitoseed

import (
	"context"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/countersign/countersign"
)

// Names of a service's parameters, below PREFIX/SERVICE/.
const (
	parameterUsername     = "username"
	parameterPassword     = "password"
	parameterClientID     = "client_id"
	parameterClientSecret = "client_secret"
)

var prefixForm = regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+){1,10}$`)

func checkPrefix(prefix string) error {
	if len(prefix) > 512 || !prefixForm.MatchString(prefix) {
		return invalid("the prefix of the parameters is a path like /countersign/cognito")
	}
	return nil
}

func (s *seed) parameterName(service, name string) string {
	return s.ParameterPrefix + "/" + service + "/" + name
}

// parameter reads one; the zero Secret means that there is none. One that is not
// encrypted is someone else's, or a mistake.
func (s *seed) parameter(ctx context.Context, name string) (countersign.Secret, error) {
	out, err := s.Parameters.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if isCode(err, "ParameterNotFound") {
		return countersign.Secret{}, nil
	}
	if err != nil {
		return countersign.Secret{}, failed("read the parameter "+name, err)
	}
	if out.Parameter == nil || out.Parameter.Type != types.ParameterTypeSecureString {
		return countersign.Secret{}, conflict("the parameter " + name + " is no SecureString: delete it")
	}
	return countersign.NewSecret(aws.ToString(out.Parameter.Value)), nil
}

// ensureParameter writes a parameter that does not say so already.
func (s *seed) ensureParameter(ctx context.Context, name string, is, want countersign.Secret) error {
	if !want.IsZero() && is.Equal(want) {
		return nil
	}
	return s.step(PutParameter, name, func() error {
		_, err := s.Parameters.PutParameter(ctx, &ssm.PutParameterInput{
			Name: &name, Value: aws.String(want.Reveal()), Type: types.ParameterTypeSecureString,
			Overwrite: aws.Bool(!is.IsZero()), KeyId: optional(s.KMSKeyID),
		})
		return err
	})
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
