package sts_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// cluster is an issuer that nobody can reach: its keys are in its document.
func clusterToken(t *testing.T, key *ecdsa.PrivateKey, kid string, now time.Time) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:docs:document-service", "aud": []string{"countersign"},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"kubernetes.io": map[string]any{"namespace": "docs", "serviceaccount": map[string]any{"name": "document-service"}},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestPinnedKeys: a cluster that can't be reached is trusted by its keys.
func TestPinnedKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := newKey(t), newKey(t)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Apply(t, `
kind: Issuer
name: cluster-a
url: https://kubernetes.default.svc
subject: workload
profile: oidc
audiences: [countersign]
jwks: `+string(set)+`
---
kind: Role
name: pod
trust:
  - kubernetes: {issuer: cluster-a, service_account: docs/document-service}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`)
	pod := func(in *sts.AssumeRoleWithWebIdentityInput) {
		in.RoleArn = aws.String("arn:aws:iam::000000000000:role/pod")
	}
	now := w.Clock.Now()
	if _, err := w.assume(t, clusterToken(t, key, "k1", now), pod); err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another key":      clusterToken(t, other, "k1", now),
		"an unknown key":   clusterToken(t, other, "k2", now),
		"an expired token": clusterToken(t, key, "k1", now.Add(-time.Hour)),
	} {
		if _, err := w.assume(t, token, pod); errorCode(err) != "InvalidIdentityToken" && errorCode(err) != "ExpiredTokenException" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
