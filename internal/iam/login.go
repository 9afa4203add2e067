package iam

import (
	"net/http"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
)

// loginRoutes are those of administrators at other machines.
func (a *API) loginRoutes() map[string]web.Handler {
	return map[string]web.Handler{
		"POST /admin/login-codes":   operation(a, a.administrator, "login_code.create", parseNothing, a.createLoginCode),
		"GET /admin/logins":         operation(a, a.administrator, "login.list", parseNothing, a.listLogins),
		"DELETE /admin/logins/{id}": operation(a, a.administrator, "logout", parseNothing, a.endLogin),
		"POST /login":               a.login,
		"GET /login":                a.waysToLogin,
	}
}

func parseNothing(r *http.Request) (struct{}, error) { return struct{}{}, nothing(r) }

// createLoginCode is POST /admin/login-codes, on the server's own machine alone.
//
// Source: RULES G2.
func (a *API) createLoginCode(r *http.Request, actor admin.Actor, _ struct{}) (answer, error) {
	code, ends, err := a.admin.CreateLoginCode(r.Context(), actor)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: iamclient.LoginCode{Code: code, ExpiresAt: ends}}, nil
}

// login is POST /login: whoever has a code gets a login for their key. It is open to
// everybody; the code is the proof, and without one nothing else is read.
//
// Source: RULES G2.
func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	values := r.Header["Authorization"]
	scheme, code, _ := strings.Cut(strings.Join(values, ","), " ")
	if len(values) != 1 || !strings.EqualFold(scheme, iamclient.CodeScheme) {
		return a.refuseStranger(r, "login", countersign.NewError(countersign.Unauthenticated, countersign.ReasonTokenMissing,
			"bring a code of countersign login-code: Authorization: "+iamclient.CodeScheme+" CODE"))
	}
	from := admin.Actor{RequestID: web.RequestID(r.Context()), ClientAddr: clientAddr(r)}
	secret := countersign.NewSecret(code)
	if err := a.admin.CheckLoginCode(r.Context(), from, secret); err != nil {
		return err
	}
	var in iamclient.Login
	if err := document(r, &in); err != nil {
		return err
	}
	l, err := a.admin.Login(r.Context(), from, secret, in.PublicKey, in.Label)
	if err != nil {
		return err
	}
	body := loginDocument(l)
	body.Issuer = a.issuer
	return answer{status: http.StatusCreated, body: body}.write(w)
}

func loginDocument(l store.Login) iamclient.LoggedIn {
	return iamclient.LoggedIn{ID: l.ID, Label: l.Label, CreatedBy: l.CreatedBy, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt}
}

// waysToLogin is GET /login: the issuers whose users may log in from a command line, the
// platform's or the one of a name, for everybody: who logs in is nobody yet, and a public client is no secret.
//
// Source: RFC 8628 §3.1.
func (a *API) waysToLogin(w http.ResponseWriter, r *http.Request) error {
	values, err := query(r, "issuer")
	if err != nil {
		return err
	}
	found, err := a.admin.DeviceLogins(r.Context(), values.Get("issuer"))
	if err != nil {
		return err
	}
	ways := iamclient.WaysToLogin{Device: make([]iamclient.DeviceIssuer, 0, len(found))}
	for _, d := range found {
		d.Scopes = append([]string{}, d.Scopes...) // never null
		ways.Device = append(ways.Device, iamclient.DeviceIssuer(d))
	}
	return answer{status: http.StatusOK, body: ways}.write(w)
}

// listLogins is GET /admin/logins.
//
// Source: RULES G2.
func (a *API) listLogins(r *http.Request, actor admin.Actor, _ struct{}) (answer, error) {
	found, err := a.admin.Logins(r.Context(), actor)
	if err != nil {
		return answer{}, err
	}
	list := iamclient.LoginList{Items: make([]iamclient.LoggedIn, 0, len(found))}
	for _, l := range found {
		list.Items = append(list.Items, loginDocument(l))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// endLogin is DELETE /admin/logins/{id}.
//
// Source: RULES G2.
func (a *API) endLogin(r *http.Request, actor admin.Actor, _ struct{}) (answer, error) {
	if err := a.admin.EndLogin(r.Context(), actor, r.PathValue("id")); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}
