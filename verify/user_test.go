package verify_test

import (
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// RULES A1: a user is always (issuer, subject), a service a registered name; one never
// stands for the other, and a subject alone is nobody.
func TestRuleA1UserIsIssuerAndSubject(t *testing.T) {
	t.Parallel()
	const otherURL = "https://idp.example.com/other"
	cfg := config()
	cfg.Issuers = append(cfg.Issuers, verify.Issuer{URL: otherURL, Subject: verify.User, Keys: keys()})
	v := newVerifier(t, cfg)
	exchanged := serviceClaims().with(object{
		"service_id": nil, "service_uid": nil, "sub": "alice", "sub_iss": foreignURL, "act": object{"sub": "backend-actor"},
	})
	accepted := map[string]struct {
		claims          object
		issuer, subject string
	}{
		"one issuer's alice":        {userClaims(), foreignURL, "alice"},
		"another issuer's alice":    {userClaims().with(object{"iss": otherURL}), otherURL, "alice"},
		"alice after an exchange":   {exchanged, foreignURL, "alice"},
		"a user called a service":   {userClaims().with(object{"sub": "document-service"}), foreignURL, "document-service"},
		"a user who says he is one": {userClaims().with(object{"service_id": "document-service"}), foreignURL, "alice"},
	}
	for name, tt := range accepted {
		token, err := v.Verify(t.Context(), mint(header(), tt.claims))
		if err != nil {
			t.Errorf("%s: %v (%s)", name, err, countersign.ReasonOf(err))
			continue
		}
		p := token.Principal
		if p.User.Issuer != tt.issuer || p.User.Subject != tt.subject || !p.Service.IsZero() {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for name, claims := range map[string]object{
		"no subject":                  userClaims().with(object{"sub": nil}),
		"an empty subject":            userClaims().with(object{"sub": ""}),
		"no issuer":                   userClaims().with(object{"iss": nil}),
		"an exchange without sub_iss": exchanged.with(object{"sub_iss": nil}),
		"a service without its name":  serviceClaims().with(object{"service_id": nil}),
		"a service of another name":   serviceClaims().with(object{"sub": "parse-service"}),
	} {
		if token, err := v.Verify(t.Context(), mint(header(), claims)); err == nil {
			t.Errorf("%s: %+v", name, token.Principal)
		}
	}
}
