package admin_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

const idp = "https://idp.example.com"

// sessions are those that a test mints and looks at.
type sessions struct {
	*rig
	sealer  *session.Sealer
	service admin.ServiceDetail
	role    string // its uid
}

func newSessions(t *testing.T, r *rig) *sessions {
	t.Helper()
	s := &sessions{rig: r, sealer: session.New(session.Config{Keys: r.Keys, DeploymentID: "test", Now: r.Clock.Now})}
	s.service, _ = r.create(t, "a")
	s.role = s.createRole(t, "uid-role")
	return s
}

func (s *sessions) createRole(t *testing.T, uid string) string {
	t.Helper()
	must(t, s.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateObject(ctx, store.Object{UID: uid, Kind: resource.KindRole, Name: "writer", Spec: []byte("{}"), Revision: 1, CreatedAt: s.Clock.Now(), UpdatedAt: s.Clock.Now()})
	}))
	return uid
}

// mint makes a session of 12 hours: of the service, or of a user.
func (s *sessions) mint(t *testing.T, of string) session.Credentials {
	t.Helper()
	in := session.Session{
		Role: "writer", RoleUID: s.role, Name: "nightly", Kind: session.OIDC, Issuer: idp, Subject: "alice", IssuerUID: "uid-i",
		Fingerprint: "f", IssuedAt: s.Clock.Now(), ExpiresAt: s.Clock.Now().Add(session.MaxDuration),
	}
	if of == "service" {
		in.Kind, in.Issuer, in.Subject, in.IssuerUID = session.Service, "https://sts.example.com", "a", ""
		in.Service, in.ServiceUID, in.TokenID, in.KID = "a", s.service.UID, "token-1", s.tokenKey(t)
	}
	c, _, err := s.sealer.Mint(in)
	must(t, err)
	return c
}

// good reports whether a session would be accepted, by a view of the registry.
func (s *sessions) good(t *testing.T, view *registry.Registry, c session.Credentials) bool {
	t.Helper()
	opened, _, err := s.sealer.Open(c.AccessKeyID, c.SessionToken)
	if errors.Is(err, countersign.BadToken) {
		return false
	}
	must(t, err)
	revoked, err := view.SessionRevoked(t.Context(), registry.FactsOf(opened))
	must(t, err)
	return !revoked
}

// Vulnerability 22: revoking says yes and the credentials go on. RULES E1: after each kind of
// revocation the sessions that it is about are dead at once, after a restart too, until
// the last of them would have ended; others live.
func TestVulnerability22SessionsEndWithEveryRevocation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		revoke        func(ctx context.Context, s *sessions, user session.Credentials) error
		service, user bool // which ends
	}{
		"session": {func(ctx context.Context, s *sessions, user session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Session: user.AccessKeyID})
		}, false, true},
		"role": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Role: "writer"})
		}, true, true},
		"role before": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Role: "writer", Before: s.Clock.Now().Add(-time.Hour)})
		}, false, false},
		"subject": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Issuer: idp, Subject: "alice"})
		}, false, true},
		"another subject": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Issuer: idp, Subject: "bob"})
		}, false, false},
		"issuer": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Issuer: idp})
		}, false, true},
		"our issuer": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{Issuer: "https://sts.example.com"})
		}, true, false},
		"all": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.Revoke(ctx, super(), admin.RevokeSelector{All: true})
		}, true, true},
		"service": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.RevokeService(ctx, super(), "a")
		}, true, false},
		"service before": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.RevokeServiceBefore(ctx, super(), "a", s.Clock.Now().Add(-time.Hour))
		}, false, false},
		"token": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.RevokeToken(ctx, super(), admin.Token{ID: "token-1", ExpiresAt: s.Clock.Now().Add(time.Minute)})
		}, true, false},
		"expired token": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			return s.RevokeToken(ctx, super(), admin.Token{ID: "token-1", ExpiresAt: s.Clock.Now().Add(-time.Second)}) // right after it was traded
		}, true, false},
		"token's key": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			signer, err := s.Keys.Signer(keys.Token)
			if err != nil {
				return err
			}
			_, err = s.CompromiseKey(ctx, super(), signer.KID)
			return err
		}, true, false},
		"sealing key": {func(ctx context.Context, s *sessions, _ session.Credentials) error {
			kid, _, err := s.Keys.CurrentSealingKey()
			if err != nil {
				return err
			}
			_, err = s.CompromiseKey(ctx, super(), kid)
			return err
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessions(t, newRig(t))
			service, user := s.mint(t, "service"), s.mint(t, "user")
			if !s.good(t, s.Registry, service) || !s.good(t, s.Registry, user) {
				t.Fatal("revoked at first")
			}
			must(t, test.revoke(t.Context(), s, user))
			for _, after := range []time.Duration{0, time.Minute, session.MaxDuration - 2*time.Minute} {
				s.Clock.Advance(after)
				for where, view := range map[string]*registry.Registry{"here": s.Registry, "after a restart": reopen(t, s.rig)} {
					if got := s.good(t, view, service); got == test.service {
						t.Errorf("%s, %v on: the service's session is good: %t", where, after, got)
					}
					if got := s.good(t, view, user); got == test.user {
						t.Errorf("%s, %v on: the user's session is good: %t", where, after, got)
					}
				}
			}
		})
	}
}

