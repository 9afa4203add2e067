package iam_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/loginproof"
)

// remote is an administrator at another machine.
type remote struct {
	*iamclient.Client
	login iamclient.LoggedIn
	key   ed25519.PrivateKey
}

func (r *rig) logIn(t *testing.T) remote {
	t.Helper()
	code, err := r.client.CreateLoginCode(t.Context())
	must(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	stranger, err := iamclient.New(iamclient.Config{BaseURL: r.tcp})
	must(t, err)
	defer stranger.Close()
	in, err := stranger.Login(t.Context(), code.Code, iamclient.Login{PublicKey: public, Label: "laptop"})
	must(t, err)
	return r.as(t, in, private)
}

func (r *rig) as(t *testing.T, in iamclient.LoggedIn, key ed25519.PrivateKey) remote {
	t.Helper()
	client, err := iamclient.New(iamclient.Config{BaseURL: r.tcp, HTTPClient: &http.Client{Transport: &loginproof.Transport{
		Key: key, Login: in.ID, Audience: issuer, Base: &http.Transport{DisableKeepAlives: true}, Now: r.Clock.Now,
	}}})
	must(t, err)
	return remote{client, in, key}
}

// RULES G2: a code of 128 bits is good for an hour and for one login, which is an
// administrator's: for half a day, and until it is ended.
func TestRuleG2LoginByCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	code, err := r.client.CreateLoginCode(t.Context())
	must(t, err)
	if got := code.ExpiresAt.Sub(r.Clock.Now()); got != time.Hour {
		t.Errorf("a code lives %v", got)
	}
	if text := strings.ReplaceAll(code.Code.Reveal(), "-", ""); len(text) != 26 {
		t.Errorf("a code has %d characters of 5 bits", len(text))
	}
	admin := r.logIn(t)
	if admin.login.Issuer != issuer || admin.login.ExpiresAt.Sub(r.Clock.Now()) != 12*time.Hour {
		t.Errorf("%+v", admin.login)
	}
	_, err = admin.CreateService(t.Context(), iamclient.CreateService{Name: "document-service", Scopes: []string{"s2s:internal"}})
	must(t, err)
	if _, err := admin.Services(t.Context(), iamclient.ServicePage{Limit: 5}); err != nil {
		t.Error(err)
	}
	page, err := admin.AuditEvents(t.Context(), iamclient.AuditQuery{Action: "service.create"})
	must(t, err)
	if len(page.Events) != 1 || page.Events[0].Actor != "login:"+admin.login.ID || page.Events[0].Proof != "login_key" {
		t.Errorf("%+v", page.Events)
	}
	// It makes no further ones.
	if _, err := admin.CreateLoginCode(t.Context()); !errors.Is(err, countersign.Denied) {
		t.Errorf("a code made from elsewhere: %v", err)
	}
	r.Clock.Advance(12 * time.Hour)
	if _, err := admin.Services(t.Context(), iamclient.ServicePage{}); !errors.Is(err, countersign.Expired) {
		t.Errorf("after half a day: %v", err)
	}
	again := r.logIn(t)
	list, err := again.Logins(t.Context())
	if err != nil || len(list.Items) != 1 || list.Items[0].Label != "laptop" || list.Items[0].CreatedBy == "" {
		t.Errorf("%+v, %v", list, err)
	}
	must(t, r.client.EndLogin(t.Context(), again.login.ID))
	if _, err := again.Services(t.Context(), iamclient.ServicePage{}); !errors.Is(err, countersign.BadToken) {
		t.Errorf("after its end: %v", err)
	}
	if log := r.log.String(); strings.Contains(log, code.Code.Reveal()) {
		t.Error("a code is in the log")
	}
}

