package oauth_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/verify"
)

// RULES E1, vulnerability 22: a revoked token takes the sessions along that it proved, so
// one for the STS is remembered for as long as such a session may live, and no other.
func TestVulnerability22RevokedTokensSessionsEnd(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	secret := f.service(t, admin.ServiceSpec{Name: "a", Audiences: []string{"sts", "parse-service"}})
	for audience, hours := range map[string]time.Duration{"sts": 12, "parse-service": 0} {
		before := f.Clock.Now()
		token := f.token(t, "a", secret, audience)
		read, err := verify.ParseUnverified(token)
		if err != nil {
			t.Fatal(err)
		}
		facts := registry.SessionFacts{AccessKeyID: "ASIAQZ3R5T7B2X4W6Y2A", JTI: read.ID, IssuedAt: before}
		if revoked, err := f.Registry.SessionRevoked(t.Context(), facts); revoked || err != nil {
			t.Fatalf("revoked at first: %v", err)
		}
		if a := f.do(t, call{path: revoke, id: "a", secret: secret, form: form("token", token)}); a.status != http.StatusOK {
			t.Fatalf("revoke: %d %s", a.status, a.text)
		}
		if revoked, err := f.Registry.SessionRevoked(t.Context(), facts); !revoked || err != nil {
			t.Errorf("%s: the session lives: %v", audience, err)
		}
		last := read.ExpiresAt.Add(hours * time.Hour)
		for at, want := range map[time.Time]int{last.Add(time.Minute): 1, last.Add(2 * time.Minute): 0} {
			list, err := f.Store.Revocations(t.Context(), 0, at, 0)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, r := range list {
				if r.JTI == read.ID {
					found++
				}
			}
			if found != want {
				t.Errorf("%s: at %s it is remembered %d times, want %d", audience, at, found, want)
			}
		}
	}
}

// RULES B7, D9: the set that discovery names has the broker's keys, once there are any, for
// the clouds that look there; the other sets have not.
func TestRuleB7MainSetServesBrokerKeys(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	kids := func(path string) map[string]string {
		t.Helper()
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(f.do(t, call{method: http.MethodGet, path: path}).text), &set); err != nil {
			t.Fatal(err)
		}
		found := make(map[string]string)
		for _, key := range set.Keys {
			found[key.KeyID] = key.Algorithm
		}
		return found
	}
	const main = "/.well-known/jwks.json"
	if before := kids(main); len(before) != 2 {
		t.Fatalf("before: %v", before)
	}
	signer, err := f.admin.BrokerSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after := kids(main); len(after) != 4 || after[signer.KID] != "RS256" {
		t.Errorf("after: %v", after)
	}
	for _, path := range []string{"/oauth2/revocations/jwks.json", "/oauth2/policies/jwks.json"} {
		if kids(path)[signer.KID] != "" {
			t.Errorf("%s has it", path)
		}
	}
}
