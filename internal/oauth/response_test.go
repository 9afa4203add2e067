package oauth

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/token"
)

// The body is written without an encoder: it must be what an encoder would write, for
// every scope that can be granted.
func FuzzTokenBody(f *testing.F) {
	f.Add("s2s:internal")
	f.Add("a b")
	f.Add(`<&>'/!`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, scope string) {
		if _, err := policy.ParseScope(scope); err != nil {
			t.Skip()
		}
		at := time.Unix(1_700_000_000, 0)
		text := appendTokenBody(nil, token.Minted{Token: countersign.NewSecret("a.b-_.c"), IssuedAt: at, ExpiresAt: at.Add(time.Hour)}, scope)
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		want := map[string]any{"access_token": "a.b-_.c", "token_type": "Bearer", "expires_in": 3600.0}
		if scope != "" {
			want["scope"] = scope
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
