package server

import (
	"context"
	"net/http"
	"time"

	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/sts"
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
	s.broker, err = broker.New(broker.Config{
		Issuer: s.issuer, Signer: s.brokerSigner, Now: s.now,
	})
	if err != nil || s.cfg.STS.ServerID == "" {
		return err
	}
	s.aws, err = trust.NewAWS(trust.AWSConfig{
		ServerID: s.cfg.STS.ServerID, Endpoints: s.cfg.STS.AWSEndpoints, SingleUse: s.store,
		Revocations: authn.Revocations(s.registry, s.issuer), Now: s.now,
	})
	return err
}

// brokerKeyTimeout bounds the making of the first broker key: most deployments never need
// one, and an RSA key is slow to make.
const brokerKeyTimeout = 5 * time.Second

func (s *Server) brokerSigner() (*keys.Signer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), brokerKeyTimeout)
	defer cancel()
	return s.admin.BrokerSigner(ctx)
}

// newSTS makes the front door of the STS.
func (s *Server) newSTS() (*sts.Handler, error) {
	s.sealer = session.New(session.Config{Keys: s.keys, DeploymentID: s.deployment, Now: s.now})
	sessions, err := authn.NewSessions(authn.SessionsConfig{Sealer: s.sealer, Registry: s.registry, Now: s.now})
	if err != nil {
		return nil, err
	}
	return sts.New(sts.Config{
		AccountID: s.cfg.AccountID, Registry: s.registry, WebIdentity: s.web, AWSIdentity: s.aws, Broker: s.broker,
		Sealer: s.sealer, Sessions: sessions, Audit: s.audit, MaxDuration: s.cfg.STS.MaxSessionDuration,
		IdentityRate: int(s.cfg.Limits.RequestsPerIdentity), ExposeReasons: s.cfg.ExposeReasons, Logger: s.logger, Now: s.now,
	})
}

// doubleSlash takes "//" to the STS: some clients double the slash of their endpoint, and the
// mux would redirect them, which no POST survives. The path stays as it was signed.
func doubleSlash(mux *http.ServeMux, root http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "//" && r.URL.RawPath == "" && r.Method == http.MethodPost {
			r.Pattern = sts.RootPattern
			root.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// closeTrust ends the fetching of foreign keys and of credentials.
func (s *Server) closeTrust() {
	if s.web != nil {
		_ = s.web.Close()
	}
	if s.broker != nil {
		_ = s.broker.Close()
	}
	if s.aws != nil {
		_ = s.aws.Close()
	}
}
