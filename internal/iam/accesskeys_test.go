package iam_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

const keyWorld = `kind: Service
name: backup
---
kind: Role
name: writer
trust: [{service: {names: [backup]}}]
permissions: [{bucket: documents, prefixes: [""], actions: [put_object]}]
`

func TestAccessKeyThroughItsLife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files(keyWorld)})
	must(t, err)
	made, err := r.client.CreateAccessKey(t.Context(), iamclient.CreateAccessKey{
		Name: "nightly", Service: "backup", Role: "writer", ExpiresIn: iamclient.Duration(24 * time.Hour),
	})
	must(t, err)
	if made.SecretAccessKey.IsZero() || !strings.HasPrefix(made.AccessKeyID, "AKIA") || !made.ExpiresAt.Equal(r.Clock.Now().Add(24*time.Hour)) ||
		made.AccessKey.State != iamclient.AccessKeyLive || made.AccessKey.Name != "nightly" {
		t.Errorf("%+v", made)
	}
	if strings.Contains(r.log.String(), made.SecretAccessKey.Reveal()) {
		t.Error("the secret is in the log")
	}
	for _, path := range []string{"/admin/access-keys/nightly", "/admin/access-keys", "/admin/resources/AccessKey/nightly"} {
		got := r.ask(t, ask{method: "GET", path: path, local: true})
		if got.status != http.StatusOK || strings.Contains(got.body, made.SecretAccessKey.Reveal()) || !strings.Contains(got.body, made.AccessKeyID) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{method: "DELETE", path: "/admin/access-keys/nightly", local: true}); got.status != http.StatusPreconditionRequired {
		t.Errorf("without If-Match: %d", got.status)
	}
	if err := r.client.DeleteObject(t.Context(), "AccessKey", "nightly", 2); !errors.Is(err, countersign.Conflict) {
		t.Errorf("another revision: %v", err)
	}
	must(t, r.client.DeleteObject(t.Context(), "AccessKey", "nightly", 1))
	if _, err := r.client.Object(t.Context(), "AccessKey", "nightly"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestCreateAccessKeyRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.client.Apply(t.Context(), iamclient.Apply{Files: files(keyWorld)})
	must(t, err)
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nothing":        {"", 415},
		"empty":          {`{}`, 400},
		"unknown field":  {`{"name":"k","service":"backup","role":"writer","secret_access_key":"x"}`, 400},
		"a tenant":       {`{"name":"k","service":"backup","role":"writer","tenant":"acme"}`, 400},
		"bad name":       {`{"name":"K","service":"backup","role":"writer"}`, 400},
		"bare number":    {`{"name":"k","service":"backup","role":"writer","expires_in":90}`, 400},
		"too long":       {`{"name":"k","service":"backup","role":"writer","expires_in":"400d"}`, 400},
		"no service":     {`{"name":"k","role":"writer"}`, 404},
		"unknown role":   {`{"name":"k","service":"backup","role":"reader"}`, 403},
		"two documents":  {`{"name":"k","service":"backup","role":"writer"}{}`, 400},
		"name as a list": {`{"name":["k"],"service":"backup","role":"writer"}`, 400},
	} {
		got := r.ask(t, ask{method: "POST", path: "/admin/access-keys", body: test.body, local: true})
		if got.status != test.status || got.problem.Detail == "" || strings.Contains(got.body, "AKIA") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if events := r.Events(t, audit.Query{ID: got.problem.RequestID, Action: "access-key.create", Decision: audit.Refused}); len(events) != 1 {
			t.Errorf("%s: events %+v", name, events)
		}
	}
}
