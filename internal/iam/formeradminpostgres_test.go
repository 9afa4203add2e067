package iam_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// RULES A7, E2: on PostgreSQL as well, with one connection to read by for each replica, those who
// write at once while their rights are taken don't wait for each other, and none writes after it.
func TestRuleA7NobodyWritesByRightsThatWereTakenOnPostgres(t *testing.T) {
	t.Parallel()
	dsn := storetest.Postgres(t).PatientDatabase(t)
	open := func() store.Store {
		s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{Readers: 1})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	o := newOffice(t, rigConfig{exposeReasons: true, on: fixture.Config{Shared: true, WrapStore: func(store.Store) store.Store { return open() }}})
	second := *o.rig
	second.Parts = &fixture.Parts{Clock: o.Clock, Keys: o.Keys, Store: open()}
	other := second.replica(t)
	_, _, err := o.admin.AddUser(t.Context(), local, o.people.url, "two", "")
	must(t, err)
	_, err = o.admin.AssignRole(t.Context(), local, admin.UserRef{ID: id(o.people, "two")}, "super-admin", admin.AnyRevision)
	must(t, err)
	const each = 6
	statuses, under := make(chan int, 4*each), make(chan struct{})
	var first sync.Once
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for k := range each {
				body := fmt.Sprintf(`{"name":"made-%d-%d"}`, i, k)
				statuses <- o.ask(t, ask{method: "POST", path: "/admin/services", body: body, bearer: o.boss}).status
				first.Do(func() { close(under) })
			}
		})
	}
	<-under
	_, err = other.RemoveRole(context.WithoutCancel(t.Context()), local, admin.UserRef{ID: id(o.people, "boss")}, "super-admin", admin.AnyRevision)
	must(t, err)
	writers.Wait()
	close(statuses)
	for status := range statuses {
		if status != 201 && status != 403 {
			t.Errorf("status %d", status)
		}
	}
	o.as(t, o.boss, "POST", "/admin/services", `{"name":"made-later"}`).want(t, 403, string(countersign.ReasonNotAdministrator))
	changes, err := o.Store.Changes(t.Context(), 0, store.MaxLimit)
	must(t, err)
	made, removed := 0, false
	for _, c := range changes { // in the order of the commits
		switch {
		case c.Kind == "User" && c.Name == id(o.people, "boss"):
			removed = made > 0
		case c.Kind == "Service" && strings.HasPrefix(c.Name, "made-"):
			made++
			if removed {
				t.Errorf("%s was made after the removal", c.Name)
			}
		}
	}
	if made == 0 || !removed {
		t.Errorf("%d were made before, removed: %t", made, removed)
	}
}
