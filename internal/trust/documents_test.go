package trust_test

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// TestFailureIsNotRemembered: an issuer that can't be reached is Upstream, and proves
// again as soon as it is back.
func TestFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	i.down.Store(true)
	at := now
	v := newVerifier(t, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, func(c *trust.Config) { c.Now = func() time.Time { return at } })
	token := mint(idpKey, head(), i.claims())
	_, err := v.WebIdentity(t.Context(), token)
	wantRefusal(t, err, countersign.Upstream, countersign.ReasonKeysUnavailable)
	i.down.Store(false)
	at = at.Add(2 * time.Second)
	if _, err := v.WebIdentity(t.Context(), token); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestLastGoodKeysOutliveOthersChanges: through an outage of one issuer its keys stay,
// whatever happens to the documents of others.
func TestLastGoodKeysOutliveOthersChanges(t *testing.T) {
	t.Parallel()
	i, other := newIDP(t), newIDP(t)
	mine, its := i.issuer("idp", "sts"), other.issuer("other", "sts")
	issuers := &documents{list: []trust.Issuer{mine, its}}
	v := newVerifier(t, issuers, nil)
	prove := func(i *idp) error {
		_, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"jti": fmt.Sprint(issuers.asked.Load())})))
		return err
	}
	if err := errors.Join(prove(i), prove(other)); err != nil {
		t.Fatal(err)
	}
	i.down.Store(true)
	its.Revision++
	issuers.set(mine, its)
	if err := errors.Join(prove(other), prove(i)); err != nil {
		t.Errorf("after a change: %v", err)
	}
	issuers.set(mine)
	if err := prove(other); countersign.ReasonOf(err) != countersign.ReasonIssuerUnknown {
		t.Errorf("removed: %v", err)
	}
	if err := prove(i); err != nil {
		t.Errorf("after a removal: %v", err)
	}
	if n := v.Documents(); n != 1 {
		t.Errorf("%d verifiers are kept, want 1", n)
	}
}

func TestChangedDocumentCountsAtOnce(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	document := i.issuer("idp", "sts")
	issuers := &documents{list: []trust.Issuer{document}}
	v := newVerifier(t, issuers, nil)
	token := mint(idpKey, head(), i.claims())
	if _, err := v.WebIdentity(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	document.Audiences = []string{"other"}
	document.Revision++
	issuers.set(document)
	_, err := v.WebIdentity(t.Context(), token)
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonAudMismatch)
	issuers.set()
	_, err = v.WebIdentity(t.Context(), token)
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonIssuerUnknown)
	again := i.issuer("idp", "sts")
	again.UID = "uid-2" // deleted and made again
	issuers.set(again)
	if id, err := v.WebIdentity(t.Context(), token); err != nil || id.IssuerUID != "uid-2" {
		t.Errorf("got %+v, %v", id, err)
	}
	if n := v.Documents(); n != 1 {
		t.Errorf("%d verifiers are kept, want 1", n)
	}
}

// TestVerifiersAreNotClosedInUse: tokens are proven while documents change under them.
func TestVerifiersAreNotClosedInUse(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	document := i.issuer("idp", "sts")
	issuers := &documents{list: []trust.Issuer{document}}
	v := newVerifier(t, issuers, nil)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for k := range 25 {
				token := mint(idpKey, head(), i.claims().with(object{"jti": fmt.Sprint(n, k)}))
				if _, err := v.WebIdentity(t.Context(), token); err != nil {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for k := range 25 {
			changed := document
			changed.Revision = int64(2 + k)
			issuers.set(changed)
		}
	})
	wg.Wait()
}

// TestRuleC1KeyIsGone: a key that the issuer took back proves nothing any more.
func TestRuleC1KeyIsGone(t *testing.T) {
	t.Parallel()
	i := newIDP(t)
	at := now
	v := newVerifier(t, &documents{list: []trust.Issuer{i.issuer("idp", "sts")}}, func(c *trust.Config) { c.Now = func() time.Time { return at } })
	token := mint(idpKey, head(), i.claims().with(object{"exp": now.Unix() + 3600}))
	if _, err := v.WebIdentity(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	i.publish(map[string]*ecdsa.PrivateKey{"k2": idpKey2})
	at = at.Add(10 * time.Minute)
	_, err := v.WebIdentity(t.Context(), token)
	wantRefusal(t, err, countersign.BadToken, countersign.ReasonKeyUnknown)
}

// TestRuleA6 holds that an issuer of a tenant speaks for that one, whatever its document says.
func TestRuleA6TenantsIssuerSpeaksForNoOther(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ owner, said, want string }{
		{"", "acme", "acme"}, {"", "globex", "globex"}, {"globex", "globex", "globex"}, {"globex", "acme", ""}, {"acme", "globex", ""},
	} {
		i := newIDP(t)
		document := i.issuer("idp", "sts")
		document.Tenant, document.MayAssert.Tenants = test.owner, []string{"acme", "globex"}
		v := newVerifier(t, &documents{list: []trust.Issuer{document}}, nil)
		id, err := v.WebIdentity(t.Context(), mint(idpKey, head(), i.claims().with(object{"tenant": test.said})))
		if err != nil || id.Tenant != test.want || (id.Tenant == "") != (len(id.Dropped) > 0) {
			t.Errorf("an issuer of %q says %q: tenant %q, dropped %v, %v", test.owner, test.said, id.Tenant, id.Dropped, err)
		}
	}
}
