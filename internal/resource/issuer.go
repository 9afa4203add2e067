package resource

import (
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/policy"
)

// The bounds of an issuer.
const (
	maxIssuerAudiences = 64
	maxAsserted        = 256
	maxClaimBytes      = 256
)

var (
	subjects   = []string{"user", "service", "workload"}
	profiles   = []string{"oidc", "cognito"}
	algorithms = []string{"ES256", "RS256", "EdDSA"}
	tokenUses  = []string{"id", "access"}
)

func readIssuer(f *fields) *Issuer {
	audiences, algs := f.texts("audiences", maxIssuerAudiences), f.texts("algorithms", len(algorithms))
	i := &Issuer{
		URL: f.text("url"), Subject: f.text("subject"), Profile: f.text("profile"),
		Audiences: sorted(audiences), Algorithms: sorted(algs), JWKSURI: f.text("jwks_uri"),
		AllowPrivateAddresses: f.boolean("allow_private_addresses", false), TokenUse: f.text("token_use"),
	}
	for _, key := range []string{"url", "subject", "profile", "audiences"} {
		f.required(key)
	}
	if i.URL != "" && f.issuerURL(i.URL) {
		f.keysFrom(i)
	}
	if i.JWKS = readJWKS(f.inner("jwks")); f.has("jwks") {
		switch {
		case f.has("jwks_uri"):
			f.wrong("jwks_uri", "is given beside jwks: use one of them")
		case i.JWKS == nil && !slices.Contains(f.failed, "jwks"):
			f.wrong("jwks", "must have a key: without jwks they are discovered")
		}
	}
	f.oneOf("subject", i.Subject, subjects)
	f.oneOf("profile", i.Profile, profiles)
	f.oneOf("token_use", i.TokenUse, tokenUses)
	if f.has("audiences") && len(i.Audiences) == 0 {
		f.wrong("audiences", "must name at least one audience: a token for anybody else is not for us")
	}
	if f.has("algorithms") && len(i.Algorithms) == 0 {
		f.wrong("algorithms", "must name at least one of "+strings.Join(algorithms, ", "))
	}
	f.each("algorithms", algs, func(text string) string { return notOneOf(text, algorithms) })
	switch {
	case i.Profile == "cognito" && !f.has("token_use"):
		f.wrong("token_use", "is missing: profile cognito needs id or access")
	case i.Profile != "cognito" && f.has("token_use"):
		f.wrong("token_use", "goes with profile cognito only")
	}
	i.Claims = readClaims(f.inner("claims"), i)
	i.MayAssert, i.SharedWith = readMayAssert(f.inner("may_assert")), f.sharedWith()
	i.DeviceLogin = readDeviceLogin(f.inner("device_login"))
	if i.DeviceLogin != nil && i.Subject != "user" {
		f.wrong("device_login", "goes with subject user only")
	}
	return i
}

// readDeviceLogin reads what the command line of a user asks the issuer with.
func readDeviceLogin(f *fields) *DeviceLogin {
	if f == nil {
		return nil
	}
	f.required("client_id")
	scopes := f.texts("scopes", maxIssuerAudiences)
	d := &DeviceLogin{ClientID: f.text("client_id"), Scopes: sorted(scopes), Token: f.text("token")}
	f.oneOf("token", d.Token, tokenUses)
	f.each("scopes", scopes, func(text string) string {
		if !policy.ValidScope(text) {
			return "a scope is printable ASCII without spaces, quotes and backslashes"
		}
		return ""
	})
	if len(d.ClientID) > maxClaimBytes || strings.ContainsFunc(d.ClientID, unicode.IsControl) {
		f.wrong("client_id", "must be the id of a public client")
	}
	f.done()
	return d
}

// keysFrom checks where the keys are fetched, as package verify will want it: what can't
// be used is not saved.
func (f *fields) keysFrom(i *Issuer) {
	if i.JWKSURI == "" {
		if !f.has("jwks") && egress.CheckURL(i.URL) != nil {
			f.wrong("url", "must be https, or http on a loopback, since its keys are discovered there")
		}
		return
	}
	problem, _ := checkURL(i.JWKSURI, true)
	switch {
	case problem != "":
	case egress.CheckURL(i.JWKSURI) != nil:
		problem = "must be https, or http on a loopback"
	case onLoopback(i.JWKSURI) && !onLoopback(i.URL) && !i.AllowPrivateAddresses:
		problem = "is on a loopback: that needs allow_private_addresses: true"
	}
	if problem != "" {
		f.wrong("jwks_uri", problem)
	}
}

