package iam_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/iamclient"
)

// interfaceResources are the Service, the Issuer and the Role of INTERFACE.md.
const interfaceResources = `kind: Service
name: document-service
tenant: acme                       # optional, on every kind; none = the platform
scopes: [s2s:internal]
audiences: [parse-service, iam-service, sts]
token_lifetime: 15m
jwks: {keys: []}                   # public keys for private_key_jwt, or jwks_uri
trust:                             # federated: one of these proofs instead of a secret
  - oidc: {issuer: cognito-services, condition: 'claims["custom:service_id"] == "document-service"'}
  - kubernetes: {issuer: cluster-a, service_account: docs/document-service}
quota: {tokens_per_minute: 600}
---
kind: Issuer
name: cognito-services
url: https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf
subject: service                   # user | service | workload
profile: cognito                   # oidc | cognito
audiences: [7abcdefghijkl]
algorithms: [RS256]
allow_private_addresses: false
claims: {service: "custom:service_id", roles: "cognito:groups", tenant: "custom:tenant_id", scopes: scope}
token_use: id                      # cognito: id | access; with access tokens the service may be read from the user name:
may_assert: {tenants: [acme], roles: {admins: admin}, scopes: []}   # nothing by default
---
kind: Role
name: document-writer              # arn:aws:iam::000000000000:role/document-writer
max_session_duration: 1h
trust:                             # any one statement; all of what a statement says
  - oidc: {issuer: cognito-services, required_audiences: [7abcdefghijkl], condition: 'claims["custom:service_id"] == "document-service"'}
  - github: {repository: acme/docs, ref: refs/heads/main}
  - aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/document-lambda/*"]}
  - service: {names: [document-service]}          # our own service tokens, audience sts
permissions:
  - {bucket: documents, prefixes: ["resumes/{tenant}/"], actions: [get_object, put_object, list_bucket]}
broker: {aws: {role_arn: "arn:aws:iam::123456789012:role/Real", region: us-east-1}}   # optional: real AWS credentials instead of ours; endpoint: for tests
`

// The documents of the interface apply, are shown and are the same when they come again.
func TestInterfaceResourcesApply(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	list, err := r.client.Apply(ctx, iamclient.Apply{Files: files(interfaceResources)})
	must(t, err)
	var warnings []string
	shown := ""
	for _, a := range list.Items {
		if a.Action != iamclient.Created {
			t.Errorf("%s %s %s", a.Kind, a.Name, a.Action)
		}
		for _, w := range a.Warnings {
			warnings = append(warnings, w.Rule+" "+w.Path)
			if w.File != "resources.yaml" || w.Line == 0 || w.Message == "" {
				t.Errorf("warning %+v", w)
			}
		}
		object, err := r.client.Object(ctx, a.Kind, a.Name)
		must(t, err)
		shown += "---\n" + object.Document
	}
	// Two issuers that the documents name and that are not among them.
	if got := strings.Join(warnings, ", "); got != "issuer_missing trust[1].kubernetes.issuer, issuer_missing trust[1].github" {
		t.Errorf("warnings: %s", got)
	}
	for name, text := range map[string]string{"the same": interfaceResources, "what is shown": shown} {
		list, err := r.client.Apply(ctx, iamclient.Apply{Files: files(text), DryRun: true})
		must(t, err)
		for _, a := range list.Items {
			if a.Action != iamclient.Unchanged {
				t.Errorf("%s: %s %s %s:\n%s\n%s", name, a.Kind, a.Name, a.Action, a.Before, a.After)
			}
		}
	}
	for _, path := range []string{"/admin/roles/document-writer", "/admin/resources/Role/document-writer"} {
		got := r.ask(t, ask{method: "GET", path: path, local: true})
		if got.status != 200 || got.header.Get("ETag") != `"1"` || !strings.Contains(got.body, "document-writer") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{method: "DELETE", path: "/admin/roles/document-writer", local: true, header: map[string]string{"If-Match": `"1"`}}); got.status != 204 {
		t.Errorf("delete: %d %s", got.status, got.body)
	}
}
