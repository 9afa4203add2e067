package registry_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

// Every kind of revocation hits what it names, and nothing beside it.
func TestRuleE1EveryKindOfRevocation(t *testing.T) {
	t.Parallel()
	const ours, idp = "https://sts.example.com", "https://idp.example.com"
	service := registry.TokenFacts{JTI: "jti-1", KID: "key-1", Service: "a", ServiceUID: "uid-a", Issuer: ours}
	exchanged := registry.TokenFacts{JTI: "jti-2", KID: "key-2", Service: "a", ServiceUID: "uid-a", Issuer: idp, Subject: "alice"}
	foreign := registry.TokenFacts{Foreign: true, JTI: "jti-1", KID: "key-1", Issuer: idp, Subject: "alice"}
	tokens := map[string]registry.TokenFacts{"service": service, "exchanged": exchanged, "foreign": foreign}
	for name, test := range map[string]struct {
		rev  store.Revocation
		hits []string
	}{
		"token":                 {store.Revocation{JTI: "jti-1"}, []string{"service"}},
		"token of an exchange":  {store.Revocation{JTI: "jti-2"}, []string{"exchanged"}},
		"another token":         {store.Revocation{JTI: "jti-3"}, nil},
		"service":               {store.Revocation{Service: "a"}, []string{"service", "exchanged"}},
		"service and uid":       {store.Revocation{Service: "a", ServiceUID: "uid-a"}, []string{"service", "exchanged"}},
		"another uid":           {store.Revocation{Service: "a", ServiceUID: "uid-b"}, nil},
		"another service":       {store.Revocation{Service: "b"}, nil},
		"issuer":                {store.Revocation{Issuer: idp}, []string{"exchanged", "foreign"}},
		"our issuer":            {store.Revocation{Issuer: ours}, []string{"service"}},
		"issuer with a slash":   {store.Revocation{Issuer: idp + "/"}, nil},
		"user":                  {store.Revocation{Issuer: idp, Subject: "alice"}, []string{"exchanged", "foreign"}},
		"another user":          {store.Revocation{Issuer: idp, Subject: "bob"}, nil},
		"user elsewhere":        {store.Revocation{Issuer: ours, Subject: "alice"}, nil},
		"user named as service": {store.Revocation{Issuer: ours, Subject: "a"}, nil}, // RULES A3
		"key":                   {store.Revocation{KID: "key-1"}, []string{"service"}},
		"another key":           {store.Revocation{KID: "key-3"}, nil},
		"all":                   {store.Revocation{All: true}, []string{"service", "exchanged"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both := replicas(t, fixture.NewClock(start), 2)
			a, b := both[0], both[1]
			register(t, a.store, "a", "uid-a")
			test.rev.ExpiresAt, test.rev.CreatedAt = start.Add(time.Hour), start
			a.Revoke(put(t, a.store, test.rev))
			b.sync(t)
			for _, view := range []*registry.Registry{a.Registry, b.Registry, newRegistry(t, a.store, fixture.NewClock(start), 0)} {
				for kind, f := range tokens {
					want := false
					for _, hit := range test.hits {
						want = want || hit == kind
					}
					if got, err := view.Revoked(t.Context(), f); err != nil || got != want {
						t.Errorf("%s: revoked %v, %v; want %v", kind, got, err, want)
					}
				}
			}
		})
	}
}

func TestRuleE3BeforeHoldsForEveryKind(t *testing.T) {
	t.Parallel()
	const ours, idp = "https://sts.example.com", "https://idp.example.com"
	facts := registry.TokenFacts{JTI: "jti", KID: "key-1", Service: "a", ServiceUID: "uid-a", Issuer: ours}
	user := facts
	user.Issuer, user.Subject = idp, "alice"
	for name, test := range map[string]struct {
		rev   store.Revocation
		facts registry.TokenFacts
	}{
		"service":    {store.Revocation{Service: "a"}, facts},
		"our issuer": {store.Revocation{Issuer: ours}, facts},
		"issuer":     {store.Revocation{Issuer: idp}, user},
		"user":       {store.Revocation{Issuer: idp, Subject: "alice"}, user},
		"key":        {store.Revocation{KID: "key-1"}, facts},
		"all":        {store.Revocation{All: true}, facts},
	} {
		s, c := fixture.NewStore(t), fixture.NewClock(start)
		register(t, s, "a", "uid-a")
		r := newRegistry(t, s, c, 0)
		test.rev.Before, test.rev.ExpiresAt = start, start.Add(time.Hour)
		commit(t, s, r, test.rev)
		for after, want := range map[time.Duration]bool{-time.Hour: true, 0: true, 2 * time.Second: true, 3 * time.Second: false, time.Hour: false} {
			f := test.facts
			f.IssuedAt = start.Add(after)
			if got, err := r.Revoked(t.Context(), f); err != nil || got != want {
				t.Errorf("%s, iat %v: revoked %v, %v; want %v", name, after, got, err, want)
			}
		}
		// A token that is minted as early as may be is alive.
		f := test.facts
		if f.IssuedAt = r.MintFrom(f); !f.IssuedAt.Equal(start.Add(3 * time.Second)) {
			t.Errorf("%s: minting waits until %v", name, f.IssuedAt)
		}
		if revoked, err := r.Revoked(t.Context(), f); revoked || err != nil {
			t.Errorf("%s: a new token is born dead: %v", name, err)
		}
	}
}

func TestForeignTokenNeedsAnIssuer(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, fixture.NewStore(t), fixture.NewClock(start), 0)
	for _, f := range []registry.TokenFacts{
		{}, {Foreign: true}, {Foreign: true, Subject: "alice"}, {Issuer: "https://idp.example.com", Subject: "alice"},
	} {
		if revoked, err := r.Revoked(t.Context(), f); !revoked || err != nil {
			t.Errorf("%+v passes, %v", f, err)
		}
	}
}
