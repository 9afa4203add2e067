package admin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/store"
)

func TestRuleB3EndOld(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	secret := func(id string, created, expires time.Time) store.ClientSecret {
		return store.ClientSecret{ID: id, CreatedAt: created, ExpiresAt: expires}
	}
	never := time.Time{}
	tests := []struct {
		name    string
		old     []store.ClientSecret
		grace   time.Duration
		ended   map[string]time.Time
		removed []string
		created time.Time
	}{
		{"none", nil, time.Hour, nil, nil, now},
		{"one stays for the grace", []store.ClientSecret{secret("a", ago(time.Hour), never)}, time.Hour,
			map[string]time.Time{"a": now.Add(time.Hour)}, nil, now},
		{"one ends now", []store.ClientSecret{secret("a", ago(time.Hour), never)}, 0,
			map[string]time.Time{"a": now}, nil, now},
		{"a third ends the oldest", []store.ClientSecret{secret("a", ago(2*time.Hour), now.Add(time.Hour)), secret("b", ago(time.Hour), never)}, time.Hour,
			map[string]time.Time{"a": now, "b": now.Add(time.Hour)}, nil, now},
		{"the grace never lengthens", []store.ClientSecret{secret("a", ago(time.Hour), now.Add(time.Minute))}, time.Hour,
			nil, nil, now},
		{"more than two from somewhere", []store.ClientSecret{secret("a", ago(3*time.Hour), never), secret("b", ago(2*time.Hour), never), secret("c", ago(time.Hour), never)}, time.Hour,
			map[string]time.Time{"a": now, "b": now, "c": now.Add(time.Hour)}, nil, now},
		{"the newest is ended, the one before lives", []store.ClientSecret{secret("a", ago(2*time.Hour), never), secret("b", ago(time.Hour), ago(time.Minute))}, time.Hour,
			map[string]time.Time{"a": now.Add(time.Hour)}, nil, now},
		{"ends at this very moment", []store.ClientSecret{secret("a", ago(time.Hour), now)}, time.Hour, nil, nil, now},
		{"long ended ones go", []store.ClientSecret{secret("a", ago(100*24*time.Hour), ago(31*24*time.Hour)), secret("b", ago(100*24*time.Hour), ago(29*24*time.Hour))}, time.Hour,
			nil, []string{"a"}, now},
		{"the clock stands", []store.ClientSecret{secret("a", now, never)}, 0,
			map[string]time.Time{"a": now}, nil, now.Add(time.Microsecond)},
		{"the clock went back", []store.ClientSecret{secret("a", now.Add(time.Hour), never)}, 0,
			map[string]time.Time{"a": now}, nil, now.Add(time.Hour + time.Microsecond)},
	}
	for _, test := range tests {
		plan := endOld(test.old, now, test.grace)
		var ended map[string]time.Time
		for _, s := range plan.ended {
			if ended == nil {
				ended = map[string]time.Time{}
			}
			ended[s.ID] = s.ExpiresAt
		}
		if diff := cmp.Diff(test.ended, ended); diff != "" {
			t.Errorf("%s: ended: %s", test.name, diff)
		}
		if diff := cmp.Diff(test.removed, plan.removed); diff != "" {
			t.Errorf("%s: removed: %s", test.name, diff)
		}
		if !plan.createdAt.Equal(test.created) {
			t.Errorf("%s: created at %v, want %v", test.name, plan.createdAt, test.created)
		}
	}
}
