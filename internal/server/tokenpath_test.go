package server_test

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the database is read behind the server's back
)

// dump returns every row of every table as text, by table. Each table's rows are one
// text, in order of their keys.
func dump(t *testing.T, data string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "countersign.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tables := make(map[string]string)
	for _, name := range column(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
		var columns []string
		for _, c := range column(t, db, "SELECT name FROM pragma_table_info('"+name+"')") {
			columns = append(columns, `quote("`+c+`")`)
		}
		rows := column(t, db, "SELECT "+strings.Join(columns, " || '|' || ")+" FROM \""+name+"\"")
		slices.Sort(rows)
		tables[name] = strings.Join(rows, "\n")
	}
	return tables
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var values []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		values = append(values, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// For a known service the token path asks the database nothing, and writes nothing but
// audit.
func TestTokenPathReadsNothingAndWritesOnlyAudit(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "parse-service")
	first := r.token(t, "document-service", secret, "parse-service")
	if first.status != 200 {
		t.Fatalf("%d %s", first.status, first.text)
	}
	// The creation is followed up in the background: wait until nothing more is read.
	for reads, quiet := r.Reads(), 0; quiet < 20; quiet++ {
		r.token(t, "document-service", secret, "parse-service")
		if now := r.Reads(); now != reads {
			reads, quiet = now, 0
		}
	}
	before, reads := dump(t, r.data), r.Reads()

	const tokens = 100
	ids := make(map[string]bool)
	var mu sync.Mutex
	var group sync.WaitGroup
	work := make(chan struct{}, tokens)
	for range tokens {
		work <- struct{}{}
	}
	close(work)
	for range 4 {
		group.Go(func() {
			for range work {
				a := r.token(t, "document-service", secret, "parse-service")
				if a.status != 200 {
					t.Errorf("%d %s", a.status, a.text)
				}
				mu.Lock()
				ids[a.header.Get("X-Request-Id")] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	// Refusals of a known service ask nothing either.
	r.token(t, "document-service", "csk_wrong", "parse-service")
	r.token(t, "document-service", secret, "billing-service")

	if delta := r.Reads() - reads; delta != 0 {
		t.Errorf("%d reads of the database for %d tokens, want 0", delta, tokens)
	}
	after := dump(t, r.data)
	if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))) {
		t.Errorf("tables %v became %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	for table := range after {
		if changed := before[table] != after[table]; changed && table != "audit_block" && table != "audit_head" {
			t.Errorf("table %s was written:\n%s\nbefore:\n%s", table, after[table], before[table])
		}
	}
	for id := range ids {
		if !strings.Contains(after["audit_block"], id) {
			t.Errorf("token %s is not in the audit log", id)
		}
	}
	if len(ids) != tokens {
		t.Errorf("%d ids for %d tokens", len(ids), tokens)
	}
	for _, table := range []string{"service", "client_secret", "signing_key", "audit_block"} {
		if after[table] == "" {
			t.Errorf("table %s is empty: the test looks at the wrong database", table)
		}
	}
}
