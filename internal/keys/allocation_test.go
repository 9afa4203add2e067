package keys_test

import (
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

// What each request asks of the ring costs no memory, also after keys were read anew.
func TestReadersDoNotAllocate(t *testing.T) { // not parallel: it counts allocations
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	if err := ring.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	kid := signer(t, ring, keys.Token).KID
	for name, read := range map[string]func(){
		"Signer":    func() { _, _ = ring.Signer(keys.Token) },
		"PublicKey": func() { _, _, _ = ring.PublicKey(kid) },
		"JWKS":      func() { _, _ = ring.JWKS() },
		"KeySet":    func() { _, _ = ring.KeySet(keys.Revocation) },
	} {
		if n := testing.AllocsPerRun(1000, read); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
