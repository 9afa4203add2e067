package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func aService(name string) store.Service {
	return store.Service{
		UID: "uid-" + name, Name: name, Tenant: "acme", Owner: "pipeline",
		Scopes: []string{"docs:read", "s2s:internal"}, Audiences: []string{"iam-service", "parse-service"},
		TokenLifetime: 15 * time.Minute, Trust: []byte(`[{"oidc":{}}]`), SharedWith: []string{"beta", "gamma"}, Revision: 1, CreatedAt: at(0), UpdatedAt: at(1),
	}
}

func create(t *testing.T, s store.Store, services ...store.Service) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, service := range services {
			if err := tx.CreateService(ctx, service); err != nil {
				return err
			}
		}
		return nil
	})
}

func serviceCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"RoundTrip":             serviceRoundTrip,
		"Missing":               serviceMissing,
		"NameIsUnique":          serviceNameIsUnique,
		"CreateRefuses":         serviceCreateRefuses,
		"OptimisticLock":        serviceOptimisticLock,
		"Delete":                serviceDelete,
		"Paging":                servicePaging,
		"TextIsOnlyText":        serviceTextIsOnlyText,
		"TxReadsItsOwnWrites":   serviceTxReadsItsOwnWrites,
		"ReadsCountsSelects":    serviceReadsCountsSelects,
		"CreateIgnoresRevision": serviceCreateIgnoresRevision,
	}
}

func serviceRoundTrip(t *testing.T, s store.Store) {
	full := aService("document-service")
	full.Disabled = true
	bare := store.Service{UID: "uid-bare", Name: "bare", Revision: 1}
	create(t, s, full, bare)
	same(t, must[store.Service](t)(s.Service(t.Context(), full.Name)), full)
	same(t, must[store.Service](t)(s.Service(t.Context(), bare.Name)), bare)

	// Times are UTC with microseconds; what is finer is cut.
	fine := aService("fine")
	fine.CreatedAt = at(0).Add(999).In(time.FixedZone("elsewhere", 3600))
	create(t, s, fine)
	got := must[store.Service](t)(s.Service(t.Context(), "fine"))
	same(t, got.CreatedAt, at(0))
	if got.CreatedAt.Location() != time.UTC {
		t.Fatalf("location %v, want UTC", got.CreatedAt.Location())
	}
}

func serviceMissing(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, err := s.Service(ctx, "nobody")
	want(t, err, countersign.NotFound)
	err = s.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.UpdateService(ctx, aService("nobody")) })
	want(t, err, countersign.NotFound)
	err = s.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteService(ctx, "uid-nobody") })
	want(t, err, countersign.NotFound)
	same(t, len(must[[]store.Service](t)(s.Services(ctx, store.Page{}))), 0)
}

func serviceNameIsUnique(t *testing.T, s store.Store) {
	create(t, s, aService("document-service"))
	tests := map[string]store.Service{
		"same name, other tenant": {UID: "uid-2", Name: "document-service", Tenant: "other"},
		"same uid":                {UID: "uid-document-service", Name: "other-service"},
	}
	for name, service := range tests {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateService(ctx, service) })
		if countersign.CodeOf(err) != countersign.Conflict {
			t.Errorf("%s: %v, want Conflict", name, err)
		}
	}
	same(t, must[store.Service](t)(s.Service(t.Context(), "document-service")), aService("document-service"))
}

func serviceCreateRefuses(t *testing.T, s store.Store) {
	for _, service := range []store.Service{{}, {UID: "uid"}, {Name: "name"}} {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateService(ctx, service) })
		want(t, err, countersign.Invalid)
	}
}

func serviceCreateIgnoresRevision(t *testing.T, s store.Store) {
	service := aService("document-service")
	service.Revision = 41
	create(t, s, service)
	same(t, must[store.Service](t)(s.Service(t.Context(), service.Name)).Revision, int64(1))
}

func serviceOptimisticLock(t *testing.T, s store.Store) {
	create(t, s, aService("document-service"))
	write := func(change func(*store.Service)) error {
		service := aService("document-service")
		service.Revision = 2
		change(&service)
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateService(ctx, service) })
	}
	want(t, write(func(s *store.Service) { s.Revision = 1 }), countersign.Conflict)
	want(t, write(func(s *store.Service) { s.Revision = 3 }), countersign.Conflict)
	want(t, write(func(s *store.Service) { s.Name = "renamed" }), countersign.Conflict)
	want(t, write(func(s *store.Service) { s.UID = "uid-of-a-former-one" }), countersign.NotFound)
	same(t, must[store.Service](t)(s.Service(t.Context(), "document-service")), aService("document-service"))

	changed := aService("document-service")
	changed.Revision, changed.Disabled, changed.Scopes, changed.Audiences = 2, true, nil, []string{"sts"}
	changed.Tenant, changed.Owner, changed.TokenLifetime, changed.UpdatedAt = "", "other", time.Hour, at(9)
	want(t, write(func(s *store.Service) { *s = changed; s.CreatedAt = at(99) }), "")
	same(t, must[store.Service](t)(s.Service(t.Context(), "document-service")), changed) // created_at stays
	want(t, write(func(*store.Service) {}), countersign.Conflict)                        // a second writer with the same base
}

