package iam_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
)

// accepted reports whether our own API takes the token (for iam-service, audit:write).
func (r *rig) accepted(t *testing.T, bearer string) bool {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: "/system/audit/events", body: `{}`, bearer: bearer})
	if got.status != 400 && got.status != 401 {
		t.Fatalf("an empty report: %d %s", got.status, got.body)
	}
	return got.status == 400
}

func TestRevokeTokenOverTheWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	first, second := r.token(t, "a", "iam-service", "audit:write"), r.token(t, "a", "iam-service", "audit:write")
	if !r.accepted(t, first) || !r.accepted(t, second) {
		t.Fatal("the tokens are not accepted")
	}
	done, err := r.client.RevokeToken(t.Context(), countersign.NewSecret(first))
	must(t, err)
	if done.Status != iamclient.Revoked || done.JTI == "" || r.accepted(t, first) || !r.accepted(t, second) {
		t.Errorf("%+v; first accepted %t, second %t", done, r.accepted(t, first), r.accepted(t, second))
	}
	again, err := r.client.RevokeToken(t.Context(), countersign.NewSecret(first))
	if err != nil || again.Status != iamclient.Revoked || again.JTI != done.JTI {
		t.Errorf("again: %+v, %v", again, err)
	}
	// A token for another audience is revoked as well.
	other, err := r.client.RevokeToken(t.Context(), countersign.NewSecret(r.token(t, "a", "parse-service", "")))
	if err != nil || other.Status != iamclient.Revoked {
		t.Errorf("for another audience: %+v, %v", other, err)
	}
	r.Clock.Advance(20 * time.Minute)
	late, err := r.client.RevokeToken(t.Context(), countersign.NewSecret(second))
	if err != nil || late.Status != iamclient.AlreadyExpired {
		t.Errorf("an expired one: %+v, %v", late, err)
	}
	events := r.Events(t, audit.Query{Action: "revoke", Decision: audit.Changed})
	if len(events) != 2 || events[0].TokenID != done.JTI {
		t.Errorf("events %+v", events)
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	good := r.token(t, "a", "parse-service", "")
	forged := good[:len(good)-4] + "AAAA"
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nothing":            {`{}`, 400},
		"two selectors":      {`{"jti":"a","service":"a"}`, 400},
		"token and jti":      {`{"token":"` + good + `","jti":"a"}`, 400},
		"garbage":            {`{"token":"garbage"}`, 400},
		"forged":             {`{"token":"` + forged + `"}`, 400},
		"cut":                {`{"token":"` + good[:len(good)-1] + `"}`, 400},
		"huge":               {`{"token":"` + strings.Repeat("a", 100_000) + `"}`, 400},
		"bad jti":            {`{"jti":"a b"}`, 400},
		"jti too long":       {`{"jti":"` + strings.Repeat("a", 65) + `"}`, 400},
		"far too late":       {`{"jti":"a","expires_at":"2099-01-01T00:00:00Z"}`, 400},
		"expires elsewhere":  {`{"service":"a","expires_at":"2026-01-02T03:04:05Z"}`, 400},
		"not a time":         {`{"jti":"a","expires_at":"soon"}`, 400},
		"unknown service":    {`{"service":"nobody"}`, 404},
		"unknown field":      {`{"everything":true}`, 400},
		"all, and a service": {`{"all":true,"service":"a"}`, 400},
		"not all":            {`{"all":false}`, 400},
		"user, no issuer":    {`{"subject":"alice"}`, 400},
		"user of a service":  {`{"service":"a","subject":"alice"}`, 400},
		"issuer and all":     {`{"issuer":"https://i.example","all":true}`, 400},
		"issuer's document":  {`{"issuer":"cognito-services"}`, 400},
		"user of a document": {`{"issuer":"cognito-services","subject":"alice"}`, 400},
		"the same, local":    {`{"issuer":"cognito-services","local":true}`, 400},
		"before a token":     {`{"jti":"a","before":"2026-01-02T03:04:05Z"}`, 400},
		"service tomorrow":   {`{"service":"a","before":"2027-01-02T03:04:05Z"}`, 400},
		"before a session":   {`{"session":"ASIAQZ3R5T7B2X4W6Y2A","before":"2026-01-02T03:04:05Z"}`, 400},
		"role and session":   {`{"session":"ASIAQZ3R5T7B2X4W6Y2A","role":"writer"}`, 400},
		"unknown key":        {`{"session":"AKIAQZ3R5T7B2X4W6Y2A"}`, 404},
		"session too short":  {`{"session":"ASIAQZ3R5T7B2X4W6Y2"}`, 400},
		"session, lower":     {`{"session":"ASIAQZ3R5T7B2X4W6Y2a"}`, 400},
		"session, local":     {`{"session":"ASIA","local":true}`, 400},
		"unknown role":       {`{"role":"nobody"}`, 404},
		"no role's name":     {`{"role":"A B"}`, 404},
		"user of a role":     {`{"role":"a","subject":"alice"}`, 400},
		"before tomorrow":    {`{"all":true,"before":"2027-01-02T03:04:05Z"}`, 400},
		"local nothing":      {`{"local":true}`, 400},
		"local two":          {`{"local":true,"jti":"a","all":true}`, 400},
	} {
		got := r.ask(t, ask{method: "POST", path: "/admin/revocations", body: test.body, local: true})
		if got.status != test.status || got.problem.Detail == "" {
			t.Errorf("%s: %d %+v", name, got.status, got.problem)
		}
		if events := r.Events(t, audit.Query{ID: got.problem.RequestID, Action: "revoke", Decision: audit.Refused}); len(events) != 1 {
			t.Errorf("%s: events %+v", name, events)
		}
	}
}

