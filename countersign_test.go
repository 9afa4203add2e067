package countersign_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

const canary = "canary-4f1c9a"

// TestSecretIsNeverPrinted tries every way that a value usually leaks by.
func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	secret := countersign.NewSecret(canary)
	type inner struct{ hidden countersign.Secret }
	type outer struct {
		Shown countersign.Secret
		inner inner
		List  []countersign.Secret
		Map   map[string]countersign.Secret
		Any   any
		Ptr   *countersign.Secret
	}
	value := outer{secret, inner{secret}, []countersign.Secret{secret}, map[string]countersign.Secret{"k": secret}, secret, &secret}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "value", value)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "value", value)
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(encoded), fmt.Errorf("wrap: %v", secret).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		printed = append(printed, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, value), fmt.Sprintf(verb, &value))
	}
	for _, text := range printed {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret was printed: %s", text)
		}
	}
	if secret.Reveal() != canary {
		t.Error("Reveal must give the secret back")
	}
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	a, b := countersign.NewSecret("one"), countersign.NewSecret("one")
	if !a.Equal(b) || a.Equal(countersign.NewSecret("two")) || a.Equal(countersign.Secret{}) {
		t.Error("Equal must compare the values")
	}
	if !countersign.NewSecret("").IsZero() || a.IsZero() {
		t.Error("only the empty secret is zero")
	}
}

func TestErrorsAreFoundThroughTheChain(t *testing.T) {
	t.Parallel()
	cause := io.ErrUnexpectedEOF
	inner := countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, "try again", cause)
	tests := []struct {
		name    string
		err     error
		code    countersign.Code
		reason  countersign.Reason
		message string
	}{
		{"nil", nil, "", "", ""},
		{"plain", errors.New("boom"), countersign.Internal, "internal", "internal"},
		{"code alone", countersign.NotFound, countersign.NotFound, "not_found", "not_found"},
		{"wrapped", fmt.Errorf("read: %w", inner), countersign.Unavailable, "store_unavailable", "try again"},
		{"outer code wins", countersign.WrapError(countersign.BadClient, "", "no", inner), countersign.BadClient, "store_unavailable", "no"},
		{"message never holds the cause", countersign.WrapError(countersign.Denied, "", "", cause), countersign.Denied, "denied", "denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := countersign.CodeOf(test.err); got != test.code {
				t.Errorf("code %q, want %q", got, test.code)
			}
			if got := countersign.ReasonOf(test.err); got != test.reason {
				t.Errorf("reason %q, want %q", got, test.reason)
			}
			if got := countersign.MessageOf(test.err); got != test.message {
				t.Errorf("message %q, want %q", got, test.message)
			}
		})
	}
	if err := fmt.Errorf("read: %w", inner); !errors.Is(err, countersign.Unavailable) || !errors.Is(err, cause) {
		t.Error("errors.Is must see both the code and the cause")
	}
}

func TestPrincipalIsSafeToAskWhenThereIsNone(t *testing.T) {
	t.Parallel()
	p := countersign.FromContext(context.Background())
	var missing *countersign.Principal
	if p == nil || !p.IsZero() || !missing.IsZero() || p.User.HasRole("admin") || p.Service.HasScope("s2s:internal") {
		t.Error("nobody must be nobody")
	}
}

func TestUserTokenTravelsWithTheContext(t *testing.T) {
	t.Parallel()
	p := &countersign.Principal{Service: countersign.Service{Name: "backend-actor"}}
	ctx := countersign.NewContext(t.Context(), p, countersign.NewSecret("user-token"))
	if got := countersign.UserToken(ctx).Reveal(); got != "user-token" {
		t.Errorf("user token %q", got)
	}
	without := countersign.WithUserToken(ctx, "")
	if !countersign.UserToken(without).IsZero() {
		t.Error("WithUserToken(\"\") must remove the token")
	}
	if countersign.FromContext(without) != p {
		t.Error("removing the token must keep the principal")
	}
}

func TestRequestIDSortsByTime(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	last := ""
	seen := make(map[string]bool)
	for i := range 1000 {
		id := countersign.NewRequestID(start.Add(time.Duration(i) * time.Millisecond))
		if len(id) != 36 || id[14] != '7' || seen[id] || id <= last {
			t.Fatalf("id %q after %q", id, last)
		}
		seen[id], last = true, id
	}
}

func TestCodesListsEveryCodeOnce(t *testing.T) {
	t.Parallel()
	seen := make(map[countersign.Code]bool)
	for _, code := range countersign.Codes() {
		if seen[code] || code == "" {
			t.Errorf("code %q is listed twice or empty", code)
		}
		seen[code] = true
	}
}
