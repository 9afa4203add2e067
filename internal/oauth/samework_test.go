package oauth_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
)

// RULES B4: the same work. A known client costs no read of the database, so an unknown
// one must not cost one each time either: whoever measured it would learn the names. And
// a name that is registered later works at once all the same.
func TestRuleB4UnknownClientCostsNoReads(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	f.service(t, admin.ServiceSpec{Name: "known", Audiences: []string{"b"}})
	for _, id := range []string{"known", "unknown"} {
		var reads int64
		for i := range 20 {
			before := f.Store.Reads()
			a := f.do(t, call{id: id, secret: "wrong", form: grant(), from: fmt.Sprintf("198.51.100.%d", i)})
			if a.status != http.StatusUnauthorized {
				t.Fatalf("%s: %d %s", id, a.status, a.text)
			}
			if i > 0 { // the first has to look
				reads += f.Store.Reads() - before
			}
			f.Clock.Advance(2 * time.Second)
		}
		if reads != 0 {
			t.Errorf("%s: %d reads", id, reads)
		}
	}
	secret := f.service(t, admin.ServiceSpec{Name: "unknown", Audiences: []string{"b"}})
	f.token(t, "unknown", secret, "b")
}
