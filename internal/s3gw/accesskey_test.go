package s3gw_test

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// A service's own access key has the rights of its role, and its events name the service.
func TestRuleF7AccessKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.apply(t, `
kind: Service
name: uploader
---
kind: Role
name: uploads
trust: [{service: {names: [uploader]}}]
permissions: [{bucket: documents, prefixes: ["{service}/"], actions: [put_object, get_object]}]
`)
	c := w.accessKey(t, "uploader", "uploads")
	w.do(t, c, http.MethodPut, "/documents/uploader/a", []byte("text")).want(t, http.StatusOK, "")
	if event := w.event(t, "s3:PutObject"); event.Service != "uploader" || event.Proof != "access_key" || event.Session != c.AccessKeyID || event.Role != "uploads" {
		t.Errorf("the event says %+v", event)
	}
	if got := w.do(t, c, http.MethodGet, "/documents/uploader/a", nil); got.body != "text" {
		t.Errorf("%d %s", got.status, got.body)
	}
	w.do(t, c, http.MethodGet, "/documents/other/a", nil).want(t, http.StatusForbidden, "AccessDenied")
	w.do(t, c, http.MethodDelete, "/documents/uploader/a", nil).want(t, http.StatusForbidden, "AccessDenied")
	wrong := c
	wrong.SecretAccessKey = countersign.NewSecret("wrong")
	w.do(t, wrong, http.MethodGet, "/documents/uploader/a", nil).want(t, http.StatusForbidden, "SignatureDoesNotMatch")
	wrong = c
	wrong.SessionToken = w.session(t, "all").SessionToken
	w.do(t, wrong, http.MethodGet, "/documents/uploader/a", nil).want(t, http.StatusForbidden, "InvalidAccessKeyId")
}

// accessKey makes a key for an hour.
func (w *world) accessKey(t *testing.T, service, role string) sigv4.Credentials {
	t.Helper()
	s, err := w.Registry.Service(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Registry.Role(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	var row store.AccessKey
	var secret countersign.Secret
	err = w.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
		row, secret, err = w.Keys.NewAccessKeyIn(ctx, tx, store.AccessKey{
			UID: "uid-key", Name: "key", Service: s.Name, ServiceUID: s.UID, Role: r.Name, RoleUID: r.UID, Revision: 1,
			Trust: r.Trust[0].Fingerprint(), CreatedAt: w.Clock.Now(), ExpiresAt: w.Clock.Now().Add(time.Hour),
		})
		if err != nil {
			return err
		}
		return tx.CreateAccessKey(ctx, row)
	})
	if err != nil {
		t.Fatal(err)
	}
	return sigv4.Credentials{AccessKeyID: row.ID, SecretAccessKey: secret}
}

// Who asks whether to send nothing is told to go on, also where the answer is a refusal: boto3
// takes the next answer on the connection for another one otherwise.
func TestExpectOfAnEmptyBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, status := range map[string]int{"/documents/empty": http.StatusOK, "/nobody/empty": http.StatusForbidden} {
		r := w.request(t, http.MethodPut, path, nil, "Expect", "100-continue")
		w.sign(t, r, w.session(t, "all"))
		interim := 0
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { interim = code; return nil },
		}))
		if got := w.send(t, r); got.status != status || interim != http.StatusContinue {
			t.Errorf("%s: %d after %d: %s", path, got.status, interim, got.body)
		}
	}
}