func serviceDelete(t *testing.T, s store.Store) {
	create(t, s, aService("document-service"), aService("parse-service"))
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for _, name := range []string{"document-service", "parse-service"} {
			if err := tx.PutClientSecret(ctx, aSecret("secret-"+name, "uid-"+name, 0)); err != nil {
				return err
			}
		}
		return tx.DeleteService(ctx, "uid-document-service")
	})
	_, err := s.Service(t.Context(), "document-service")
	want(t, err, countersign.NotFound)
	same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-document-service"))), 0)
	same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-parse-service"))), 1)

	// The name is free again, for a service with another uid and none of the secrets.
	again := aService("document-service")
	again.UID = "uid-2"
	create(t, s, again)
	same(t, must[store.Service](t)(s.Service(t.Context(), "document-service")), again)
	same(t, len(must[[]store.ClientSecret](t)(s.ClientSecrets(t.Context(), "uid-2"))), 0)
}

func servicePaging(t *testing.T, s store.Store) {
	var all []string
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range 205 {
			name := fmt.Sprintf("service-%03d", 204-i)
			if err := tx.CreateService(ctx, aService(name)); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 205 {
		all = append(all, fmt.Sprintf("service-%03d", i))
	}
	for _, test := range []struct {
		page       store.Page
		from, till int
	}{
		{store.Page{}, 0, 100},
		{store.Page{Limit: 1}, 0, 1},
		{store.Page{Limit: store.MaxLimit}, 0, 205},
		{store.Page{After: "service-099"}, 100, 200},
		{store.Page{After: "service-199"}, 200, 205},
		{store.Page{After: "service-204"}, 205, 205},
		{store.Page{After: "service-0995", Limit: 2}, 100, 102}, // a name that is not there
	} {
		var names []string
		for _, service := range must[[]store.Service](t)(s.Services(t.Context(), test.page)) {
			names = append(names, service.Name)
		}
		same(t, names, append([]string(nil), all[test.from:test.till]...))
	}
	for _, n := range []int{-1, store.MaxLimit + 1} {
		_, err := s.Services(t.Context(), store.Page{Limit: n})
		want(t, err, countersign.Invalid)
	}
}

// CVE-2026-33504 and its kind: a value never becomes SQL.
func serviceTextIsOnlyText(t *testing.T, s store.Store) {
	evil := `x' OR '1'='1"; DROP TABLE service; -- $1 ?1 %00 \ ` + "\n\t\u2028é"
	service := aService("document-service")
	service.Tenant, service.Owner, service.Scopes = evil, evil, []string{evil, "", `["`}
	create(t, s, service)
	same(t, must[store.Service](t)(s.Service(t.Context(), "document-service")), service)
	_, err := s.Service(t.Context(), evil)
	want(t, err, countersign.NotFound)
	same(t, len(must[[]store.Service](t)(s.Services(t.Context(), store.Page{After: "a' OR name > '"}))), 1)
}

func serviceTxReadsItsOwnWrites(t *testing.T, s store.Store) {
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateService(ctx, aService("document-service")); err != nil {
			return err
		}
		same(t, must[store.Service](t)(tx.Service(ctx, "document-service")), aService("document-service"))
		same(t, len(must[[]store.Service](t)(tx.Services(ctx, store.Page{}))), 1)
		if err := tx.PutClientSecret(ctx, aSecret("s1", "uid-document-service", 0)); err != nil {
			return err
		}
		same(t, len(must[[]store.ClientSecret](t)(tx.ClientSecrets(ctx, "uid-document-service"))), 1)
		// Nobody else sees it yet.
		_, err := s.Service(ctx, "document-service")
		want(t, err, countersign.NotFound)
		return nil
	})
}

func serviceReadsCountsSelects(t *testing.T, s store.Store) {
	create(t, s, aService("document-service"))
	before := s.Reads()
	_, _ = s.Service(t.Context(), "document-service")
	_, _ = s.Service(t.Context(), "nobody")
	same(t, s.Reads()-before, int64(2))
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ClientSecrets(ctx, "uid-document-service")
		return err
	})
	same(t, s.Reads()-before, int64(3))
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.AppendAuditBlock(ctx, aBlock("r", 1, 0)) })
	same(t, s.Reads()-before, int64(3)) // a write is no read
}
