package replicas

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
)

// signer makes client assertions of one service.
type signer struct {
	jose.Signer
	jwks string
}

func newSigner(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return signer{s, string(jwks)}
}

func (s signer) assertion(t *testing.T, id string) string {
	t.Helper()
	now := time.Now()
	text, err := jwt.Signed(s).Claims(map[string]any{
		"iss": "signing-service", "sub": "signing-service", "aud": issuer, "jti": id, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// send asks a replica for a token by an assertion.
func (r *replica) send(t *testing.T, assertion string) (int, string) {
	t.Helper()
	response, err := http.PostForm(r.url+"/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "audience": {"parse-service"}, "client_id": {"signing-service"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// RULES B2: an assertion is good once: not again, not at the other replica, not after a
// restart; and not at all while nobody can tell.
func TestRuleB2AssertionIsGoodOnceOnAllReplicas(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master, keys := cluster.NewDatabase(t), newMaster(t), newSigner(t, "k1")
	a, b := start(t, dsn, master, issuer), start(t, dsn, master, issuer)
	_, err := a.admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "f.yaml",
		Content: fmt.Sprintf("kind: Service\nname: signing-service\naudiences: [parse-service]\njwks: %s\n", keys.jwks)}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the other replica knows the service", func() bool {
		status, _ := b.send(t, keys.assertion(t, fmt.Sprint("probe-", time.Now().UnixNano())))
		return status == http.StatusOK
	})
	first := keys.assertion(t, "first")
	if status, text := a.send(t, first); status != http.StatusOK {
		t.Fatal(status, text)
	}
	for name, r := range map[string]*replica{"where it was used": a, "the other": b} {
		if status, text := r.send(t, first); status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	b.stop()
	c := start(t, dsn, master, issuer)
	if status, text := c.send(t, first); status != http.StatusUnauthorized {
		t.Errorf("after a restart: %d %s", status, text)
	}
	cluster.Stop(t)
	if status, text := a.send(t, keys.assertion(t, "outage")); status != http.StatusServiceUnavailable {
		t.Errorf("in an outage: %d %s", status, text)
	}
	cluster.Start(t)
	eventually(t, 30*time.Second, "assertions are taken again", func() bool {
		status, _ := a.send(t, keys.assertion(t, fmt.Sprint("after-", time.Now().UnixNano())))
		return status == http.StatusOK
	})
}

// RULES B6: a compromised key is dropped at once everywhere; RULES E4: what is revoked in
// an outage holds there, and is stored when the database is back.
func TestKeysAndRevocationsReachTheOtherReplica(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	a, b := start(t, dsn, master, issuer), start(t, dsn, master, issuer)
	credentials, err := a.admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Audiences: []string{"parse-service"}})
	if err != nil {
		t.Fatal(err)
	}
	kids := func(r *replica) map[string]bool {
		response, err := http.Get(r.url + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var set jose.JSONWebKeySet
		if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
			t.Fatal(err)
		}
		found := make(map[string]bool)
		for _, key := range set.Keys {
			found[key.KeyID] = true
		}
		return found
	}
	list, err := a.admin.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	victim := ""
	for _, key := range list.Items {
		if key.Purpose == "token" && key.State == iamclient.KeyActive {
			victim = key.KID
		}
	}
	if !kids(b)[victim] {
		t.Fatal("the replicas don't share their keys")
	}
	if _, err := a.admin.RotateKeys(t.Context(), iamclient.RotateKeys{Compromised: victim}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the other replica drops the key", func() bool { return !kids(b)[victim] })
	eventually(t, 30*time.Second, "the other replica issues by the new one", func() bool {
		status, _ := b.token(t.Context(), http.DefaultClient, credentials.ClientSecret)
		return status == http.StatusOK
	})

	cluster.Stop(t)
	done, err := b.admin.Revoke(t.Context(), iamclient.Revoke{Issuer: "https://idp.example.com", Subject: "alice", Local: true})
	if err != nil || done.Status != iamclient.RevokedHere {
		t.Errorf("in an outage: %+v, %v", done, err)
	}
	cluster.Start(t)
	eventually(t, 30*time.Second, "it is stored, and told of", func() bool {
		page, err := a.admin.AuditEvents(t.Context(), iamclient.AuditQuery{Action: "revoke", User: "alice", Limit: 100})
		if err != nil {
			return false
		}
		for _, event := range page.Events {
			if event.Detail == "stored late" {
				return true
			}
		}
		return false
	})
}