func TestRevokeByIDAndByService(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	bearer := r.token(t, "a", "iam-service", "audit:write")
	done, err := r.client.RevokeTokenID(t.Context(), "some-token", time.Time{})
	if err != nil || done.Status != iamclient.Revoked {
		t.Errorf("by id: %+v, %v", done, err)
	}
	done, err = r.client.RevokeTokenID(t.Context(), "some-token", r.Clock.Now().Add(-14*time.Hour)) // and all that it proved
	if err != nil || done.Status != iamclient.AlreadyExpired {
		t.Errorf("by the id of an expired one: %+v, %v", done, err)
	}
	done, err = r.client.RevokeService(t.Context(), "a")
	if err != nil || done.Status != iamclient.Revoked || done.Service != "a" || r.accepted(t, bearer) {
		t.Errorf("by service: %+v, %v; token accepted %t", done, err, r.accepted(t, bearer))
	}
	if _, err := r.client.RevokeService(t.Context(), "nobody"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("an unknown service: %v", err)
	}
}

// Vulnerability 22: what a token for the STS has proved may live on when the token itself has
// ended, so that is revoked too.
func TestVulnerability22ExpiredTokenForTheSTS(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	traded, other := r.token(t, "a", "sts", ""), r.token(t, "a", "parse-service", "")
	r.Clock.Advance(20 * time.Minute)
	for _, local := range []bool{false, true} {
		revoke := r.client.RevokeToken
		if local {
			revoke = r.client.RevokeTokenHere
		}
		done, err := revoke(t.Context(), countersign.NewSecret(traded))
		if err != nil || done.Status != iamclient.Revoked || done.JTI == "" {
			t.Errorf("local %t: %+v, %v", local, done, err)
		}
		done, err = revoke(t.Context(), countersign.NewSecret(other))
		if err != nil || done.Status != iamclient.AlreadyExpired {
			t.Errorf("local %t, not for the STS: %+v, %v", local, done, err)
		}
		// That it is expired does not make a forged one count.
		if _, err := revoke(t.Context(), countersign.NewSecret(traded[:len(traded)-4]+"AAAA")); !errors.Is(err, countersign.Invalid) {
			t.Errorf("local %t, forged: %v", local, err)
		}
	}
	list, err := r.Store.Revocations(t.Context(), 0, r.Clock.Now().Add(12*time.Hour-6*time.Minute), 0)
	if err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	r.Clock.Advance(12 * time.Hour)
	if done, err := r.client.RevokeToken(t.Context(), countersign.NewSecret(traded)); err != nil || done.Status != iamclient.AlreadyExpired {
		t.Errorf("half a day later: %+v, %v", done, err)
	}
}

func TestRuleA5TokensOverTheWire(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.create(t, "a")
	old := r.token(t, "a", "iam-service", "audit:write")
	_, err := r.client.DisableService(t.Context(), "a", iamclient.AnyRevision)
	must(t, err)
	if r.accepted(t, old) {
		t.Error("a disabled service's token is accepted")
	}
	_, err = r.client.EnableService(t.Context(), "a", iamclient.AnyRevision)
	must(t, err)
	r.Clock.Advance(10 * time.Second)
	if r.accepted(t, old) || !r.accepted(t, r.token(t, "a", "iam-service", "audit:write")) {
		t.Error("after enable the old token must stay dead and a new one live")
	}
	old = r.token(t, "a", "iam-service", "audit:write")
	must(t, r.client.DeleteService(t.Context(), "a", iamclient.AnyRevision))
	r.create(t, "a")
	if r.accepted(t, old) {
		t.Error("delete and create revived a token")
	}
}
