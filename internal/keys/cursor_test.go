package keys_test

import (
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

// RULES B7: cursors have keys of their own: none of another purpose is one.
func TestRuleB7CursorKeysAreTheirOwn(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	kid, key, err := ring.CurrentCursorKey()
	if err != nil {
		t.Fatal(err)
	}
	same, ok := ring.CursorKey(kid)
	if !ok || string(same) != string(key) || len(key) != 32 {
		t.Error("the key in use is not found by its id")
	}
	session, _, err := ring.CurrentSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ring.CursorKey(session); ok {
		t.Error("a session's key is a cursor's")
	}
	if _, ok := ring.SealingKey(kid); ok {
		t.Error("a cursor's key is a session's")
	}
	if again, _, err := open(t, cfg).CurrentCursorKey(); err != nil || again != kid {
		t.Errorf("another replica has another key: %v", err)
	}
	for _, p := range []keys.Purpose{keys.Token, keys.Policy, keys.Revocation} {
		if published(t, ring, p)[kid] {
			t.Errorf("it is published with those of %s", p)
		}
	}
}
