package authn_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/web"
)

// overSocket sends a request through a real Unix socket and returns what Caller said.
func overSocket(t *testing.T, f *rig, headers ...[2]string) (caller authn.Caller, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	listener, listenErr := net.Listen("unix", path)
	if listenErr != nil {
		t.Fatal(listenErr)
	}
	server := &http.Server{ConnContext: web.ConnContext, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caller, err = f.authn.Caller(r)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	r, requestErr := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://local/", nil)
	if requestErr != nil {
		t.Fatal(requestErr)
	}
	for _, h := range headers {
		r.Header.Add(h[0], h[1])
	}
	response, doErr := client.Do(r)
	if doErr != nil {
		t.Fatal(doErr)
	}
	if closeErr := errors.Join(response.Body.Close(), server.Shutdown(t.Context())); closeErr != nil {
		t.Fatal(closeErr)
	}
	if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
		t.Fatal(serveErr)
	}
	return caller, err
}

func TestRuleG1LocalAdministrator(t *testing.T) {
	t.Parallel()
	uid := uint32(os.Getuid())
	f := newRig(t)
	good := f.mint(t, "id-1", claims(audIAM))

	caller, err := overSocket(t, f)
	if err != nil || !caller.LocalAdmin || caller.UID != uid || caller.Principal == nil || !caller.Principal.IsZero() {
		t.Errorf("the server's own uid: %+v, %v", caller, err)
	}
	caller, err = overSocket(t, f, bearer(good))
	if err != nil || caller.LocalAdmin || caller.Principal.Service.Name != "document-service" {
		t.Errorf("a bearer on the socket: %+v, %v", caller, err)
	}

	for name, headers := range map[string][][2]string{
		"a bad bearer":       {bearer("x.y.z")},
		"a wrong audience":   {bearer(f.mint(t, "id", claims("parse-service")))},
		"an empty header":    {{"Authorization", ""}},
		"basic":              {{"Authorization", "Basic YTpi"}},
		"two headers":        {bearer(good), bearer(good)},
		"a service's header": {serviceBearer(good)},
		"an empty service's": {{"Service-Authorization", ""}},
	} {
		if caller, err := overSocket(t, f, headers...); err == nil || caller.LocalAdmin {
			t.Errorf("%s on the socket: %+v, %v", name, caller, err)
		}
	}

	for _, local := range []uint32{uid + 1, uid - 1} {
		caller, err := overSocket(t, newRigFor(t, issuer, local))
		wantError(t, err, countersign.Unauthenticated, countersign.ReasonNotAdministrator)
		if caller.LocalAdmin {
			t.Error("another uid is the local administrator")
		}
	}
}

func TestRuleG1NoAdministratorOverTCP(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	for _, headers := range [][][2]string{nil, {{"X-Real-Uid", "0"}}, {{"Cookie", "a=b"}}} {
		caller, err := f.authn.Caller(request(t, headers...))
		wantError(t, err, countersign.Unauthenticated, countersign.ReasonTokenMissing)
		if caller.LocalAdmin {
			t.Error("a TCP caller is the local administrator")
		}
	}
}
