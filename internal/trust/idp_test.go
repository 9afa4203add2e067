package trust_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/verify"
)

const ownIssuer = "https://auth.example.com"

// The keys of all tests.
var ownKey, idpKey, idpKey2 = newKey(), newKey(), newKey()

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

type object map[string]any

// with returns a copy with changes; a nil value takes a member out.
func (o object) with(changes object) object {
	c := maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

func encode(part []byte) string { return base64.RawURLEncoding.EncodeToString(part) }

func mint(key *ecdsa.PrivateKey, header, claims object) string {
	h, _ := json.Marshal(header)
	c, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	input := encode(h) + "." + encode(c)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// idp is a foreign issuer on loopback.
type idp struct {
	*httptest.Server
	down     atomic.Bool
	fetches  atomic.Int64
	mu       sync.Mutex
	document string
}

func newIDP(t testing.TB) *idp {
	t.Helper()
	i := &idp{}
	i.publish(map[string]*ecdsa.PrivateKey{"k1": idpKey})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(object{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
		case "/keys":
			i.fetches.Add(1)
			i.mu.Lock()
			defer i.mu.Unlock()
			_, _ = w.Write([]byte(i.document))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *idp) publish(keys map[string]*ecdsa.PrivateKey) {
	var list []object
	for kid, key := range keys {
		point, err := key.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		list = append(list, object{"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(point[1:33]), "y": encode(point[33:])})
	}
	text, _ := json.Marshal(object{"keys": list})
	i.mu.Lock()
	i.document = string(text)
	i.mu.Unlock()
}

// document is an Issuer document of the issuer.
func (i *idp) issuer(name string, audiences ...string) trust.Issuer {
	return trust.Issuer{Name: name, UID: "uid-" + name, Revision: 1, URL: i.URL, Subject: trust.SubjectWorkload, Profile: "oidc",
		Audiences: audiences, Algorithms: []string{verify.ES256}}
}

func (i *idp) claims() object {
	return object{"iss": i.URL, "sub": "job-1", "aud": "sts", "iat": now.Unix(), "exp": now.Unix() + 300, "dept": "docs"}
}

func head() object { return object{"alg": "ES256", "kid": "k1"} }

func ownClaims() object {
	return object{
		"iss": ownIssuer, "sub": "document-service", "aud": "sts", "client_id": "document-service",
		"service_id": "document-service", "service_uid": "u-1", "scope": "a b", "tenant": "acme", "jti": "j-1",
		"iat": now.Unix(), "exp": now.Unix() + 900,
	}
}

func ownHead() object { return object{"alg": "ES256", "typ": "at+jwt", "kid": "own"} }

// documents is a trust.Issuers that a test changes.
type documents struct {
	mu     sync.Mutex
	list   []trust.Issuer
	failed error
	asked  atomic.Int64
}

func (d *documents) Issuers(_ context.Context, url string) ([]trust.Issuer, error) {
	d.asked.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []trust.Issuer
	for _, i := range d.list {
		if i.URL == url {
			found = append(found, i)
		}
	}
	return found, d.failed
}

func (d *documents) set(list ...trust.Issuer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = list
}

func newVerifier(t testing.TB, issuers trust.Issuers, change func(*trust.Config)) *trust.Verifier {
	t.Helper()
	keys, err := verify.StaticKeys(map[string]any{"own": &ownKey.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	cfg := trust.Config{OwnIssuer: ownIssuer, OwnKeys: keys, Issuers: issuers, Now: clock}
	if change != nil {
		change(&cfg)
	}
	v, err := trust.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func wantRefusal(t testing.TB, err error, code countersign.Code, reason countersign.Reason) {
	t.Helper()
	if countersign.CodeOf(err) != code || reason != "" && countersign.ReasonOf(err) != reason {
		t.Errorf("got %v (%s, %s), want %s, %s", err, countersign.CodeOf(err), countersign.ReasonOf(err), code, reason)
	}
}
