package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

const (
	oursURL, idpURL = "https://sts.example.com", "https://idp.example.com"
	account         = "arn:aws:iam::111122223333:root"
	appARN          = "arn:aws:sts::111122223333:assumed-role/app"
)

// sessionKinds are the facts of one session by each kind of proof.
func sessionKinds() map[string]registry.SessionFacts {
	return map[string]registry.SessionFacts{
		"service": {AccessKeyID: "ASIAAAAAAAAAAAAAAAAA", Role: "writer", RoleUID: "uid-r", Service: "a", ServiceUID: "uid-a",
			Issuer: oursURL, Subject: "a", JTI: "jti-1", KID: "key-1", SealedBy: "seal-1"},
		"user":   {AccessKeyID: "ASIAAAAAAAAAAAAAAAAB", Role: "writer", RoleUID: "uid-r", Issuer: idpURL, Subject: "alice", SealedBy: "seal-1"},
		"aws":    {AccessKeyID: "ASIAAAAAAAAAAAAAAAAC", Role: "reader", RoleUID: "uid-q", Issuer: account, Subject: appARN, SealedBy: "seal-2"},
		"former": {AccessKeyID: "ASIAAAAAAAAAAAAAAAAD", Role: "writer", RoleUID: "uid-old", Issuer: idpURL, Subject: "bob", SealedBy: "seal-1"},
	}
}

func sessionRevoked(t *testing.T, r *registry.Registry, f registry.SessionFacts) bool {
	t.Helper()
	is, err := r.SessionRevoked(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// RULES E1, D6: every kind of revocation ends the sessions that it names, or that what it
// names has proved, on every replica, and none beside.
func TestRuleE1EveryKindOfRevocationOfSessions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rev  store.Revocation
		hits []string
	}{
		"session":             {store.Revocation{Session: "ASIAAAAAAAAAAAAAAAAB"}, []string{"user"}},
		"another session":     {store.Revocation{Session: "ASIAAAAAAAAAAAAAAAAZ"}, nil},
		"session, lower case": {store.Revocation{Session: "asiaaaaaaaaaaaaaaaab"}, nil},
		"token named so":      {store.Revocation{JTI: "ASIAAAAAAAAAAAAAAAAB"}, nil},
		"session named so":    {store.Revocation{Session: "jti-1"}, nil},
		"role":                {store.Revocation{Role: "writer"}, []string{"service", "user", "former"}},
		"role and uid":        {store.Revocation{Role: "writer", RoleUID: "uid-r"}, []string{"service", "user"}},
		"role, another uid":   {store.Revocation{Role: "writer", RoleUID: "uid-x"}, nil},
		"another role":        {store.Revocation{Role: "writer2"}, nil},
		"role as a service":   {store.Revocation{Service: "writer"}, nil},
		"service as a role":   {store.Revocation{Role: "a"}, nil},
		"service":             {store.Revocation{Service: "a"}, []string{"service"}},
		"service and uid":     {store.Revocation{Service: "a", ServiceUID: "uid-a"}, []string{"service"}},
		"service, other uid":  {store.Revocation{Service: "a", ServiceUID: "uid-b"}, nil},
		"issuer":              {store.Revocation{Issuer: idpURL}, []string{"user", "former"}},
		"our issuer":          {store.Revocation{Issuer: oursURL}, []string{"service"}},
		"account":             {store.Revocation{Issuer: account}, []string{"aws"}},
		"user":                {store.Revocation{Issuer: idpURL, Subject: "alice"}, []string{"user"}},
		"user of ours":        {store.Revocation{Issuer: oursURL, Subject: "alice"}, nil},
		"AWS identity":        {store.Revocation{Issuer: account, Subject: appARN}, []string{"aws"}},
		"its session's name":  {store.Revocation{Issuer: account, Subject: appARN + "/nightly"}, nil},
		"token":               {store.Revocation{JTI: "jti-1"}, []string{"service"}},
		"another token":       {store.Revocation{JTI: "jti-2"}, nil},
		"token's key":         {store.Revocation{KID: "key-1"}, []string{"service"}},
		"sealing key":         {store.Revocation{KID: "seal-1"}, []string{"service", "user", "former"}},
		"another key":         {store.Revocation{KID: "seal-3"}, nil},
		"all":                 {store.Revocation{All: true}, []string{"aws", "former", "service", "user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fixture.NewClock(start)
			both := replicas(t, c, 2)
			a, b := both[0], both[1]
			register(t, a.store, "a", "uid-a")
			test.rev.ExpiresAt, test.rev.CreatedAt = start.Add(12*time.Hour), start
			for kind, f := range sessionKinds() {
				if sessionRevoked(t, a.Registry, f) || sessionRevoked(t, b.Registry, f) {
					t.Fatalf("%s is revoked at first", kind)
				}
			}
			a.Revoke(put(t, a.store, test.rev))
			b.sync(t)
			for _, view := range []*registry.Registry{a.Registry, b.Registry, newRegistry(t, a.store, c, 0)} {
				for kind, f := range sessionKinds() {
					f.IssuedAt = start
					if got, want := sessionRevoked(t, view, f), slices.Contains(test.hits, kind); got != want {
						t.Errorf("%s: revoked %t, want %t", kind, got, want)
					}
				}
			}
		})
	}
}