func TestRuleG2CodesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stranger, err := iamclient.New(iamclient.Config{BaseURL: r.tcp})
	must(t, err)
	defer stranger.Close()
	public := bytes.Repeat([]byte{7}, 32)
	try := func(code string, key []byte, label string) error {
		_, err := stranger.Login(t.Context(), countersign.NewSecret(code), iamclient.Login{PublicKey: key, Label: label})
		return err
	}
	made, err := r.client.CreateLoginCode(t.Context())
	must(t, err)
	code := made.Code.Reveal()
	last := map[bool]string{true: "A", false: "B"}[!strings.HasSuffix(code, "A")]
	for name, text := range map[string]string{
		"nothing": "", "unknown": "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A", "short": code[:len(code)-1], "long": code + "A", "another end": code[:len(code)-1] + last,
		"words": "'; DROP TABLE login_code; --", "doubled": code + code,
	} {
		if err := try(text, public, ""); !errors.Is(err, countersign.BadToken) && !errors.Is(err, countersign.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		key   []byte
		label string
	}{"no key": {nil, ""}, "a short key": {public[:31], ""}, "a long label": {public, strings.Repeat("x", 65)}, "a label that steers a terminal": {public, "\x1b[2J"}} {
		if err := try(code, c.key, c.label); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// However it is typed; and of those who try at once one gets in.
	var won atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if try(strings.ToLower(strings.ReplaceAll(code, "-", " ")), public, "") == nil {
				won.Add(1)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d logins by one code", won.Load())
	}
	late, err := r.client.CreateLoginCode(t.Context())
	must(t, err)
	r.Clock.Advance(time.Hour)
	if err := try(late.Code.Reveal(), public, ""); !errors.Is(err, countersign.BadToken) {
		t.Errorf("after an hour: %v", err)
	}
	// A service makes no codes, and a stranger none.
	if got := r.ask(t, ask{method: http.MethodPost, path: "/admin/login-codes"}); got.status != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", got.status)
	}
}

// A proof is for one request to one server: nothing else can be done with it.
func TestRuleG1AProofIsForOneRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	admin := r.logIn(t)
	const path = iamclient.BasePath + "/admin/services"
	send := func(method, path, body, authorization string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, r.tcp+path, strings.NewReader(body))
		must(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", authorization)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(io.Discard, response.Body)
		must(t, err)
		return response.StatusCode
	}
	body := `{"name":"document-service"}`
	asked, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.tcp+path, nil)
	must(t, err)
	asked.Header.Set("Content-Type", "application/json")
	proof := loginproof.Sign(admin.key, admin.login.ID, issuer, asked, []byte(body), r.Clock.Now())
	for name, status := range map[string]int{
		"another body":   send(http.MethodPost, path, `{"name":"other-service"}`, proof),
		"another path":   send(http.MethodPost, iamclient.BasePath+"/admin/resources", body, proof),
		"another method": send(http.MethodGet, path, body, proof),
		"a query":        send(http.MethodPost, path+"?limit=1", body, proof),
		"another login":  send(http.MethodPost, path, body, loginproof.Sign(admin.key, "nobody", issuer, asked, []byte(body), r.Clock.Now())),
		"another server": send(http.MethodPost, path, body, loginproof.Sign(admin.key, admin.login.ID, "https://evil.example", asked, []byte(body), r.Clock.Now())),
		"an old one":     send(http.MethodPost, path, body, loginproof.Sign(admin.key, admin.login.ID, issuer, asked, []byte(body), r.Clock.Now().Add(-2*time.Minute))),
	} {
		if status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status := send(http.MethodPost, path, body, proof); status != http.StatusCreated {
		t.Errorf("the request itself: %d", status)
	}
	if status := send(http.MethodPost, path, body, proof); status != http.StatusUnauthorized {
		t.Errorf("sent again: %d", status)
	}
	// A login is no service: what machines ask for is not for it.
	if got, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.tcp+iamclient.BasePath+"/system/enrich", nil); err == nil {
		got.Header.Set("Content-Type", "application/json")
		proof := loginproof.Sign(admin.key, admin.login.ID, issuer, got, []byte("{}"), r.Clock.Now())
		if status := send(http.MethodPost, iamclient.BasePath+"/system/enrich", "{}", proof); status != http.StatusForbidden {
			t.Errorf("a machine's route: %d", status)
		}
	}
}
