package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
)

func testHash(secret string) (sum [32]byte) {
	mac := hmac.New(sha256.New, []byte("a key for tests"))
	mac.Write([]byte(secret))
	copy(sum[:], mac.Sum(nil))
	return sum
}

// Work is counted, not timed: one hash whoever comes. The comparisons can't differ:
// they run over an array of fixed length.
func TestRuleB4AndVulnerability29SameWorkForEveryClient(t *testing.T) {
	t.Parallel()
	one := registry.Secret{ID: "1", Hash: testHash("one")}
	two := registry.Secret{ID: "2", Hash: testHash("two")}
	three := registry.Secret{ID: "3", Hash: testHash("three")}
	tests := []struct {
		name      string
		live      []registry.Secret
		presented string
		want      string
	}{
		{"first of two", []registry.Secret{one, two}, "one", "1"},
		{"second of two", []registry.Secret{one, two}, "two", "2"},
		{"only one", []registry.Secret{one}, "one", "1"},
		{"wrong", []registry.Secret{one, two}, "none", ""},
		{"empty", []registry.Secret{one, two}, "", ""},
		{"unknown client", nil, "one", ""},
		{"never more than two are live", []registry.Secret{one, two, three}, "one", ""},
		{"the newest two are live", []registry.Secret{one, two, three}, "three", "3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hashes := 0
			checker := secretChecker{hash: func(secret string) [32]byte { hashes++; return testHash(secret) }}
			got := ""
			if found := checker.match(tt.live, countersign.NewSecret(tt.presented)); found != nil {
				got = found.ID
			}
			if got != tt.want {
				t.Errorf("matched %q, want %q", got, tt.want)
			}
			if hashes != 1 {
				t.Errorf("%d hashes, want 1", hashes)
			}
		})
	}
}

// A hash of zeros would match an empty slot, if slots were not counted.
func TestEmptySlotMatchesNothing(t *testing.T) {
	t.Parallel()
	checker := secretChecker{hash: func(string) [32]byte { return [32]byte{} }}
	if found := checker.match(nil, countersign.Secret{}); found != nil {
		t.Error("nobody's secret matched")
	}
	if found := checker.match([]registry.Secret{{ID: "1", Hash: testHash("one")}}, countersign.Secret{}); found != nil {
		t.Error("an empty slot matched")
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	known := &registry.Service{Service: store.Service{UID: "u", Name: "a"}}
	disabled := &registry.Service{Service: store.Service{UID: "u", Name: "a", Disabled: true}}
	tests := []struct {
		name    string
		service *registry.Service
		secret  *registry.Secret
		want    countersign.Reason
	}{
		{"right", known, &registry.Secret{}, countersign.ReasonOK},
		{"right, ends later", known, &registry.Secret{ExpiresAt: now.Add(1)}, countersign.ReasonOK},
		{"ends now", known, &registry.Secret{ExpiresAt: now}, countersign.ReasonSecretExpired},
		{"wrong", known, nil, countersign.ReasonSecretWrong},
		{"unknown", &nobody, nil, countersign.ReasonClientUnknown},
		{"disabled", disabled, &registry.Secret{}, countersign.ReasonClientDisabled},
		{"disabled and wrong", disabled, nil, countersign.ReasonSecretWrong},
	}
	for _, tt := range tests {
		if got := judge(tt.service, tt.secret, now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFailureKeyIsCanonical(t *testing.T) {
	t.Parallel()
	v4, mapped := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")
	if newFailureKey("a", v4) != newFailureKey("a", mapped) {
		t.Error("one IPv4 address has two keys")
	}
	if newFailureKey("a", netip.MustParseAddr("2001:db8::1")) != newFailureKey("a", netip.MustParseAddr("2001:db8::2")) {
		t.Error("one IPv6 network has two keys")
	}
	if newFailureKey("A b", v4) != newFailureKey("another impossible id!", v4) {
		t.Error("ids that no client can have fill the memory")
	}
	if newFailureKey("a", v4) == newFailureKey("b", v4) || newFailureKey("a", v4) == newFailureKey("a", netip.MustParseAddr("192.0.2.2")) {
		t.Error("two clients share a key")
	}
}
