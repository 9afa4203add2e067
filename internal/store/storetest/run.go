package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// Open makes a new and empty database and returns what opens it: each call gives
// another store on the same database, as another process has it, and closes it by
// t.Cleanup.
type Open func(t *testing.T) (again func() store.Store)

// cases are tests by name, each with a database of its own.
type cases map[string]func(t *testing.T, open func() store.Store)

// alone are tests that need one store.
func alone(tests map[string]func(*testing.T, store.Store)) cases {
	all := make(cases)
	for name, run := range tests {
		all[name] = func(t *testing.T, open func() store.Store) {
			t.Helper()
			run(t, open())
		}
	}
	return all
}

// Run holds the stores that open makes against the contract. Each case gets its
// own store; cases run in parallel.
func Run(t *testing.T, open Open) {
	t.Helper()
	groups := []struct {
		name  string
		cases cases
	}{
		{"Services", alone(serviceCases())},
		{"ClientSecrets", secretCases()},
		{"SigningKeys", alone(keyCases())},
		{"Revocations", alone(revocationCases())},
		{"Audit", alone(auditCases())},
		{"Meta", alone(metaCases())},
		{"Objects", objectCases()},
		{"Users", alone(userCases())},
		{"AccessKeys", alone(accessKeyCases())},
		{"Logins", loginCases()},
		{"Feed", feedCases()},
		{"Serialize", serializeCases()},
		{"SingleUse", onceCases()},
		{"Quotas", quotaCases()},
		{"Conflict", alone(conflictCases())},
		{"Text", alone(textCases())},
		{"Update", alone(updateCases())},
		{"Context", alone(contextCases())},
		{"Close", alone(closeCases())},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for name, run := range group.cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(t, open(t))
				})
			}
		})
	}
}

// at returns a time of the year 2026 with microseconds that are not milliseconds.
func at(minutes int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123_457_000, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// update runs fn and fails the test on an error.
func update(t *testing.T, s store.Store, fn func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// want fails the test unless err has the code; "" is for no error.
func want(t *testing.T, err error, code countersign.Code) {
	t.Helper()
	if code == "" && err != nil || code != "" && !errors.Is(err, code) {
		t.Fatalf("error %v has code %q, want %q", err, countersign.CodeOf(err), code)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
