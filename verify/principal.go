package verify

import (
	"errors"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// identify says who a token is about, by the rules of its issuer's profile. t has its
// registered claims already.
func (i *issuer) identify(r *reader, t *Token, proof countersign.Proof) countersign.Principal {
	switch {
	case i.Profile == Countersign:
		return i.identifyOwn(r, t, proof)
	case i.Subject == User:
		return i.identifyForeignUser(r, t, proof)
	}
	return i.identifyForeignService(r, t, proof)
}

// identifyOwn reads a token of a Countersign: of a service by client credentials, or
// of a user by exchange (RULES A3). Its name alone never makes a service.
//
// Source: RFC 9068 §2.2, RFC 8693 §4.1.
func (i *issuer) identifyOwn(r *reader, t *Token, proof countersign.Proof) countersign.Principal {
	_, isService := r.claims.find("service_id")
	act, isUser := r.claims.find("act")
	if isService == isUser || isUser && i.Subject == Service || isService && i.Subject == User {
		if r.err == nil {
			r.err = refuse(countersign.ReasonPrincipalUnsupported, "neither a service's token nor a user's that this issuer is trusted for")
		}
		return countersign.Principal{}
	}
	scopes, tenant := splitWords(r.optional("scope")), r.optional("tenant")
	if isService {
		name := r.identity("service_id", true)
		if name != t.Subject || name != t.ClientID {
			r.fail(countersign.ReasonClaimInvalid, "service_id", errors.New("differs from sub or client_id"))
		}
		return servicePrincipal(countersign.Service{
			Name: name, Issuer: t.Issuer, UID: r.optional("service_uid"),
			Scopes: scopes, Tenant: tenant, Proof: proof,
		})
	}
	return userPrincipal(countersign.User{
		Issuer: r.identity("sub_iss", true), Subject: t.Subject, Actor: actorOf(r, act),
		Roles: r.list("roles"), Scopes: scopes, Tenant: tenant, Proof: proof,
	})
}

// actorOf returns act.sub.
func actorOf(r *reader, act string) string {
	members, err := parseObject(act, false, nil)
	if err != nil {
		r.fail(countersign.ReasonClaimInvalid, "act", errType)
		return ""
	}
	inner := reader{claims: &claims{text: act, members: members}}
	actor := inner.identity("sub", true)
	if inner.err != nil {
		r.fail(countersign.ReasonClaimInvalid, "act", inner.err)
	}
	return actor
}

func (i *issuer) identifyForeignUser(r *reader, t *Token, proof countersign.Proof) countersign.Principal {
	return userPrincipal(countersign.User{
		Issuer: t.Issuer, Subject: t.Subject,
		Roles: i.roles(r), Scopes: i.scopes(r), Tenant: i.tenant(r), Proof: proof,
	})
}

func (i *issuer) identifyForeignService(r *reader, t *Token, proof countersign.Proof) countersign.Principal {
	name := r.identity(i.Claims.Service, true)
	if prefix := i.Claims.ServicePrefix; prefix != "" && r.err == nil {
		rest, found := strings.CutPrefix(name, prefix)
		if !found || strings.TrimSpace(rest) == "" {
			r.fail(countersign.ReasonClaimInvalid, i.Claims.Service, errors.New("does not name a service"))
		}
		name = rest
	}
	if !slices.Contains(i.Services, name) {
		// NAME can't hold a "/", else https://a with the name b/c would be the same
		// as https://a/b with the name c.
		name = t.Issuer + "/" + escapeName.Replace(name)
	}
	return servicePrincipal(countersign.Service{
		Name: name, Issuer: t.Issuer, Scopes: i.scopes(r), Tenant: i.tenant(r), Proof: proof,
	})
}

var escapeName = strings.NewReplacer("%", "%25", "/", "%2F")

// roles maps the roles that the issuer may assert to ours; others are dropped.
func (i *issuer) roles(r *reader) []string {
	if len(i.Roles) == 0 {
		return nil
	}
	var ours []string
	for _, theirs := range r.list(i.Claims.Roles) {
		if role := i.Roles[theirs]; role != "" && !slices.Contains(ours, role) {
			ours = append(ours, role)
		}
	}
	return ours
}

// scopes returns those scopes that the issuer may assert.
func (i *issuer) scopes(r *reader) []string {
	if len(i.Scopes) == 0 {
		return nil
	}
	name := i.Claims.Scopes
	if name == "" {
		name = "scope"
		if _, ok := r.claims.find(name); !ok {
			name = "scp"
		}
	}
	return slices.DeleteFunc(r.words(name), func(s string) bool { return !slices.Contains(i.Scopes, s) })
}

// tenant returns the tenant if the issuer may assert it, "" otherwise.
func (i *issuer) tenant(r *reader) string {
	if len(i.Tenants) == 0 {
		return ""
	}
	if tenant := r.optional(i.Claims.Tenant); slices.Contains(i.Tenants, tenant) {
		return tenant
	}
	return ""
}

func servicePrincipal(s countersign.Service) countersign.Principal {
	return countersign.Principal{Service: s, Scopes: s.Scopes, Tenant: s.Tenant}
}

func userPrincipal(u countersign.User) countersign.Principal {
	return countersign.Principal{User: u, Scopes: u.Scopes, Tenant: u.Tenant}
}