// RULES E3: before T covers sessions minted until T + 2 s, and one that waits as long as it
// is told is alive. What one session has, its own id, has no time.
func TestRuleE3SessionsBeforeATime(t *testing.T) {
	t.Parallel()
	facts := sessionKinds()
	for name, test := range map[string]struct {
		rev   store.Revocation
		facts registry.SessionFacts
	}{
		"role":         {store.Revocation{Role: "writer", RoleUID: "uid-r"}, facts["user"]},
		"role's name":  {store.Revocation{Role: "writer"}, facts["user"]},
		"service":      {store.Revocation{Service: "a", ServiceUID: "uid-a"}, facts["service"]},
		"issuer":       {store.Revocation{Issuer: idpURL}, facts["user"]},
		"AWS identity": {store.Revocation{Issuer: account, Subject: appARN}, facts["aws"]},
		"key":          {store.Revocation{KID: "seal-2"}, facts["aws"]},
		"all":          {store.Revocation{All: true}, facts["aws"]},
	} {
		s, c := fixture.NewStore(t), fixture.NewClock(start)
		register(t, s, "a", "uid-a")
		r := newRegistry(t, s, c, 0)
		if from := r.MintSessionFrom(test.facts); !from.IsZero() {
			t.Errorf("%s: minting waits for %v before anything was revoked", name, from)
		}
		test.rev.Before, test.rev.ExpiresAt = start, start.Add(12*time.Hour)
		commit(t, s, r, test.rev)
		for after, want := range map[time.Duration]bool{-11 * time.Hour: true, 0: true, 2 * time.Second: true, 3 * time.Second: false, time.Hour: false} {
			f := test.facts
			f.IssuedAt = start.Add(after)
			if got := sessionRevoked(t, r, f); got != want {
				t.Errorf("%s, minted %v after: revoked %t, want %t", name, after, got, want)
			}
		}
		f := test.facts
		if f.IssuedAt = r.MintSessionFrom(f); !f.IssuedAt.Equal(start.Add(3*time.Second)) || sessionRevoked(t, r, f) {
			t.Errorf("%s: minting waits until %v and is born dead: %t", name, f.IssuedAt, sessionRevoked(t, r, f))
		}
		// It holds as long as the longest session lives, and then it is forgotten.
		f.IssuedAt = start
		c.Set(start.Add(12 * time.Hour))
		if !sessionRevoked(t, r, f) {
			t.Errorf("%s: forgotten after 12 hours", name)
		}
	}
	s, c := fixture.NewStore(t), fixture.NewClock(start)
	r := newRegistry(t, s, c, 0)
	commit(t, s, r, store.Revocation{Session: facts["user"].AccessKeyID, Before: start.Add(-time.Hour), ExpiresAt: start.Add(time.Hour), CreatedAt: start})
	if f := facts["user"]; !sessionRevoked(t, r, f) || !r.MintSessionFrom(f).IsZero() {
		t.Error("a session is not ended by its own id, or others wait for it")
	}
	if revocations, _ := r.Held(); revocations != 1 {
		t.Errorf("%d revocations are held", revocations)
	}
	c.Set(start.Add(2 * time.Hour))
	commit(t, s, r, store.Revocation{Session: "ASIAAAAAAAAAAAAAAAAZ", ExpiresAt: c.Now().Add(time.Hour), CreatedAt: c.Now()})
	if revocations, _ := r.Held(); revocations != 1 {
		t.Errorf("%d revocations are held after the first has ended", revocations)
	}
}

// RULES A5: disabling, deleting or re-creating a service ends its sessions, on every replica.
func TestRuleA5SessionsEndWithTheirService(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, s store.Store){
		"disabled": func(t *testing.T, s store.Store) {
			change(t, s, "a", func(service *store.Service) { service.Disabled = true })
		},
		"deleted": func(t *testing.T, s store.Store) {
			update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-a") })
		},
		"re-created": func(t *testing.T, s store.Store) {
			update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-a") })
			register(t, s, "a", "uid-a2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both := replicas(t, fixture.NewClock(start), 2)
			a, b := both[0], both[1]
			register(t, a.store, "a", "uid-a")
			facts := sessionKinds()
			for _, r := range both {
				if sessionRevoked(t, r.Registry, facts["service"]) {
					t.Fatal("revoked at first")
				}
			}
			end(t, a.store)
			a.Forget("a")
			b.sync(t)
			for _, r := range both {
				for kind, f := range facts {
					if got, want := sessionRevoked(t, r.Registry, f), kind == "service"; got != want {
						t.Errorf("%s: revoked %t, want %t", kind, got, want)
					}
				}
			}
		})
	}
}

