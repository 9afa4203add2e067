package oauth_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
)

// DESIGN §6: a service's quota of tokens is answered 429 with Retry-After when it is used
// up; others are not affected, and what it asked in vain costs it nothing.
func TestQuotaOfTokens(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	others := f.story(t)
	_, err := f.admin.Apply(t.Context(), root, admin.ApplyRequest{Files: []admin.File{{Name: "f",
		Content: []byte("kind: Service\nname: busy\naudiences: [parse-service]\nquota: {tokens_per_minute: 2}\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, credentials, err := f.admin.RotateSecret(t.Context(), root, "busy", admin.AnyRevision, admin.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	secret := credentials.ClientSecret.Reveal()
	ask := func(audience string) answer {
		return f.do(t, call{id: "busy", secret: secret, form: grant("audience", audience)})
	}
	for range 3 { // refused for another reason: they don't count
		if a := ask("billing-service"); a.status != http.StatusBadRequest {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	for range 2 {
		if a := ask("parse-service"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	a := ask("parse-service")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || a.word("error") != "temporarily_unavailable" || err != nil || wait < 1 || wait > 60 {
		t.Errorf("%d %s, Retry-After %q", a.status, a.text, a.header.Get("Retry-After"))
	}
	if e := f.event(t, a); e.Reason != "quota_exceeded" || e.Decision != audit.Refused || e.Service != "busy" {
		t.Errorf("event %+v", e)
	}
	f.token(t, "document-service", others["document-service"], "parse-service")
	f.Clock.Advance(time.Duration(wait) * time.Second)
	if a := ask("parse-service"); a.status != http.StatusOK {
		t.Errorf("a minute later: %d %s", a.status, a.text)
	}
}