// Vulnerability 23: credentials that outlive their service. RULES A5: what a disable or a
// delete has ended stays so when the service is enabled or created again, for all of the
// twelve hours.
func TestVulnerability23SessionsStayDead(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, s *sessions, disable func(bool)){
		"disable": func(_ *testing.T, _ *sessions, disable func(bool)) { disable(true) },
		"disable, enable": func(_ *testing.T, s *sessions, disable func(bool)) {
			disable(true)
			s.Clock.Advance(time.Minute)
			disable(false)
		},
		"delete": func(t *testing.T, s *sessions, _ func(bool)) {
			must(t, s.DeleteService(t.Context(), super(), "a", admin.AnyRevision))
		},
		"delete, create": func(t *testing.T, s *sessions, _ func(bool)) {
			must(t, s.DeleteService(t.Context(), super(), "a", admin.AnyRevision))
			s.create(t, "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessions(t, newRig(t))
			service, user := s.mint(t, "service"), s.mint(t, "user")
			end(t, s, func(disabled bool) {
				_, err := s.SetServiceDisabled(t.Context(), super(), "a", admin.AnyRevision, disabled)
				must(t, err)
			})
			for range 3 {
				if s.good(t, s.Registry, service) || s.good(t, reopen(t, s.rig), service) {
					t.Errorf("at %s the session of the service is good", s.Clock.Now())
				}
				if !s.good(t, s.Registry, user) {
					t.Error("another session ended too")
				}
				s.Clock.Advance(3*time.Hour + 50*time.Minute)
			}
		})
	}
}

// Vulnerability 24: credentials that are bound to nobody. The token of one session is no good
// with the access key id of another, be it of the same role and user.
func TestVulnerability24SessionOfAnother(t *testing.T) {
	t.Parallel()
	s := newSessions(t, newRig(t))
	mine, theirs := s.mint(t, "user"), s.mint(t, "service")
	for _, pair := range [][2]session.Credentials{{mine, theirs}, {theirs, mine}, {mine, s.mint(t, "user")}} {
		if _, secret, err := s.sealer.Open(pair[0].AccessKeyID, pair[1].SessionToken); !errors.Is(err, countersign.BadToken) || !secret.IsZero() {
			t.Errorf("it opens: %v", err)
		}
	}
}

