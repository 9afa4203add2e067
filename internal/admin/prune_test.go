package admin_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/store"
)

// Everybody who changes something waits while one prunes: who prunes in a tenant reads what is
// the tenant's, and not every service that there is.
func TestRuleA6PruningReadsTheTenantsObjects(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.apply(t, owned("mine", "kind: Tenant\nname: acme\n"))
	prune := func(tenant string) (reads int64) {
		t.Helper()
		actor := admin.Actor{ID: "service:ci", Service: "ci", Tenant: tenant, Owner: "ci", Rights: policy.ApplyRights(tenant)}
		document := "kind: Service\nname: kept-" + tenant + "\n"
		if tenant != "" {
			document += "tenant: " + tenant + "\n"
		}
		gone := "---\n" + document[:len("kind: Service\nname: ")] + "gone" + document[len("kind: Service\nname: kept"):]
		_, err := r.Apply(t.Context(), actor, owned("ci", document+gone))
		must(t, err)
		before := r.Store.Reads()
		done, err := r.Apply(t.Context(), actor, admin.ApplyRequest{Files: request(document).Files, Owner: "ci", Prune: true})
		must(t, err)
		wantActions(t, done, "Service/kept-"+tenant+" unchanged@1", "Service/gone-"+tenant+" pruned@1")
		return r.Store.Reads() - before
	}
	few := map[string]int64{"acme": prune("acme")}
	must(t, r.Store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range 3 * store.MaxLimit {
			s := store.Service{UID: fmt.Sprint("uid-", i), Name: fmt.Sprint("other-", i), Tenant: "beta", Owner: "ci", Revision: 1}
			if err := tx.CreateService(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}))
	if many := prune("acme"); many != few["acme"] {
		t.Errorf("%d reads beside few services, %d beside many", few["acme"], many)
	}
}
