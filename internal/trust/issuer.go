package trust

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// The subjects of an issuer.
const (
	SubjectUser     = "user"
	SubjectService  = "service"
	SubjectWorkload = "workload"
)

// Issuer is an Issuer document.
type Issuer struct {
	Name, UID string
	// URL is compared with iss byte by byte.
	URL string
	// Tenant is whose the document is; "" = the platform's. SharedWith are the other tenants
	// that may refer to it (RULES A6).
	Tenant     string
	SharedWith []string
	// Subject is one of SubjectUser, SubjectService, SubjectWorkload. Profile is oidc or
	// cognito, TokenUse id or access with cognito.
	Subject, Profile, TokenUse string
	// JWKS are the issuer's keys, a JWK set; then nothing is fetched. JWKSURI is where they
	// are else, "" for discovery.
	JWKS    []byte
	JWKSURI string
	// Audiences are required. Algorithms: none = RS256 and ES256.
	Audiences, Algorithms []string
	AllowPrivateAddresses bool
	Claims                ClaimNames
	MayAssert             MayAssert
	// Revision tells the states of one document apart: it grows with each change.
	Revision int64
}

// ClaimNames names the claims from which things are read; "" = the profile's own.
type ClaimNames struct {
	// Service is the claim with a service's name. ServiceFrom is "username" to read it from
	// the user name of Cognito instead, without the prefix ServicePrefix.
	Service, ServiceFrom, ServicePrefix string
	Roles, Tenant, Scopes               string
}

// MayAssert is what is believed of an issuer's tokens (RULES A4): nothing by default.
type MayAssert struct {
	Tenants []string
	// Roles maps the issuer's name to ours.
	Roles  map[string]string
	Scopes []string
}

// Issuers knows the Issuer documents.
type Issuers interface {
	// Issuers returns the documents of exactly that URL; none is no error. It is asked for
	// each token and must be fast.
	//
	// Errors: countersign.Unavailable.
	Issuers(ctx context.Context, url string) ([]Issuer, error)
}

// verifyIssuer says to package verify what the document says.
func (i *Issuer) verifyIssuer() (verify.Issuer, error) {
	v := verify.Issuer{
		URL: i.URL, Profile: verify.Profile(i.Profile), Audiences: i.Audiences, JWKSURL: i.JWKSURI,
		AllowPrivateAddresses: i.AllowPrivateAddresses, TokenUse: i.TokenUse,
		Tenants: i.tenants(), Scopes: i.MayAssert.Scopes, Roles: maps.Clone(i.MayAssert.Roles),
		Claims: verify.ClaimNames{
			Service: i.Claims.Service, Roles: i.Claims.Roles, Tenant: i.Claims.Tenant, Scopes: i.Claims.Scopes,
		},
	}
	if len(i.JWKS) > 0 {
		keys, err := verify.ParseJWKS(i.JWKS)
		if err != nil {
			return v, i.wrong("its keys can't be read")
		}
		v.Keys = keys
	}
	if len(i.Algorithms) > 0 {
		v.Algorithms = i.Algorithms
	}
	switch v.Profile {
	case verify.OIDC, verify.Cognito:
	default:
		return v, i.wrong("the profile is none of a foreign issuer")
	}
	switch i.Subject {
	case SubjectUser:
		v.Subject = verify.User
	case SubjectService:
		v.Subject = verify.Service
	case SubjectWorkload:
		// A workload is a pair (iss, sub) and no service: what package verify makes of sub
		// is not used.
		v.Subject, v.Claims.Service = verify.Service, "sub"
		return v, nil
	default:
		return v, i.wrong("the subject is none of user, service, workload")
	}
	return v, i.serviceFrom(&v)
}

// tenants are those that are believed of its tokens: a tenant's issuer speaks for no other
// (RULES A6).
func (i *Issuer) tenants() []string {
	if i.Tenant == "" {
		return i.MayAssert.Tenants
	}
	return slices.DeleteFunc(slices.Clone(i.MayAssert.Tenants), func(t string) bool { return t != i.Tenant })
}

// serviceFrom settles a service's name that is read from a user name.
func (i *Issuer) serviceFrom(v *verify.Issuer) error {
	switch i.Claims.ServiceFrom {
	case "":
		return nil
	case "username":
		if v.Profile != verify.Cognito {
			return i.wrong("a service is read from the user name with profile cognito only")
		}
		v.Claims.Service, v.Claims.ServicePrefix = "username", i.Claims.ServicePrefix
		if i.TokenUse == "id" {
			v.Claims.Service = "cognito:username"
		}
		return nil
	}
	return i.wrong("a service can be read from username only")
}

func (i *Issuer) wrong(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonResourceInvalid, fmt.Sprintf("issuer %s: %s", i.Name, msg))
}
