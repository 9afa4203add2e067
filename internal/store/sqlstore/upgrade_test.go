package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// ofSchema1 is what a server of schema 1 had stored.
var ofSchema1 = []string{
	`INSERT INTO meta (key, value) VALUES ('deployment_id', 'd1')`,
	`INSERT INTO counter (name, value) VALUES ('revocation', 7)`,
	`INSERT INTO service VALUES ('u1', 'document-service', 'acme', 'team', '["docs:read"]', '["parse-service"]', 900000000, 1, 3, 1000000, 2000000)`,
	`INSERT INTO signing_key VALUES ('k1', 'token', 'ES256', '{}', x'', 1, 1, 1, 9, 10)`,
	`INSERT INTO revocation VALUES (6, 'j1', '', '', 0, 0, 1000000)`,
	`INSERT INTO revocation VALUES (7, '', 'document-service', 'u1', 2000000, 0, 2000000)`,
	`INSERT INTO audit_block VALUES ('main', 1, 1000000, 1000000, 1, x'', x'', '{}')`,
}

// A database of every released schema is brought up to date and keeps what is in it. Of
// schema 1 there are databases of SQLite alone: PostgreSQL came with schema 2.
func TestUpgradeKeepsEverything(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations/sqlite"), goose.WithTableName("schema_version"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	raw(t, path, ofSchema1...)
	checkUpgraded(t, openStore(t, path))
}

func checkUpgraded(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	service, err := s.Service(ctx, "document-service")
	if err != nil || service.UID != "u1" || service.Tenant != "acme" || service.Owner != "team" || !service.Disabled || service.Revision != 3 ||
		service.TokenLifetime != 15*time.Minute || service.JWKS != nil || service.JWKSURI != "" || service.TokensPerMinute != 0 {
		t.Errorf("service: %+v, %v", service, err)
	}
	revoked, err := s.Revocations(ctx, 0, time.Unix(3, 0), 10)
	if err != nil || len(revoked) != 2 || revoked[0].JTI != "j1" || revoked[1].ServiceUID != "u1" || revoked[1].All || revoked[1].KID != "" {
		t.Errorf("revocations: %+v, %v", revoked, err)
	}
	if id, err := s.Meta(ctx, "deployment_id"); err != nil || id != "d1" {
		t.Errorf("deployment: %q, %v", id, err)
	}
	if keys, err := s.SigningKeys(ctx, "token"); err != nil || len(keys) != 1 {
		t.Errorf("keys: %+v, %v", keys, err)
	}
	if last, err := s.AuditTail(ctx, "main"); err != nil || last.Seq != 1 {
		t.Errorf("audit: %+v, %v", last, err)
	}
	if _, err := s.Object(ctx, "Issuer", "none"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("objects: %v", err)
	}
	if list, err := s.AccessKeys(ctx, store.AccessKeyFilter{}, store.Page{}); err != nil || len(list) != 0 {
		t.Errorf("access keys: %+v, %v", list, err)
	}
	// The numbers go on: a receiver that has seen 7 must hear of what comes next.
	err = s.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		seq, err := tx.PutRevocation(ctx, store.Revocation{KID: "k1", ExpiresAt: time.Unix(9, 0), CreatedAt: time.Unix(3, 0)})
		if err == nil && seq != 8 {
			t.Errorf("the next number is %d", seq)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
