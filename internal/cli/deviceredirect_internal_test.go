package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/iamclient"
)

// RULES C5: the first question after a login takes the token nowhere but to the server that was
// named, whatever that answers.
func TestRuleC5DeviceLoginFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	var stolen atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen.Store(r.Header.Get("Authorization") != "") }))
	t.Cleanup(elsewhere.Close)
	named := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == iamclient.BasePath+"/login" {
			_, _ = fmt.Fprintf(w, `{"device":[{"name":"people","issuer":%q,"client_id":"countersign-cli","token":"access"}]}`, p.URL)
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(named.Close)
	var out bytes.Buffer
	code := Run(t.Context(), Process{Args: []string{"login", "--server", named.URL, "--context", "c", "--device"}, Environ: []string{"XDG_CONFIG_HOME=" + t.TempDir()}, Stdout: &out, Stderr: &out})
	if code == ExitOK || stolen.Load() {
		t.Errorf("exit %d, the token went elsewhere: %v\n%s", code, stolen.Load(), out.String())
	}
}
