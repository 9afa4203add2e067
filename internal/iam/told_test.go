package iam_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/loginproof"
)

// RULES E5: that a service was told of people is in the audit log: how many, never who by
// name, address or token.
func TestRuleE5WhatServicesAreToldIsRecorded(t *testing.T) {
	t.Parallel()
	o, _ := queryOffice(t)
	o.query(t, o.service, `{"ids":["sub-ada","sub-nobody"],"emails":["bea@x.example"],"usernames":["ada"]}`)
	o.query(t, o.service, `{"directory":"cognito:us-east-1_x","filter":[{"field":"email","op":"prefix","value":"a"}],"tenant":"acme"}`)
	body, err := json.Marshal(iamclient.Enrich{Token: o.ann, Tenant: "acme"})
	must(t, err)
	o.as(t, o.service, "POST", "/system/enrich", string(body)).want(t, 200)
	o.as(t, o.service, "POST", "/system/users/query", `{"ids":["x"],"tenant":"A"}`).want(t, 400)

	queries := o.Events(t, audit.Query{Action: "users.query"})
	var details []string
	for _, e := range queries {
		details = append(details, string(e.Decision)+" "+e.Detail)
		if e.Actor != "service:bff" || e.Service != "bff" || e.ServiceUID == "" || e.TokenID == "" || e.Proof != "jwt" || e.User != "" {
			t.Errorf("%+v", e)
		}
	}
	want := "allowed ids=2 emails=1 usernames=1 filters=0 users=3, allowed ids=0 emails=0 usernames=0 filters=1 users=1 tenant=acme, refused "
	if got := strings.Join(details, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	enriched := o.Events(t, audit.Query{Action: "enrich"})
	if len(enriched) != 1 || enriched[0].Detail != "user="+id(o.people, "ann")+" tenant=acme" || enriched[0].Decision != audit.Allowed {
		t.Errorf("%+v", enriched)
	}
	all, err := json.Marshal(append(queries, enriched...))
	must(t, err)
	for _, secret := range []string{"sub-ada", "@x.example", o.ann, `"ann"`} {
		if strings.Contains(string(all), secret) {
			t.Errorf("%q is in %s", secret, all)
		}
	}
}

// RULES E5: a backup's event says who took it, as every other does.
func TestRuleE5BackupSaysWhoTookIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t, rigConfig{exposeReasons: true, backup: func(w io.Writer) error { _, err := io.WriteString(w, "rows"); return err }})
	o.as(t, o.boss, "GET", "/admin/backup", "").want(t, 200, "rows")
	events := o.Events(t, audit.Query{Action: "backup"})
	if len(events) != 1 || events[0].User != "boss" || events[0].UserIssuer != o.people.url || !strings.HasPrefix(events[0].Actor, "user:") {
		t.Errorf("%+v", events)
	}
}

// RULES G1: who saw the request for a backup does not get the database by sending it again.
func TestRuleG1ABackupIsGivenOnce(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, rigConfig{localUID: uint32(os.Geteuid()), exposeReasons: true, backup: func(w io.Writer) error { _, err := io.WriteString(w, "rows"); return err }})
	login := r.logIn(t)
	asked, err := http.NewRequestWithContext(t.Context(), "GET", r.tcp+iamclient.BasePath+"/admin/backup", nil)
	must(t, err)
	proof := map[string]string{"Authorization": loginproof.Sign(login.key, login.login.ID, issuer, asked, nil, r.Clock.Now())}
	r.ask(t, ask{method: "GET", path: "/admin/backup", header: proof}).want(t, 200, "rows")
	r.ask(t, ask{method: "GET", path: "/admin/backup", header: proof}).want(t, 401, string(countersign.ReasonProofReplayed))
	r.askAs(t, login, ask{method: "GET", path: "/admin/backup"}).want(t, 200, "rows")
}

// RULES G2: that there is no such login is said of a login.
func TestRuleG2EndOfALoginThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.admin.EndLogin(t.Context(), admin.Actor{ID: "local:1", SuperAdmin: true}, "nobody")
	if !errors.Is(err, countersign.NotFound) || !strings.Contains(countersign.MessageOf(err), "login") {
		t.Error(err)
	}
}
