package policy_test

import (
	"testing"

	"github.com/countersign/countersign/internal/policy"
)

// RULES A1: a user is the pair, and no other pair has the id.
func TestRuleA1UserID(t *testing.T) {
	t.Parallel()
	ids := make(map[string]bool)
	pairs := [][2]string{{"https://a.example", "alice"}, {"https://a.example", "bob"}, {"https://b.example", "alice"},
		{"https://a.examplea", "lice"}, {"https://a.exampl", "ealice"}, {"https://a.example", "Alice"}, {"", "https://a.examplealice"}}
	for _, pair := range pairs {
		id := policy.UserID(pair[0], pair[1])
		if ids[id] || !policy.ValidUserID(id) || id != policy.UserID(pair[0], pair[1]) {
			t.Errorf("%v: %s", pair, id)
		}
		ids[id] = true
	}
	// It is in stores and URLs: it never changes.
	if got := policy.UserID("https://a.example", "alice"); got != "uavcdppoha4lpvs7l75iealajm7phupeg" {
		t.Errorf("the id of a user is another one: %s", got)
	}
	for _, bad := range []string{"", "u", "alice", "U" + policy.UserID("a", "b")[1:], policy.UserID("a", "b") + "a", policy.UserID("a", "b")[:32], "u" + "11111111111111111111111111111111"} {
		if policy.ValidUserID(bad) {
			t.Errorf("taken: %q", bad)
		}
	}
}
