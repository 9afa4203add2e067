package iam

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
)

// No text that we did not make is a cursor, and one that we made goes on where it says.
func FuzzOpenCursor(f *testing.F) {
	ring := fixture.OpenKeys(f, keys.Config{})
	a := &API{keys: ring, now: time.Now}
	bound := []string{"users", "user:i|ann", "acme"}
	good, err := a.makeCursor(bound, "u-somebody")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, cursor string) {
		after, err := a.openCursor(bound, cursor)
		switch {
		case cursor == good || cursor == "":
			if err != nil {
				t.Errorf("a good one is refused: %v", err)
			}
		case err == nil:
			t.Errorf("%q goes on behind %q", cursor, after)
		}
		if _, err := a.openCursor([]string{"users", "user:i|ann|acme"}, cursor); err == nil && cursor != "" {
			t.Error("it opens another list")
		}
	})
}
