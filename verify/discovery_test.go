package verify_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

func TestVulnerability18DiscoveryIsNotBelievedBlindly(t *testing.T) {
	t.Parallel()
	other := newIDP(t)
	other.publish(jwk("k1", &ecKey.PublicKey))
	for name, document := range map[string]func(r *remote) object{
		"another issuer":      func(r *remote) object { return object{"issuer": other.URL, "jwks_uri": r.URL + "/jwks"} },
		"issuer with a slash": func(r *remote) object { return object{"issuer": r.URL + "/", "jwks_uri": r.URL + "/jwks"} },
		"no issuer":           func(r *remote) object { return object{"jwks_uri": r.URL + "/jwks"} },
		"another origin":      func(r *remote) object { return object{"issuer": r.URL, "jwks_uri": other.URL + "/jwks"} },
		"another scheme": func(r *remote) object {
			return object{"issuer": r.URL, "jwks_uri": strings.Replace(r.URL, "http:", "https:", 1) + "/jwks"}
		},
		"user information": func(r *remote) object {
			return object{"issuer": r.URL, "jwks_uri": strings.Replace(r.URL, "//", "//a@", 1) + "/jwks"}
		},
		"metadata service":       func(r *remote) object { return object{"issuer": r.URL, "jwks_uri": "http://169.254.169.254/"} },
		"relative":               func(r *remote) object { return object{"issuer": r.URL, "jwks_uri": "/jwks"} },
		"no jwks_uri":            func(r *remote) object { return object{"issuer": r.URL} },
		"jwks_uri of wrong type": func(r *remote) object { return object{"issuer": r.URL, "jwks_uri": []string{r.URL + "/jwks"}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemote(t)
			r.discover(r.document(document(r)))
			wantReason(t, r.verify("k1", ecKey), countersign.ReasonKeysUnavailable)
			r.wantFetches(0)
		})
	}
	if other.fetches() != 0 {
		t.Error("the other server was asked for keys")
	}
}

func TestConfiguredJWKSURLMayBeElsewhere(t *testing.T) {
	t.Parallel()
	other := newIDP(t)
	other.publish(jwk("k1", &ecKey.PublicKey))
	r := newRemote(t, func(i *verify.Issuer) { i.JWKSURL = other.URL + "/jwks" })
	if err := r.verify("k1", ecKey); err != nil {
		t.Error(err)
	}
	if r.discoveries()+other.discoveries()+r.fetches() != 0 || other.fetches() != 1 {
		t.Error("the wrong URLs were fetched")
	}
}

// TestVulnerability18UnknownIssuerIsNeverFetched: no network before the issuer is matched.
func TestVulnerability18UnknownIssuerIsNeverFetched(t *testing.T) {
	t.Parallel()
	evil := newIDP(t)
	evil.publish(jwk("k1", &ecKey.PublicKey))
	r := newRemote(t)
	for _, iss := range []string{evil.URL, r.URL + "@" + strings.TrimPrefix(evil.URL, "http://"), r.URL + "/", "HTTP" + r.URL[4:]} {
		_, err := r.v.Verify(t.Context(), mint(header(), serviceClaims().with(object{"iss": iss})))
		wantReason(t, err, countersign.ReasonIssuerUnknown)
	}
	if evil.discoveries()+r.discoveries() != 0 {
		t.Error("something was fetched")
	}
}
