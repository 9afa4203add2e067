package sts

import (
	"testing"

	"github.com/countersign/countersign"
)

// TestErrorTableIsComplete: every code has a row, and none is taken for another's.
func TestErrorTableIsComplete(t *testing.T) {
	t.Parallel()
	for _, code := range countersign.Codes() {
		if _, ok := wireErrors[code]; !ok {
			t.Errorf("%s has no row", code)
		}
	}
	if len(wireErrors) != len(countersign.Codes()) {
		t.Error("a row belongs to no code")
	}
	for _, test := range []struct {
		err    error
		signed bool
		want   wireError
	}{
		{countersign.NewError(countersign.Expired, "", ""), false, wireError{400, "ExpiredTokenException"}},
		{countersign.NewError(countersign.Expired, "", ""), true, wireError{403, "ExpiredToken"}},
		{countersign.NewError(countersign.BadToken, "", ""), true, wireError{403, "InvalidClientTokenId"}},
		{countersign.NewError(countersign.Throttled, countersign.ReasonQuotaExceeded, ""), false, wireError{429, "Throttling"}},
		{countersign.NewError(countersign.Unavailable, countersign.ReasonTokenRevoked, ""), false, wireError{503, "ServiceUnavailable"}},
		{countersign.NewError(countersign.Upstream, countersign.ReasonKeysUnavailable, ""), false, wireError{400, "IDPCommunicationError"}},
		{countersign.NewError(countersign.Denied, countersign.ReasonRegionDisabled, ""), false, wireError{403, "RegionDisabledException"}},
		{countersign.Internal, false, wireError{500, "InternalFailure"}},
	} {
		if got := wireErrorOf(test.err, test.signed); got != test.want {
			t.Errorf("%v (signed %v): %v, want %v", test.err, test.signed, got, test.want)
		}
	}
}
