package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/trust"
)

// TrustSpec says a documented trust statement in the words of package trust.
func TrustSpec(s *resource.TrustStatement) trust.StatementSpec {
	return trust.StatementSpec{
		OIDC: (*trust.OIDCSpec)(s.OIDC), Kubernetes: (*trust.KubernetesSpec)(s.Kubernetes), GitHub: (*trust.GitHubSpec)(s.GitHub),
		AWS: (*trust.AWSSpec)(s.AWS), Service: (*trust.ServiceSpec)(s.Service),
	}
}

func compileTrust(list []resource.TrustStatement) ([]trust.Statement, error) {
	made := make([]trust.Statement, 0, len(list))
	for i := range list {
		s, err := trust.Compile(TrustSpec(&list[i]))
		if err != nil {
			return nil, fmt.Errorf("trust[%d]: %w", i, err)
		}
		made = append(made, s)
	}
	return made, nil
}

// maxServiceTrusts bounds the services whose trust is held compiled; then it begins anew.
const maxServiceTrusts = 10_000

// serviceTrusts holds the compiled trust of services. Key: the service's uid; lifetime:
// until its revision is another one. The zero value is empty.
type serviceTrusts struct {
	mu   sync.Mutex
	held map[string]serviceTrust
}

type serviceTrust struct {
	revision   int64
	statements []trust.Statement
}

// ServiceTrust returns the compiled trust statements of a service: who may prove to be it
// without a secret. None is no error.
//
// Errors: countersign.BadPolicy for statements that don't compile, which were saved by
// another version.
func (r *Registry) ServiceTrust(service *Service) ([]trust.Statement, error) {
	if len(service.Trust) == 0 {
		return nil, nil
	}
	s := &r.serviceTrusts
	s.mu.Lock()
	known, ok := s.held[service.UID]
	s.mu.Unlock()
	if ok && known.revision == service.Revision {
		return known.statements, nil
	}
	var documents []resource.TrustStatement
	if err := json.Unmarshal(service.Trust, &documents); err != nil {
		return nil, fmt.Errorf("read the trust of service %s: %w", service.Name, err)
	}
	statements, err := compileTrust(documents)
	if err != nil {
		return nil, fmt.Errorf("compile the trust of service %s: %w", service.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || len(s.held) >= maxServiceTrusts {
		s.held = make(map[string]serviceTrust)
	}
	s.held[service.UID] = serviceTrust{service.Revision, statements}
	return statements, nil
}

// LocalService finds out whether a foreign token is one of our services: where it gives a
// service's name and that service's own trust names the issuer (RULES A2). Then id is that
// service, with its tenant where the token may assert none; else it stays as it is.
//
// Errors: countersign.Denied (the service is disabled, or of another tenant than the token), countersign.Unavailable.
func (r *Registry) LocalService(ctx context.Context, id *trust.Identity, now time.Time) error {
	if id.ClaimedService == "" || !countersign.ValidName(id.ClaimedService) {
		return nil
	}
	service, err := r.Service(ctx, id.ClaimedService)
	if errors.Is(err, countersign.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	statements, err := r.ServiceTrust(service)
	if err != nil {
		return err
	}
	asked := trust.RequestContext{Time: now, Tenant: service.Tenant}
	if !slices.ContainsFunc(statements, func(s trust.Statement) bool { ok, _ := s.Match(ctx, *id, asked); return ok }) {
		return nil
	}
	if service.Disabled {
		return countersign.NewError(countersign.Denied, countersign.ReasonClientDisabled, "the service is disabled")
	}
	// The issuer may speak for several tenants, but the service is of one (RULES A6).
	if id.Tenant != "" && service.Tenant != "" && id.Tenant != service.Tenant {
		return countersign.NewError(countersign.Denied, countersign.ReasonRoleTenant, "the service is of another tenant")
	}
	id.Service, id.ServiceUID = service.Name, service.UID
	if id.Tenant == "" {
		id.Tenant = service.Tenant
	}
	return nil
}
