package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// copied is a dump in memory: a sink, and a source of what it took.
type copied struct {
	schema int64
	tables []string
	heads  map[string][]string
	rows   map[string][][]any
}

func dump(t *testing.T, from store.Dumper) *copied {
	t.Helper()
	c := &copied{heads: map[string][]string{}, rows: map[string][][]any{}}
	err := from.Dump(t.Context(), func(schema int64) (store.DumpSink, error) { c.schema = schema; return c, nil })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *copied) Table(name string, columns []string) error {
	c.tables = append(c.tables, name)
	c.heads[name] = slices.Clone(columns)
	return nil
}

func (c *copied) Row(values []any) error {
	name := c.tables[len(c.tables)-1]
	c.rows[name] = append(c.rows[name], slices.Clone(values))
	return nil
}

func (c *copied) source(_ context.Context, sink store.DumpSink) error {
	for _, name := range c.tables {
		if err := sink.Table(name, c.heads[name]); err != nil {
			return err
		}
		for _, row := range c.rows[name] {
			if err := sink.Row(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// text is the rows by table, in an order of their own.
func (c *copied) text() map[string][]string {
	out := map[string][]string{}
	for name, rows := range c.rows {
		for _, row := range rows {
			var cells []string
			for i, value := range row {
				cells = append(cells, fmt.Sprintf("%s=%T:%v", c.heads[name][i], value, value))
			}
			slices.Sort(cells)
			out[name] = append(out[name], strings.Join(cells, " "))
		}
		slices.Sort(out[name])
	}
	return out
}

// fillAll puts something into every table that a server writes.
func fillAll(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	_, err := s.SetMetaIfAbsent(t.Context(), "deployment_id", "d1")
	must(t, err)
	must(t, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		var errs []error
		for i := range 250 { // more than one statement takes
			service := store.Service{UID: fmt.Sprint("u", i), Name: fmt.Sprint("s", i), Scopes: []string{`docs:"read"`}, Audiences: []string{"é\n"}, Revision: 1, CreatedAt: at, UpdatedAt: at}
			errs = append(errs, tx.CreateService(ctx, service))
			errs = append(errs, tx.PutClientSecret(ctx, store.ClientSecret{ID: fmt.Sprint("c", i), ServiceUID: service.UID, Hash: []byte{0, 255, 10, byte(i)}, CreatedAt: at}))
		}
		errs = append(errs,
			tx.CreateSigningKey(ctx, store.SigningKey{KID: "k1", Purpose: "token", Algorithm: "ES256", Public: []byte("{}"), Sealed: []byte{1, 0, 2}, CreatedAt: at, PublishAt: at, UseFrom: at}),
			tx.CreateObject(ctx, store.Object{UID: "o1", Kind: "Role", Name: "writer", Spec: []byte(`{"a":"<b>"}`), Revision: 1, CreatedAt: at, UpdatedAt: at}),
			tx.CreateUser(ctx, store.User{ID: "i1", UID: "uu1", Issuer: "https://idp", Subject: "ada", Roles: []string{"member"}, Revision: 1, CreatedAt: at, UpdatedAt: at}),
			tx.CreateAccessKey(ctx, store.AccessKey{UID: "a1", ID: "AKIA1", Name: "uploader", Service: "s1", ServiceUID: "u1", Role: "writer", RoleUID: "o1", Sealed: []byte{0, 9}, CreatedAt: at, ExpiresAt: at}),
			tx.PutLoginCode(ctx, store.LoginCode{Hash: []byte{0, 1}, CreatedBy: "local:1", CreatedAt: at, ExpiresAt: at.Add(time.Hour)}),
			tx.CreateLogin(ctx, store.Login{ID: "l1", Public: []byte{2, 0}, CreatedBy: "local:1", CreatedAt: at, ExpiresAt: at.Add(time.Hour)}),
			tx.AppendAuditBlock(ctx, store.AuditBlock{Replica: "main", Seq: 1, First: at, Last: at, Count: 1, Prev: make([]byte, 32), Hash: []byte("hash"), Events: []byte("{\"a\":1}\n")}),
			tx.PutAuditHead(ctx, store.AuditHead{Replica: "main", Seq: 1, Hash: []byte("hash"), At: at, KID: "k1", Signature: []byte{9}}),
		)
		_, err := tx.PutRevocation(ctx, store.Revocation{JTI: "j1", CreatedAt: at})
		return errors.Join(append(errs, err)...)
	}))
	_, err = s.UseOnce(t.Context(), "proof", time.Now().Add(time.Hour), time.Now())
	must(t, err)
	_, err = s.LeaseQuota(t.Context(), "u1", at, 5, 10)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func nothing(context.Context, store.Tx) error { return nil }

// What one database has the other one has after it, whichever they are.
func TestDumpAndRestoreAcrossDatabases(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"sqlite", "postgres"} {
		for _, to := range []string{"sqlite", "postgres"} {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				var source *sqlstore.Store
				if from == "sqlite" {
					source = openStore(t, filepath.Join(t.TempDir(), "from.db"))
				} else {
					source = openPostgres(t, storetest.Postgres(t).NewDatabase(t))
				}
				fillAll(t, source)
				original := dump(t, source)
				for _, table := range original.tables {
					if len(original.rows[table]) == 0 {
						t.Errorf("table %s is not tested: it is empty", table)
					}
				}
				restore := sqlstore.Restore{Schema: original.schema, Source: original.source, Finish: nothing}
				var restored *sqlstore.Store
				if to == "sqlite" {
					path := filepath.Join(t.TempDir(), "to.db")
					must(t, sqlstore.RestoreSQLite(t.Context(), path, restore))
					restored = openStore(t, path)
				} else {
					dsn := storetest.Postgres(t).NewDatabase(t)
					must(t, sqlstore.RestorePostgres(t.Context(), dsn, sqlstore.PostgresOptions{}, restore))
					restored = openPostgres(t, dsn)
				}
				if diff := cmp.Diff(original.text(), dump(t, restored).text()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// A table that is made by a migration and not in the list would be missing in backups.
func TestDumpHasEveryTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "countersign.db")
	must(t, openStore(t, path).Close())
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ?`, sqlstore.SchemaTable)
	must(t, err)
	defer rows.Close()
	var have []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		have = append(have, name)
	}
	must(t, rows.Err())
	slices.Sort(have)
	if diff := cmp.Diff(slices.Sorted(slices.Values(sqlstore.Tables())), have); diff != "" {
		t.Errorf("the list of tables in tables.go is not that of the schema (-list +schema):\n%s", diff)
	}
}

// Every row is of one moment, whatever others write meanwhile.
func TestDumpIsOfOneMoment(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *sqlstore.Store
			if name == "sqlite" {
				s = openStore(t, filepath.Join(t.TempDir(), "from.db"))
			} else {
				s = openPostgres(t, storetest.Postgres(t).NewDatabase(t))
			}
			fillAll(t, s)
			c := &copied{heads: map[string][]string{}, rows: map[string][][]any{}}
			err := s.Dump(t.Context(), func(int64) (store.DumpSink, error) {
				// The transaction has begun: what comes now is not in it.
				return c, s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					return errors.Join(tx.DeleteService(ctx, "u1"), tx.SetMeta(ctx, "late", "yes"))
				})
			})
			must(t, err)
			if len(c.rows["service"]) != 250 || len(c.rows["client_secret"]) != 250 || len(c.rows["meta"]) != 1 {
				t.Errorf("%d services, %d secrets, %d settings", len(c.rows["service"]), len(c.rows["client_secret"]), len(c.rows["meta"]))
			}
		})
	}
}

// A database of an older schema is filled as that and then brought up to date.
func TestRestoreOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	old := &copied{tables: []string{"meta", "service"}, heads: map[string][]string{
		"meta":    {"key", "value"},
		"service": {"uid", "name", "tenant", "owner", "scopes", "audiences", "token_lifetime", "disabled", "revision", "created_at", "updated_at"},
	}, rows: map[string][][]any{
		"meta":    {{"deployment_id", "d1"}},
		"service": {{"u1", "s1", "", "", "[]", "[]", int64(0), int64(0), int64(1), int64(1), int64(1)}},
	}}
	path := filepath.Join(t.TempDir(), "to.db")
	must(t, sqlstore.RestoreSQLite(t.Context(), path, sqlstore.Restore{Schema: 1, Source: old.source, Finish: nothing}))
	s, err := openStore(t, path).Service(t.Context(), "s1")
	if err != nil || s.UID != "u1" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	meta := map[string][]string{"meta": {"key", "value"}}
	row := map[string][][]any{"meta": {{"a", "b"}}}
	for name, r := range map[string]sqlstore.Restore{
		"an unknown table":  {Schema: 2, Source: (&copied{tables: []string{"users"}, heads: map[string][]string{"users": {"a"}}}).source},
		"tables twice":      {Schema: 2, Source: (&copied{tables: []string{"meta", "meta"}, heads: meta}).source},
		"an unknown column": {Schema: 2, Source: (&copied{tables: []string{"meta"}, heads: map[string][]string{"meta": {"key", "value) --"}}}).source},
		"a column twice":    {Schema: 2, Source: (&copied{tables: []string{"meta"}, heads: map[string][]string{"meta": {"key", "key"}}}).source},
		"a short row":       {Schema: 2, Source: (&copied{tables: []string{"meta"}, heads: meta, rows: map[string][][]any{"meta": {{"a"}}}}).source},
		"a newer schema":    {Schema: 9999, Source: (&copied{tables: []string{"meta"}, heads: meta, rows: row}).source},
		"no schema":         {Schema: 0, Source: (&copied{tables: []string{"meta"}, heads: meta, rows: row}).source},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.Finish = nothing
			if err := sqlstore.RestoreSQLite(t.Context(), filepath.Join(t.TempDir(), "to.db"), r); !errors.Is(err, countersign.Invalid) {
				t.Errorf("got %v, want Invalid", err)
			}
		})
	}
}

// A database that is in use is not overwritten by mistake, and one in which a server works
// not at all. One whose restore broke off can be tried again.
func TestRestoreIntoAPostgresInUse(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).NewDatabase(t)
	used := openPostgres(t, dsn)
	fillAll(t, used)
	original := dump(t, used)
	restore := func(force bool, finish func(context.Context, store.Tx) error) error {
		return sqlstore.RestorePostgres(t.Context(), dsn, sqlstore.PostgresOptions{},
			sqlstore.Restore{Schema: original.schema, Source: original.source, Finish: finish, Force: force})
	}
	if err := restore(true, nothing); !errors.Is(err, countersign.Conflict) {
		t.Errorf("while a server is connected: %v", err)
	}
	must(t, used.Close())
	if err := restore(false, nothing); !errors.Is(err, countersign.Conflict) {
		t.Errorf("a database that is in use: %v", err)
	}
	broken := errors.New("broke off")
	if err := restore(true, func(context.Context, store.Tx) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	s := openPostgres(t, dsn)
	if value, err := s.Meta(t.Context(), sqlstore.MetaUnfinished); err != nil || value == "" {
		t.Errorf("what broke off is not marked: %q, %v", value, err)
	}
	must(t, s.Close())
	must(t, restore(false, nothing))
	s = openPostgres(t, dsn)
	if _, err := s.Meta(t.Context(), sqlstore.MetaUnfinished); !errors.Is(err, countersign.NotFound) {
		t.Errorf("what is finished is marked: %v", err)
	}
	if diff := cmp.Diff(original.text(), dump(t, s).text()); diff != "" {
		t.Error(diff)
	}
}
