package trust

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/condition"
	"github.com/countersign/countersign/pattern"
)

// RequestContext is what conditions see of a request. What the caller chooses freely, such
// as the session name, is not in it (RULES D3, D6).
type RequestContext struct {
	// Time is the only clock of a condition (RULES D4).
	Time time.Time
	// Role is the name of the role that is asked for.
	Role string
	// Tenant is that of the document whose statement it is; "" = the platform's. Conditions
	// don't see it.
	Tenant string
}

// The variables of a condition.
const (
	varClaims        = "claims"
	varAWSAccount    = "aws.account"
	varAWSARN        = "aws.arn"
	varAWSUserID     = "aws.user_id"
	varAWSPartition  = "aws.partition"
	varServiceName   = "service.name"
	varServiceTenant = "service.tenant"
	varRequestTime   = "request.time"
	varRequestRole   = "request.role"
)

// schema is made at the first use: not every program has conditions.
var schema = sync.OnceValues(func() (*condition.Schema, error) {
	return condition.NewSchema(
		condition.Variable{Name: varClaims, Type: condition.Claims, MaxLength: 256},
		condition.Variable{Name: varAWSAccount, Type: condition.String, MaxLength: 12},
		condition.Variable{Name: varAWSARN, Type: condition.String, MaxLength: 512},
		condition.Variable{Name: varAWSUserID, Type: condition.String, MaxLength: 256},
		condition.Variable{Name: varAWSPartition, Type: condition.String, MaxLength: 16},
		condition.Variable{Name: varServiceName, Type: condition.String},
		condition.Variable{Name: varServiceTenant, Type: condition.String, MaxLength: 64},
		condition.Variable{Name: varRequestTime, Type: condition.Time},
		condition.Variable{Name: varRequestRole, Type: condition.String, MaxLength: 64},
	)
})

// compileCondition compiles a condition; "" is none. One that names what its proof does
// not have would never match, and is refused.
func (s *Statement) compileCondition(text string) error {
	if text == "" {
		return nil
	}
	variables, err := schema()
	if err != nil {
		return err
	}
	if s.condition, err = condition.Compile(text, variables); err != nil {
		return err
	}
	foreign := []string{varAWSAccount, varAWSARN, varAWSUserID, varAWSPartition}
	if s.kind == KindAWS {
		foreign = []string{varClaims, varServiceName, varServiceTenant}
	}
	for _, name := range foreign {
		if s.condition.Uses(name) {
			return bad("condition: " + name + " is not known of this proof")
		}
	}
	return nil
}

// Match reports whether the statement trusts the identity, and if not, why: for explain
// and the audit log, never for the caller. An error of the condition is no match (RULES D4).
func (s Statement) Match(ctx context.Context, id Identity, request RequestContext) (matched bool, why countersign.Reason) {
	switch {
	case s.kind == "" || id.Kind != s.kind:
		return false, countersign.ReasonTrustProof
	case id.Subject == "" || id.Issuer == "" || (s.kind == KindAWS) != (id.AWS != nil):
		return false, countersign.ReasonTrustProof
	case s.issuerName != "" && s.issuerName != id.IssuerName, s.issuerURL != "" && s.issuerURL != id.Issuer:
		return false, countersign.ReasonTrustIssuer
	case !s.mayTrust(&id, request.Tenant):
		return false, countersign.ReasonRoleTenant
	case len(s.audiences) > 0 && !slices.ContainsFunc(id.Audience, func(a string) bool { return slices.Contains(s.audiences, a) }):
		return false, countersign.ReasonTrustAudience
	case s.kind == KindAWS && !slices.Contains(s.accounts, id.AWS.Account):
		return false, countersign.ReasonTrustAccount
	case len(s.uniqueIDs) > 0 && !slices.Contains(s.uniqueIDs, id.AWS.UniqueID):
		return false, countersign.ReasonTrustUniqueID
	}
	for _, c := range s.claims {
		if value, ok := id.Claims[c.name].(string); !ok || value != c.value {
			return false, countersign.ReasonTrustClaim
		}
	}
	if !s.matchSubject(&id) {
		return false, countersign.ReasonTrustSubject
	}
	if s.condition == nil {
		return true, countersign.ReasonOK
	}
	if matched, err := s.condition.Match(ctx, s.inputOf(&id, request)); err != nil || !matched {
		return false, countersign.ReasonTrustCondition
	}
	return true, countersign.ReasonOK
}

// mayTrust reports whether a statement of that tenant may refer to the identity's issuer
// (RULES A6). One that finds it by its URL takes the platform's document or the tenant's own:
// every tenant can write any URL into a document, with keys of its own.
func (s *Statement) mayTrust(id *Identity, tenant string) bool {
	switch {
	case s.kind != KindOIDC || id.IssuerTenant == "" || id.IssuerTenant == tenant:
		return true
	case s.issuerName == "":
		return false
	}
	return tenant == "" || slices.Contains(id.IssuerSharedWith, tenant)
}

func (s *Statement) matchSubject(id *Identity) bool {
	if len(s.subjects) == 0 {
		return true // others of the statement's parts have been compared: see Compile
	}
	subject := s.subjectOf(id)
	return slices.ContainsFunc(s.subjects, func(p pattern.Pattern) bool { return p.Match(subject) })
}

// subjectOf is what the patterns are compared with.
func (s *Statement) subjectOf(id *Identity) string {
	switch s.kind {
	case KindAWS:
		return id.AWS.ARN
	case KindService:
		return id.Service
	default:
		return id.Subject
	}
}

// Near returns the patterns of the statement that do not match the identity and would if
// they ended in ** instead of *: what an author has meant, perhaps (RULES D1).
func (s Statement) Near(id Identity) []string {
	if id.Kind != s.kind || s.kind == KindAWS && id.AWS == nil {
		return nil
	}
	subject := s.subjectOf(&id)
	var near []string
	for _, p := range s.subjects {
		if p.NearMiss(subject) {
			near = append(near, p.String())
		}
	}
	return near
}

// inputOf returns what a condition sees.
func (s *Statement) inputOf(id *Identity, request RequestContext) condition.Input {
	input := condition.Input{varRequestRole: request.Role}
	if !request.Time.IsZero() {
		input[varRequestTime] = request.Time
	}
	if s.kind == KindAWS {
		input[varAWSAccount], input[varAWSARN] = id.AWS.Account, id.AWS.ARN
		input[varAWSUserID], input[varAWSPartition] = id.AWS.UserID, id.AWS.Partition
		return input
	}
	input[varClaims] = id.Claims
	input[varServiceName], input[varServiceTenant] = id.Service, id.Tenant
	return input
}
