package authn_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// accessKey makes a service's key for a role that trusts it, for an hour, and returns it.
func (r *s3Rig) accessKey(tb testing.TB, role, permissions string) (store.AccessKey, sigv4.Credentials) {
	tb.Helper()
	r.create(tb, resource.KindRole, role, `{"trust": [{"service": {"names": ["document-service"]}}], "permissions": `+permissions+`}`)
	found, err := r.Registry.Role(tb.Context(), role)
	if err != nil {
		tb.Fatal(err)
	}
	var row store.AccessKey
	var secret countersign.Secret
	err = r.Store.Update(tb.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		err = tx.CreateService(ctx, store.Service{UID: "uid-service", Name: "document-service", Tenant: "acme", Revision: 1, CreatedAt: start, UpdatedAt: start})
		if err != nil {
			return err
		}
		row, secret, err = r.Keys.NewAccessKeyIn(ctx, tx, store.AccessKey{
			UID: "uid-key", Name: "uploader", Tenant: "acme", Service: "document-service", ServiceUID: "uid-service", Role: role, RoleUID: found.UID,
			Trust: found.Trust[0].Fingerprint(), Revision: 1, CreatedAt: r.Clock.Now(), ExpiresAt: r.Clock.Now().Add(time.Hour),
		})
		if err != nil {
			return err
		}
		return tx.CreateAccessKey(ctx, row)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return row, sigv4.Credentials{AccessKeyID: row.ID, SecretAccessKey: secret}
}

const keyPermissions = `[{"bucket": "{tenant}-docs", "prefixes": ["{service}/{role}/"], "actions": ["get_object"]}]`

func TestRuleF7AccessKeyOfAService(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	row, c := rig.accessKey(t, "uploads", keyPermissions)
	for name, request := range map[string]*http.Request{
		"header": rig.get(t, c), "presigned": rig.presign(t, s3Request(http.MethodGet, "/acme-docs/x", ""), c, sigv4.MaxExpires),
	} {
		caller, err := rig.s3.Authenticate(request, authn.S3Options{AllowUnsigned: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if caller.Session != nil || caller.AccessKey.UID != row.UID || caller.Role.Name != "uploads" || !caller.ExpiresAt().Equal(row.ExpiresAt) {
			t.Errorf("%s: %+v", name, caller)
		}
		for key, want := range map[string]bool{"document-service/uploads/a": true, "document-service/other/a": false, "{service}/{role}/a": false} {
			if caller.Allow("get_object", "acme-docs", key) != want || caller.Allow("put_object", "acme-docs", key) || caller.Allow("get_object", "{tenant}-docs", key) {
				t.Errorf("%s: %s, want %t", name, key, want)
			}
		}
	}
	// Only with its own secret, and without a token of whoever.
	wrong := c
	wrong.SecretAccessKey = countersign.NewSecret("wrong")
	rig.refuse(t, "another secret", rig.get(t, wrong), authn.S3Options{}, countersign.BadSignature)
	session := rig.mint(t, "writer", nil)
	wrong = c
	wrong.SessionToken = session.SessionToken
	rig.refuse(t, "with a token", rig.get(t, wrong), authn.S3Options{}, countersign.BadClient)
	wrong = session
	wrong.AccessKeyID = c.AccessKeyID
	rig.refuse(t, "a session with its id", rig.get(t, wrong), authn.S3Options{}, countersign.BadClient)
	wrong = c
	wrong.AccessKeyID = "AKIA" + "AAAAAAAAAAAAAAAA"
	rig.refuse(t, "another id", rig.get(t, wrong), authn.S3Options{}, countersign.BadClient)
	wrong.AccessKeyID = "AKIA" + c.AccessKeyID[4:] + "A"
	rig.refuse(t, "a longer id", rig.get(t, wrong), authn.S3Options{}, countersign.BadClient)
}

func TestRuleF7AccessKeyEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(context.Context, store.Tx) error
		want countersign.Code
	}{
		"revoked":          {func(ctx context.Context, tx store.Tx) error { return tx.RevokeAccessKey(ctx, "uid-key", start) }, countersign.BadClient},
		"deleted":          {func(ctx context.Context, tx store.Tx) error { return tx.DeleteAccessKey(ctx, "uid-key") }, countersign.BadClient},
		"the service went": {func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-service") }, countersign.BadClient},
		"the role went":    {func(ctx context.Context, tx store.Tx) error { return tx.DeleteObject(ctx, "uid-uploads") }, countersign.BadClient},
	} {
		rig := newS3Rig(t)
		_, c := rig.accessKey(t, "uploads", keyPermissions)
		request := rig.get(t, c)
		caller, err := rig.s3.Authenticate(request, authn.S3Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rig.s3.Renew(t.Context(), caller); err != nil {
			t.Errorf("%s: %v before its end", name, err)
		}
		if err := rig.Store.Update(t.Context(), test.end); err != nil {
			t.Fatal(err)
		}
		rig.Registry.Forget("document-service")
		rig.Registry.ForgetObject(resource.KindRole, "uploads")
		rig.Registry.ForgetObject("AccessKey", c.AccessKeyID)
		rig.refuse(t, name, request, authn.S3Options{}, test.want)
		if _, err := rig.s3.Renew(t.Context(), caller); countersign.CodeOf(err) != test.want {
			t.Errorf("%s: a request goes on: %v", name, err)
		}
		wrong := c
		wrong.SecretAccessKey = countersign.NewSecret("wrong")
		if name == "revoked" { // its end is told to who has its secret alone
			rig.refuse(t, name+", another secret", rig.get(t, wrong), authn.S3Options{}, countersign.BadSignature)
		}
	}
	rig := newS3Rig(t)
	row, c := rig.accessKey(t, "uploads", keyPermissions)
	rig.Clock.Set(row.ExpiresAt.Add(-time.Second))
	request := rig.get(t, c)
	if _, err := rig.s3.Authenticate(request, authn.S3Options{}); err != nil {
		t.Fatal(err)
	}
	rig.Clock.Set(row.ExpiresAt)
	rig.refuse(t, "expired", request, authn.S3Options{}, countersign.Expired)
}

// RULES D3: a key has a service, a tenant and a role; nobody who could have a subject or claims.
func TestRuleD3TemplatesOfAccessKeys(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"{subject}", "{issuer}", "{claims.dept}"} {
		rig := newS3Rig(t)
		_, c := rig.accessKey(t, "uploads", `[{"bucket": "docs", "prefixes": ["`+template+`/"], "actions": ["get_object"]}]`)
		rig.refuse(t, template, rig.get(t, c), authn.S3Options{}, countersign.Denied)
	}
}
