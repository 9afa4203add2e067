package verify_test

import (
	"reflect"
	"testing"

	"go.uber.org/goleak"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// TestMain fails when a verifier that was closed leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestVulnerability36UnverifiedIsAnotherType: nothing that is not verified can be
// turned into what a handler takes for verified.
func TestVulnerability36UnverifiedIsAnotherType(t *testing.T) {
	t.Parallel()
	unverified := reflect.TypeFor[verify.Unverified]()
	for _, verified := range []reflect.Type{reflect.TypeFor[verify.Token](), reflect.TypeFor[countersign.Principal]()} {
		if unverified.ConvertibleTo(verified) || unverified.NumMethod() > 0 || reflect.PointerTo(unverified).NumMethod() > 0 {
			t.Errorf("Unverified becomes %v", verified)
		}
	}
}