// RULES E4: who can't tell says so, and the session is refused.
func TestRuleE4SessionsOfAStaleViewAreRefused(t *testing.T) {
	t.Parallel()
	c := fixture.NewClock(start)
	r := replicas(t, c, 1)[0]
	register(t, r.store, "a", "uid-a")
	f := sessionKinds()["user"]
	if sessionRevoked(t, r.Registry, f) {
		t.Fatal("revoked at first")
	}
	c.Advance(11 * time.Minute) // nobody polled
	if revoked, err := r.SessionRevoked(t.Context(), f); !revoked || !errors.Is(err, countersign.Unavailable) || countersign.ReasonOf(err) != countersign.ReasonStale {
		t.Errorf("revoked %t, %v; want unavailable", revoked, err)
	}
	// A service that can't be looked up.
	gone := fixture.NewStore(t)
	view := newRegistry(t, gone, fixture.NewClock(start), 0)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if revoked, err := view.SessionRevoked(t.Context(), sessionKinds()["service"]); !revoked || !errors.Is(err, countersign.Unavailable) {
		t.Errorf("revoked %t, %v; want unavailable", revoked, err)
	}
}

// The feed has all that was stored.
func TestFeedHasRolesAndSessions(t *testing.T) {
	t.Parallel()
	s := fixture.NewStore(t)
	r := newRegistry(t, s, fixture.NewClock(start), 0)
	want := []store.Revocation{
		{Session: "ASIAAAAAAAAAAAAAAAAB", ExpiresAt: start.Add(time.Hour), CreatedAt: start},
		{Role: "writer", RoleUID: "uid-r", Before: start, ExpiresAt: start.Add(time.Hour), CreatedAt: start},
		{Role: "writer", ExpiresAt: start.Add(time.Hour), CreatedAt: start},
		{Service: "a", ServiceUID: "uid-a", Before: start, ExpiresAt: start.Add(time.Hour), CreatedAt: start},
		{JTI: "jti-1", ExpiresAt: start.Add(time.Hour), CreatedAt: start},
	}
	for i := range want {
		want[i] = put(t, s, want[i])
		r.Revoke(want[i])
	}
	got, _, _ := r.RevocationsSince(0, 100)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}

// FactsOf leaves nothing out that a revocation can go by.
func TestFactsOfASession(t *testing.T) {
	t.Parallel()
	got := registry.FactsOf(session.Session{
		AccessKeyID: "k", Role: "r", RoleUID: "ru", Service: "s", ServiceUID: "su", Issuer: "i", Subject: "sub",
		TokenID: "t", KID: "kid", SealedBy: "seal", IssuedAt: start,
	})
	want := registry.SessionFacts{
		Foreign:     true,
		AccessKeyID: "k", Role: "r", RoleUID: "ru", Service: "s", ServiceUID: "su", Issuer: "i", Subject: "sub",
		JTI: "t", KID: "kid", SealedBy: "seal", IssuedAt: start,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}

// RULES E3, A5: a revocation of what was issued until a time ends the session of a proof from
// before it, also one that was made after it; of ours only where a token of ours was the proof.
func TestRuleE3RevokedProofTakesItsSessions(t *testing.T) {
	t.Parallel()
	facts := sessionKinds()
	for name, test := range map[string]struct {
		rev     store.Revocation
		kind    string
		foreign bool
		want    bool
	}{
		"user":                     {store.Revocation{Issuer: idpURL, Subject: "alice"}, "user", true, true},
		"another user":             {store.Revocation{Issuer: idpURL, Subject: "bob"}, "user", true, false},
		"issuer":                   {store.Revocation{Issuer: idpURL}, "user", true, true},
		"AWS identity":             {store.Revocation{Issuer: account, Subject: appARN}, "aws", true, true},
		"service":                  {store.Revocation{Service: "a"}, "service", false, true},
		"key":                      {store.Revocation{KID: "key-1"}, "service", false, true},
		"all":                      {store.Revocation{All: true}, "service", false, true},
		"all, of a foreign proof":  {store.Revocation{All: true}, "user", true, false},
		"service of a foreign one": {store.Revocation{Service: "a"}, "service", true, false},
		"role":                     {store.Revocation{Role: "writer"}, "user", true, false},
		"sealing key":              {store.Revocation{KID: "seal-1"}, "user", true, false},
	} {
		s, c := fixture.NewStore(t), fixture.NewClock(start)
		register(t, s, "a", "uid-a")
		r := newRegistry(t, s, c, 0)
		test.rev.Before, test.rev.ExpiresAt = start, start.Add(12*time.Hour)
		commit(t, s, r, test.rev)
		f := facts[test.kind]
		f.Foreign, f.IssuedAt = test.foreign, start.Add(time.Hour)
		if sessionRevoked(t, r, f) {
			t.Errorf("%s: a session whose proof has no time is revoked", name)
		}
		f.ProvenAt = start.Add(time.Minute)
		if sessionRevoked(t, r, f) {
			t.Errorf("%s: a session of a later proof is revoked", name)
		}
		for _, at := range []time.Time{start.Add(2 * time.Second), start.Add(-time.Hour), time.Unix(0, 0)} {
			if f.ProvenAt = at; sessionRevoked(t, r, f) != test.want {
				t.Errorf("%s: proven at %v, want revoked %t", name, at, test.want)
			}
		}
	}
}