func TestRevokeOfRolesAndSessions(t *testing.T) {
	t.Parallel()
	s := newSessions(t, newRig(t))
	start := s.Clock.Now()
	const id = "ASIAQZ3R5T7B2X4W6Y2A"
	must(t, s.Revoke(t.Context(), super(), admin.RevokeSelector{Role: "writer"}))
	must(t, s.Revoke(t.Context(), super(), admin.RevokeSelector{Session: id}))
	stored, err := s.Store.Revocations(t.Context(), 0, start, 0)
	must(t, err)
	ends := start.Add(session.MaxDuration + admin.RevocationSlack)
	if len(stored) != 2 || stored[0].RoleUID != "uid-role" || !stored[0].Before.Equal(start) || stored[1].Session != id ||
		!stored[1].Before.IsZero() || !stored[0].ExpiresAt.Equal(ends) || !stored[1].ExpiresAt.Equal(ends) {
		t.Errorf("stored %+v", stored)
	}
	events := s.Events(t, audit.Query{Action: "revoke", Decision: audit.Changed})
	if len(events) != 2 || events[0].Role != "writer" || events[1].Session != id {
		t.Errorf("events %+v", events)
	}
	for name, test := range map[string]struct {
		selector admin.RevokeSelector
		code     countersign.Code
	}{
		"unknown role":     {admin.RevokeSelector{Role: "reader"}, countersign.NotFound},
		"no role's name":   {admin.RevokeSelector{Role: "A B"}, countersign.NotFound},
		"a service's":      {admin.RevokeSelector{Role: "a"}, countersign.NotFound},
		"role later":       {admin.RevokeSelector{Role: "writer", Before: start.Add(time.Minute)}, countersign.Invalid},
		"role and session": {admin.RevokeSelector{Role: "writer", Session: id}, countersign.Invalid},
		"role and subject": {admin.RevokeSelector{Role: "writer", Subject: "alice"}, countersign.Invalid},
		"session and all":  {admin.RevokeSelector{Session: id, All: true}, countersign.Invalid},
		"session before":   {admin.RevokeSelector{Session: id, Before: start}, countersign.Invalid},
		"long-lived key":   {admin.RevokeSelector{Session: "AKIA" + id[4:]}, countersign.NotFound},
		"short":            {admin.RevokeSelector{Session: id[:19]}, countersign.Invalid},
		"lower case":       {admin.RevokeSelector{Session: "asia" + id[4:]}, countersign.Invalid},
		"a line break":     {admin.RevokeSelector{Session: id[:19] + "\n"}, countersign.Invalid},
	} {
		if err := s.Revoke(t.Context(), super(), test.selector); !errors.Is(err, test.code) {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
	wantRefused(t, s.Revoke(t.Context(), nobody(), admin.RevokeSelector{Session: id}), countersign.Denied, countersign.ReasonNotAdministrator)
	if n := revocations(t, s.rig); n != 2 {
		t.Errorf("%d revocations are stored", n)
	}
}

// RULES E4: revoke session and revoke role --local hold in an outage, over a restart, and are
// stored later.
func TestRuleE4RevokeSessionsLocallyInAnOutage(t *testing.T) {
	t.Parallel()
	for name, selector := range map[string]func(session.Credentials) admin.HereSelector{
		"session": func(c session.Credentials) admin.HereSelector {
			return admin.HereSelector{RevokeSelector: admin.RevokeSelector{Session: c.AccessKeyID}}
		},
		"role": func(session.Credentials) admin.HereSelector {
			return admin.HereSelector{RevokeSelector: admin.RevokeSelector{Role: "writer"}}
		},
		"token":   func(session.Credentials) admin.HereSelector { return admin.HereSelector{JTI: "token-1"} },
		"service": func(session.Credentials) admin.HereSelector { return admin.HereSelector{Service: "a"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutOff(t)
			s := newSessions(t, c.rig)
			credentials := s.mint(t, "service")
			if !s.good(t, c.Registry, credentials) {
				t.Fatal("revoked at first")
			}
			c.mode.Store(lost)
			stored, err := c.RevokeHere(t.Context(), super(), selector(credentials))
			if err != nil || stored || s.good(t, c.Registry, credentials) {
				t.Fatalf("stored %t, %v; good %t", stored, err, s.good(t, c.Registry, credentials))
			}
			again := reopen(t, c.rig)
			restarted := c.open(t, again)
			if s.good(t, again, credentials) {
				t.Error("a restart forgot it")
			}
			c.mode.Store(healthy)
			for c.Audit.Degraded() { // until its own probe finds the store again
				runtime.Gosched()
			}
			must(t, restarted.Settle(t.Context()))
			if _, err := os.Stat(c.pending); !errors.Is(err, os.ErrNotExist) || revocations(t, c.rig) != 1 {
				t.Errorf("%d revocations in the store; the file: %v", revocations(t, c.rig), err)
			}
			s.Clock.Advance(session.MaxDuration - time.Minute)
			if s.good(t, reopen(t, c.rig), credentials) {
				t.Error("it was forgotten before its end")
			}
		})
	}
}

// RULES B6: a compromised key of sessions, or of the broker, is in the feed; the broker's is
// made when it is asked for.
func TestRuleB6CompromisedSealingAndBrokerKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if n := len(r.Events(t, audit.Query{Action: "key.create"})); n != 0 {
		t.Fatalf("%d keys were made", n)
	}
	broker, err := r.BrokerSigner(t.Context())
	must(t, err)
	again, err := r.BrokerSigner(t.Context())
	if err != nil || again.KID != broker.KID || len(r.Events(t, audit.Query{Action: "key.create"})) != 2 {
		t.Fatalf("asked again: %v", err)
	}
	sealing, _, err := r.Keys.CurrentSealingKey()
	must(t, err)
	for _, kid := range []string{sealing, broker.KID} {
		_, err := r.CompromiseKey(t.Context(), super(), kid)
		must(t, err)
	}
	list, err := r.Store.Revocations(t.Context(), 0, r.Clock.Now(), 0)
	must(t, err)
	if len(list) != 2 || list[0].KID != sealing || list[1].KID != broker.KID || !list[0].Before.IsZero() ||
		list[0].ExpiresAt.Before(r.Clock.Now().Add(session.MaxDuration)) {
		t.Errorf("revocations: %+v", list)
	}
	next, err := r.BrokerSigner(t.Context())
	if err != nil || next.KID == broker.KID {
		t.Errorf("after the compromise %v, %v", next, err)
	}
	for _, purpose := range []string{"session", "broker"} {
		if made, err := r.RotateKeys(t.Context(), super(), purpose); err != nil || len(made) == 0 {
			t.Errorf("rotate %s: %d keys, %v", purpose, len(made), err)
		}
	}
}
