package server

import (
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/trust"
)

// openTrust makes what verifies the proofs of others.
func (s *Server) openTrust() (err error) {
	s.web, err = trust.New(trust.Config{
		OwnIssuer: s.issuer, OwnKeys: authn.OwnKeys(s.keys), Issuers: s.registry,
		Revocations: authn.Revocations(s.registry, s.issuer), Now: s.now,
	})
	if err != nil {
		return err
	}
	if s.cfg.STS.ServerID == "" {
		return nil
	}
	s.aws, err = trust.NewAWS(trust.AWSConfig{
		ServerID: s.cfg.STS.ServerID, Endpoints: s.cfg.STS.AWSEndpoints, SingleUse: s.store, Now: s.now,
	})
	return err
}

// closeTrust ends the fetching of foreign keys.
func (s *Server) closeTrust() {
	if s.web != nil {
		_ = s.web.Close()
	}
	if s.aws != nil {
		_ = s.aws.Close()
	}
}