func onLoopback(text string) bool {
	u, err := url.Parse(text)
	return err == nil && egress.IsLoopbackHost(u.Hostname())
}

// issuerURL checks the URL as it stands in iss: one spelling only, because it is
// compared byte by byte (RULES C1).
func (f *fields) issuerURL(text string) bool {
	problem, _ := checkURL(text, true)
	if problem == "" && (strings.ContainsAny(text, "?") || strings.TrimSpace(text) != text) {
		problem = "must have no query"
	}
	if problem != "" {
		f.wrong("url", problem)
	}
	return problem == ""
}

func (f *fields) oneOf(key, text string, known []string) {
	if text == "" {
		return
	}
	if problem := notOneOf(text, known); problem != "" {
		p := f.problem(key, problem)
		p.Nearest = nearest(text, known)
		f.r.problems.Add(p)
	}
}

func notOneOf(text string, known []string) string {
	if slices.Contains(known, text) {
		return ""
	}
	return "must be one of " + strings.Join(known, ", ")
}

func readClaims(f *fields, i *Issuer) Claims {
	if f == nil {
		return Claims{}
	}
	c := Claims{Roles: f.claim("roles"), Tenant: f.claim("tenant"), Scopes: f.claim("scopes")}
	if node, ok := f.values["service"]; ok && nodeKind(node) != "keys with values" {
		c.Service.Claim = f.claim("service")
	} else if inner := f.inner("service"); inner != nil {
		c.Service.From, c.Service.StripPrefix = inner.text("from"), inner.text("strip_prefix")
		inner.required("from")
		inner.oneOf("from", c.Service.From, []string{"username"})
		if c.Service.From == "username" && (i.Profile != "cognito" || i.TokenUse != "access") {
			inner.wrong("from", "username goes with access tokens of profile cognito only")
		}
		inner.done()
	}
	f.done()
	return c
}

// claim returns the name of a claim.
func (f *fields) claim(key string) string {
	text := f.text(key)
	if len(text) > maxClaimBytes || strings.ContainsAny(text, "\n\t") {
		f.wrong(key, "must be the name of a claim")
	}
	return text
}

func readMayAssert(f *fields) MayAssert {
	if f == nil {
		return MayAssert{}
	}
	tenants, scopes := f.texts("tenants", maxAsserted), f.texts("scopes", maxAsserted)
	f.each("tenants", tenants, func(text string) string {
		if !countersign.ValidName(text) {
			return nameForm
		}
		return ""
	})
	f.each("scopes", scopes, func(text string) string {
		if !policy.ValidScope(text) {
			return "a scope is printable ASCII without spaces, quotes and backslashes"
		}
		return ""
	})
	m := MayAssert{Tenants: sorted(tenants), Scopes: sorted(scopes)}
	if roles := f.inner("roles"); roles != nil {
		if len(roles.keys) > maxAsserted {
			f.wrong("roles", "has too many entries")
			roles.keys = nil
		}
		m.Roles = roles.names()
	}
	f.done()
	return m
}

// names returns all keys with values that are names.
func (f *fields) names() map[string]string {
	if len(f.values) == 0 {
		return nil
	}
	found := make(map[string]string, len(f.values))
	for _, node := range f.keys {
		key, problem := textOf(node)
		if problem != "" {
			f.r.problems.Add(f.r.problem(f.r.place(node), f.path, "a key "+problem))
			continue
		}
		found[key] = f.text(key)
		if found[key] != "" && !countersign.ValidName(found[key]) {
			f.wrong(key, nameForm)
		}
	}
	return found
}

// HostFields returns the paths of the fields that make the server reach for addresses
// that not everybody may name (RULES A8).
func (i *Issuer) HostFields() []string {
	var found []string
	if _, reserved := checkURL(i.URL, true); reserved {
		found = append(found, "url")
	}
	if _, reserved := checkURL(i.JWKSURI, true); reserved && i.JWKSURI != "" {
		found = append(found, "jwks_uri")
	}
	if i.AllowPrivateAddresses {
		found = append(found, "allow_private_addresses")
	}
	return found
}

// ConfigOnlyFields returns the paths of what only a file of the server's configuration
// may let an issuer assert (RULES A4).
func (i *Issuer) ConfigOnlyFields() []string {
	var found []string
	for _, role := range i.MayAssert.Roles {
		if role == roleSuperAdmin {
			found = append(found, "may_assert.roles")
			break
		}
	}
	if slices.ContainsFunc(i.MayAssert.Scopes, policy.SuperAdminScope) {
		found = append(found, "may_assert.scopes")
	}
	return found
}

// roleSuperAdmin is the built-in role that may do everything.
const roleSuperAdmin = "super-admin"
