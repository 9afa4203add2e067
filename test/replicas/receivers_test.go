package replicas

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/countersign/countersign/verify"
)

// receiver is a service that verifies tokens by itself and follows the revocations of one
// node, which may be away, dead, or another process at another address.
type receiver struct {
	node     *node
	verifier *verify.Verifier
}

func newReceiver(t *testing.T, n *node) *receiver {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, _ := url.Parse("http://nobody.invalid") // refused below
			if l := n.alive(); l != nil {
				target, _ = url.Parse(l.url)
			}
			r.SetURL(target)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.alive() == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	verifier, err := verify.New(verify.Config{
		Audience: "parse-service", MaxStaleness: staleness,
		Issuers: []verify.Issuer{{
			URL: issuer, JWKSURL: front.URL + "/.well-known/jwks.json",
			RevocationsURL: front.URL + "/oauth2/revocations", RevocationsJWKSURL: front.URL + "/oauth2/revocations/jwks.json",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = verifier.Close()
		front.CloseClientConnections()
		front.Close()
	})
	return &receiver{node: n, verifier: verifier}
}

// verify: a receiver is shown a token that was handed out once.
func (c *call) verify() {
	s := c.w.mortals[c.r.IntN(len(c.w.mortals))]
	held := s.held()
	if c.r.IntN(4) == 0 {
		held = s.all()
	}
	if len(held) == 0 {
		return
	}
	token := held[c.r.IntN(len(held))]
	at := c.w.receivers[c.r.IntN(len(c.w.receivers))]
	dead := token.deadSince()
	c.at = time.Now()
	_, err := at.verifier.Verify(context.Background(), token.text)
	c.w.m.counted("verify " + outcome(err))
	if err == nil {
		c.w.m.accepted(fmt.Sprint("by the receiver at ", at.node.name, ", a token dead by ", token.cause()), dead, c.at, time.Time{})
	}
}
