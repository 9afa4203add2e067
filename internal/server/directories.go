package server

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/directory"
)

// openDirectories makes the directories of users: the local one first.
func (s *Server) openDirectories() error {
	cfg := s.cfg.Directories
	if cfg.Local {
		s.directories = append(s.directories, directory.NewLocal(s.store))
	}
	for _, pool := range cfg.Cognito {
		d, err := directory.NewCognito(directory.CognitoConfig{Pool: pool, Credentials: ambientAWS(), Endpoint: cfg.CognitoEndpoint})
		if err != nil {
			return err
		}
		s.directories = append(s.directories, d)
	}
	return nil
}

// ambientAWS are the credentials of the machine, found when they are first asked for: a
// server starts without AWS.
func ambientAWS() aws.CredentialsProvider {
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		cfg, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Credentials{}, countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamUnavailable, "there are no AWS credentials", err)
		}
		return cfg.Credentials.Retrieve(ctx) //nolint:wrapcheck // the SDK says it
	}))
}

// closeDirectories closes idle connections.
func (s *Server) closeDirectories() {
	for _, d := range s.directories {
		if cognito, ok := d.(*directory.Cognito); ok {
			_ = cognito.Close()
		}
	}
}
